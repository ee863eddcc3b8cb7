/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One segment file: name, open, create, read a frame at a place. Must not
 * know recovery policy, locks or what the other segments hold.
 */
#include "segment.h"
#include "frame.h"
#include "logname.h"
#include "util.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

_Static_assert(DWAL_MAX_SEGMENT_ID == 99999999, "eight digits, as logname_segment() writes");

#define BLOCK 4096u /* bytes that a disk may fail to read */

/* A large value is read in pieces of which the CRC finds the bytes in the cache. */
#define PIECE (256u << 10)

struct id_list {
	const struct io *io;
	int dirfd;
	const char *dir;
	struct dwal_error *error;
	uint32_t *ids;
	size_t n, room;
};

static int add_id(void *ctx, const char *name)
{
	struct id_list *list = ctx;
	struct stat st;
	uint32_t id;
	int rc;

	if (!logname_parse_segment(name, &id))
		return 0;
	rc = list->io->fstatat(list->io, list->dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (rc == -ENOENT)
		return 0;
	if (rc)
		return rc;
	if (!S_ISREG(st.st_mode))
		return segment_not_a_file(list->dir, id, list->error);
	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		uint32_t *ids = reallocarray(list->ids, room, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		list->ids = ids;
		list->room = room;
	}
	list->ids[list->n++] = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int segment_not_a_file(const char *dir, uint32_t id, struct dwal_error *error)
{
	char name[LOGNAME_SIZE];

	logname_segment(id, name);
	return error_set_at(error, DWAL_ENOTFILE, id, 0, DWAL_FRAME_OK,
			    "%.200s/%s: a segment's name, but not a regular file: its records "
			    "would be missing; nothing was changed; put the segment back in its "
			    "place, or take the name away",
			    dir, name);
}

int segment_list(const struct io *io, int dirfd, const char *dir, uint32_t **ids, size_t *n,
		 struct dwal_error *error)
{
	struct id_list list = {.io = io, .dirfd = dirfd, .dir = dir, .error = error};
	int rc = io->list(io, dirfd, add_id, &list);

	if (rc) {
		free(list.ids);
		return rc == DWAL_ENOTFILE
			       ? rc
			       : error_set(error, rc, "%s: cannot list the directory: %s", dir,
					   dwal_strerror(rc));
	}
	if (list.n)
		qsort(list.ids, list.n, sizeof(*list.ids), compare_ids);
	*ids = list.ids;
	*n = list.n;
	return 0;
}

int segment_like(const struct io *io, int dirfd, const uint32_t *ids, size_t n,
		 struct file_like *out)
{
	char name[LOGNAME_SIZE];
	struct stat st;
	int fd = -1, rc;

	if (!n) {
		rc = io->fstat(io, dirfd, &st);
	} else {
		logname_segment(ids[n - 1], name);
		fd = rc = file_open(io, dirfd, name, O_RDONLY, &st);
	}
	if (rc < 0)
		return rc;
	*out = file_like(&st, fd);
	return 0;
}

struct segment *segment_new(const struct io *io, uint32_t id)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return NULL;
	segment->io = io;
	segment->id = id;
	segment->fd = -1;
	atomic_init(&segment->refs, 1);
	return segment;
}

/* A segment for what an open or create of its file gave. */
static int opened(const struct io *io, uint32_t id, int fd, struct segment **out)
{
	struct segment *segment;
	struct stat st;
	int rc = fd < 0 ? fd : io->fstat(io, fd, &st);

	if (rc >= 0 && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	segment = rc < 0 ? NULL : segment_new(io, id);
	if (!segment) {
		(void)io_close(io, &fd); /* the first error tells */
		return rc < 0 ? rc : -ENOMEM;
	}
	segment->fd = fd;
	segment->dev = st.st_dev;
	segment->ino = st.st_ino;
	segment->end = (uint64_t)st.st_size;
	*out = segment;
	return 0;
}

int segment_open(const struct io *io, int dirfd, uint32_t id, int flags, struct segment **out)
{
	char name[LOGNAME_SIZE];
	struct stat st;

	logname_segment(id, name);
	return opened(io, id, file_open(io, dirfd, name, flags, &st), out);
}

int segment_open_side(const struct io *io, int dirfd, uint32_t id, const char *name,
		      struct segment **out)
{
	struct stat st;

	return opened(io, id, file_open(io, dirfd, name, O_RDONLY, &st), out);
}

int segment_create(const struct io *io, int dirfd, uint32_t id, const struct file_like *like,
		   struct segment **out)
{
	char name[LOGNAME_SIZE];
	int rc, fd;

	logname_segment(id, name);
	fd = file_create(io, dirfd, name, O_RDWR, like);
	rc = opened(io, id, fd, out);
	return rc && fd >= 0 ? file_unmake(io, dirfd, name, rc) : rc;
}

int segment_of_file(const struct io *io, uint32_t id, int *fd, struct segment **out)
{
	return opened(io, id, steal_fd(fd), out);
}

int segment_open_file(const struct io *io, const char *path, struct segment **out)
{
	const char *slash = strrchr(path, '/');
	uint32_t id = 0;

	(void)logname_parse_stem(slash ? slash + 1 : path, &id); /* 0 is fine */
	return opened(io, id, io_open(io, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0), out);
}

struct segment *segment_ref(struct segment *segment)
{
	atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
	return segment;
}

struct segment *segment_find(struct segment *const *segments, size_t n, uint32_t id)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (segments[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && segments[low]->id == id ? segment_ref(segments[low]) : NULL;
}

int segment_unref(struct segment *segment)
{
	int rc;

	if (!segment || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) > 1)
		return 0;
	segment_forget(segment);
	rc = io_close(segment->io, &segment->fd);
	free(segment);
	return rc;
}

void segment_views_free(struct segment_view *views, size_t n)
{
	if (!views)
		return;
	while (n)
		(void)segment_unref(views[--n].segment); /* only read from here */
	free(views);
}

/* A disk that cannot read a block of a file reads the others. */
static int read_blocks(struct segment *segment, unsigned char *buffer, size_t n, uint64_t offset,
		       size_t *got)
{
	int rc = 0;

	*got = 0;
	while (!rc && *got < n) {
		size_t left = n - *got, block = BLOCK - (size_t)((offset + *got) % BLOCK), there;

		block = block < left ? block : left;
		rc = io_pread_full(segment->io, segment->fd, buffer + *got, block, offset + *got,
				   &there);
		if (rc == -EIO) {
			memset(buffer + *got, 0, block);
			there = block;
			rc = 0;
		}
		if (!rc)
			*got += there;
		if (!rc && there < block)
			break;
	}
	return rc;
}

int segment_pread(struct segment *segment, void *buffer, size_t n, uint64_t offset, size_t *got)
{
	int rc = segment_enter(segment);

	if (rc)
		return rc;
	*got = 0;
	if (segment->fd >= 0)
		rc = io_pread_full(segment->io, segment->fd, buffer, n, offset, got);
	if (rc == -EIO && segment->is_tolerant)
		rc = read_blocks(segment, buffer, n, offset, got);
	segment_leave(segment);
	return rc;
}

int segment_dup(struct segment *segment, int *fd)
{
	int copy, rc = segment_enter(segment);

	if (rc)
		return rc;
	if (segment->fd < 0)
		rc = DWAL_ABSENT;
	else if ((copy = segment->io->dup(segment->io, segment->fd)) < 0)
		rc = copy;
	else
		*fd = copy;
	segment_leave(segment);
	return rc;
}

int segment_read(struct segment *segment, uint64_t offset, void *buffer, size_t len)
{
	size_t got;
	int rc = segment_pread(segment, buffer, len, offset, &got);

	if (rc)
		return rc;
	return got < len ? 1 : 0;
}

int segment_read_frame(struct segment *segment, uint64_t offset, uint32_t length, void *buffer,
		       struct dwal_record *out, enum dwal_frame_status *status)
{
	struct dwal_record record;
	size_t got;
	int rc = segment_pread(segment, buffer, length, offset, &got);

	if (rc)
		return rc;
	*status = dwal_frame_decode(buffer, got, &record);
	if (*status == DWAL_FRAME_OK && record.length != length)
		*status = DWAL_TRUNCATED;
	if (*status != DWAL_FRAME_OK)
		return 0;
	record.segment = segment->id;
	record.offset = offset;
	*out = record;
	return 0;
}

int segment_crc(struct segment *segment, uint64_t offset, uint64_t n, void *buffer, size_t size,
		uint32_t *crc)
{
	unsigned char *bytes = buffer;
	int rc = 0;

	for (uint64_t at = 0, len; !rc && at < n; at += len) {
		const size_t to = at % size;

		len = n - at < PIECE ? n - at : PIECE;
		len = len < size - to ? len : size - to;
		rc = segment_read(segment, offset + at, bytes + to, len);
		if (!rc)
			*crc = dwal_crc32c(*crc, bytes + to, len);
	}
	return rc;
}

/* Compares with the trailer of a frame whose header is parsed, and whose other bytes
 * have this CRC. 0, -errno, or 1 when the file ends before. */
static int compare_crc(struct segment *segment, uint64_t offset, uint32_t crc,
		       struct dwal_record *record, enum dwal_frame_status *status)
{
	unsigned char trailer[DWAL_TRAILER_SIZE];
	int rc = segment_read(segment, offset + record->length - sizeof(trailer), trailer,
			      sizeof(trailer));

	if (rc)
		return rc;
	record->crc32c = frame_stored_crc(trailer + sizeof(trailer));
	record->segment = segment->id;
	record->offset = offset;
	if (record->crc32c != crc)
		*status = DWAL_BAD_CRC;
	return 0;
}

int segment_read_apart(struct segment *segment, uint64_t offset, uint32_t length,
		       struct segment_area head, struct segment_area rest, struct dwal_record *out,
		       enum dwal_frame_status *status)
{
	struct dwal_record record = {0};
	uint32_t crc = 0;
	int rc = segment_crc(segment, offset, head.len, head.bytes, head.len, &crc);

	*status = rc ? DWAL_TRUNCATED : frame_parse_header(head.bytes, head.len, &record);
	if (!rc && *status == DWAL_FRAME_OK && record.length != length)
		*status = DWAL_TRUNCATED;
	if (rc < 0 || *status != DWAL_FRAME_OK)
		return rc < 0 ? rc : 0;
	rc = segment_crc(segment, offset + head.len, length - head.len - DWAL_TRAILER_SIZE,
			 rest.bytes, rest.len, &crc);
	if (!rc)
		rc = compare_crc(segment, offset, crc, &record, status);
	if (rc > 0)
		*status = DWAL_TRUNCATED; /* cut since its size was taken */
	else if (!rc && *status == DWAL_FRAME_OK)
		*out = record;
	return rc < 0 ? rc : 0;
}
