/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One segment file: name, open, create, read a frame at a place. Must not
 * know recovery policy, locks or what the other segments hold.
 */
#include "segment.h"
#include "frame.h"
#include "util.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define ID_DIGITS 8
#define EXTENSION ".dwal"

void segment_name(uint32_t id, char out[SEGMENT_NAME_SIZE])
{
	assert(id <= DWAL_MAX_SEGMENT_ID);
	(void)snprintf(out, SEGMENT_NAME_SIZE, "%08u" EXTENSION, id); /* fits */
}

/* What follows the eight digits and ".dwal" of a name; NULL if they are not
 * there. */
static const char *parse_stem(const char *name, uint32_t *id)
{
	uint32_t n = 0;

	for (int i = 0; i < ID_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		n = n * 10 + (uint32_t)(name[i] - '0');
	}
	if (strncmp(name + ID_DIGITS, EXTENSION, strlen(EXTENSION)) != 0)
		return NULL;
	*id = n;
	return name + ID_DIGITS + strlen(EXTENSION);
}

bool segment_parse_name(const char *name, uint32_t *id)
{
	uint32_t n;
	const char *rest = parse_stem(name, &n);

	if (!rest || *rest)
		return false;
	*id = n;
	return true;
}

bool segment_is_temp_file(const char *name)
{
	size_t n = strlen(name), suffix = strlen(TEMP_SUFFIX);

	return n >= suffix && strcmp(name + n - suffix, TEMP_SUFFIX) == 0;
}

bool segment_is_side_file(const char *name)
{
	uint32_t id;
	const char *rest = parse_stem(name, &id);

	return rest && strncmp(rest, ".torn-", strlen(".torn-")) == 0 &&
	       !segment_is_temp_file(name);
}

struct id_list {
	const struct io *io;
	int dirfd;
	uint32_t *ids;
	size_t n, room;
};

static int add_id(void *ctx, const char *name)
{
	struct id_list *list = ctx;
	struct stat st;
	uint32_t id;
	int rc;

	if (!segment_parse_name(name, &id))
		return 0;
	rc = list->io->fstatat(list->io, list->dirfd, name, &st, 0);
	if (rc == -ENOENT || (rc == 0 && !S_ISREG(st.st_mode)))
		return 0;
	if (rc)
		return rc;
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

int segment_list(const struct io *io, int dirfd, uint32_t **ids, size_t *n)
{
	struct id_list list = {.io = io, .dirfd = dirfd};
	int rc = io->list(io, dirfd, add_id, &list);

	if (rc) {
		free(list.ids);
		return rc;
	}
	if (list.n)
		qsort(list.ids, list.n, sizeof(*list.ids), compare_ids);
	*ids = list.ids;
	*n = list.n;
	return 0;
}

static int open_named(const struct io *io, int dirfd, const char *name, uint32_t id, int flags,
		      struct segment **out)
{
	struct segment *segment = calloc(1, sizeof(*segment));
	struct stat st;
	int rc;

	if (!segment)
		return -ENOMEM;
	segment->io = io;
	segment->id = id;
	atomic_init(&segment->refs, 1);
	segment->fd = rc = io_open(io, dirfd, name, flags, 0666);
	if (rc >= 0)
		rc = io->fstat(io, segment->fd, &st);
	if (!rc && !S_ISREG(st.st_mode))
		rc = -EINVAL;
	if (rc < 0) {
		(void)segment_unref(segment); /* the first error tells */
		return rc;
	}
	segment->end = (uint64_t)st.st_size;
	*out = segment;
	return 0;
}

static int open_file(const struct io *io, int dirfd, uint32_t id, int flags, struct segment **out)
{
	char name[SEGMENT_NAME_SIZE];

	segment_name(id, name);
	return open_named(io, dirfd, name, id, flags, out);
}

int segment_open_file(const struct io *io, const char *path, struct segment **out)
{
	const char *slash = strrchr(path, '/');
	uint32_t id = 0;

	(void)parse_stem(slash ? slash + 1 : path, &id); /* 0 is fine */
	return open_named(io, AT_FDCWD, path, id, O_RDONLY | O_NONBLOCK, out);
}

int segment_open(const struct io *io, int dirfd, uint32_t id, int flags, struct segment **out)
{
	return open_file(io, dirfd, id, flags, out);
}

int segment_create(const struct io *io, int dirfd, uint32_t id, struct segment **out)
{
	return open_file(io, dirfd, id, O_RDWR | O_CREAT | O_EXCL, out);
}

struct segment *segment_ref(struct segment *segment)
{
	atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
	return segment;
}

int segment_unref(struct segment *segment)
{
	int rc;

	if (!segment || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) > 1)
		return 0;
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

int segment_read(struct segment *segment, uint64_t offset, void *buffer, size_t len)
{
	size_t got;
	int rc = io_pread_full(segment->io, segment->fd, buffer, len, offset, &got);

	if (rc)
		return rc;
	return got < len ? 1 : 0;
}

int segment_read_frame(struct segment *segment, uint64_t offset, uint32_t length, void *buffer,
		       struct dwal_record *out, enum dwal_frame_status *status)
{
	struct dwal_record record;
	size_t got;
	int rc = io_pread_full(segment->io, segment->fd, buffer, length, offset, &got);

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

/* The CRC of n bytes of the file. 0, 1 when it ends before, or -errno. */
static int crc_of(struct segment *segment, uint64_t offset, uint64_t n, unsigned char *buffer,
		  size_t size, uint32_t *crc)
{
	*crc = 0;
	while (n) {
		size_t len = n < size ? (size_t)n : size;
		int rc = segment_read(segment, offset, buffer, len);

		if (rc)
			return rc;
		*crc = dwal_crc32c(*crc, buffer, len);
		offset += len;
		n -= len;
	}
	return 0;
}

int segment_check(struct segment *segment, uint64_t offset, uint64_t limit, void *buffer,
		  size_t size, struct dwal_record *out, enum dwal_frame_status *status)
{
	unsigned char header[DWAL_HEADER_SIZE], trailer[DWAL_TRAILER_SIZE];
	uint64_t left = offset < limit ? limit - offset : 0;
	size_t want = left < sizeof(header) ? (size_t)left : sizeof(header), got;
	struct dwal_record record;
	uint32_t crc;
	int rc = io_pread_full(segment->io, segment->fd, header, want, offset, &got);

	if (rc)
		return rc;
	*status = frame_parse_header(header, got, &record);
	if (*status != DWAL_FRAME_OK)
		return 0;
	if (record.length > left) {
		*status = DWAL_TRUNCATED;
		return 0;
	}
	rc = crc_of(segment, offset, record.length - DWAL_TRAILER_SIZE, buffer, size, &crc);
	if (!rc)
		rc = segment_read(segment, offset + record.length - DWAL_TRAILER_SIZE, trailer,
				  sizeof(trailer));
	if (rc < 0)
		return rc;
	if (rc) {
		*status = DWAL_TRUNCATED; /* cut since its size was taken */
		return 0;
	}
	record.crc32c = frame_stored_crc(trailer + sizeof(trailer));
	if (record.crc32c != crc) {
		*status = DWAL_BAD_CRC;
		return 0;
	}
	record.segment = segment->id;
	record.offset = offset;
	*out = record;
	return 0;
}
