/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reading an index file: all of it before any of it is believed, with bounded
 * memory. No length in it is trusted, whatever its CRC.
 */
#include "index.h"
#include "clock.h"
#include "frame.h"
#include "util.h"

#include <errno.h>

#define WINDOW_SIZE (256u << 10)

_Static_assert(INDEX_ENTRY_SIZE + DWAL_MAX_KEY + INDEX_PAYLOAD_MOST <= WINDOW_SIZE,
	       "an entry is whole in the window");

void index_release(struct index *index)
{
	(void)io_close(index->io, &index->fd); /* only read */
	free(index->window);
	index->window = NULL;
}

/* Points *p at n bytes. 0; 1 when the file ends before; -errno. */
static int look(struct index *index, uint64_t at, size_t n, const unsigned char **p)
{
	uint64_t from = at - index->window_start; /* huge when before it */
	int rc;

	if (!index->window)
		index->window = malloc(WINDOW_SIZE);
	if (!index->window)
		return -ENOMEM;
	if (from > index->window_len || n > index->window_len - from) {
		rc = io_pread_full(index->io, index->fd, index->window, WINDOW_SIZE, at,
				   &index->window_len);
		if (rc)
			return rc;
		index->window_start = at;
		from = 0;
	}
	*p = index->window + from;
	return n > index->window_len - from;
}

static int read_at(const struct index *index, uint64_t at, void *buffer, size_t n)
{
	size_t got;
	int rc = io_pread_full(index->io, index->fd, buffer, n, at, &got);

	return rc ? rc : got < n;
}

/* The file of the segment. */
static int look_at_segment(struct segment *segment, struct stat *st)
{
	int rc = segment_enter(segment);

	if (rc)
		return rc;
	rc = segment->fd < 0 ? -EIO : segment->io->fstat(segment->io, segment->fd, st);
	segment_leave(segment);
	return rc;
}

static const char *compare(const struct index *index, const struct stat *st)
{
	const struct index_tail *tail = &index->tail;

	if (tail->size != (uint64_t)st->st_size || tail->size != index->segment->end)
		return "it is of a segment of another size";
	if (tail->ino != st->st_ino)
		return "it is of another file of that name";
	if (!timespec_equal(tail->mtime, st->st_mtim))
		return "it is of a segment with another time of modification";
	return NULL;
}

static const char *open_file(struct index *index, int dirfd)
{
	unsigned char head[INDEX_HEAD_SIZE], tail[INDEX_TAIL_SIZE];
	char name[LOGNAME_TEMP_SIZE];
	struct stat st, of;

	logname_index(index->segment->id, name);
	index->fd = file_open(index->io, dirfd, name, O_RDONLY, &st);
	if (index->fd == -ENOENT)
		return NULL;
	if (index->fd < 0)
		return "it cannot be opened";
	index->compared = st.st_mtim;
	if (st.st_size < INDEX_HEAD_SIZE + INDEX_TAIL_SIZE)
		return "it is too short";
	index->end = (uint64_t)st.st_size - INDEX_TAIL_SIZE;
	if (read_at(index, 0, head, sizeof(head)) || read_at(index, index->end, tail, sizeof(tail)))
		return "it cannot be read";
	index_parse_tail(tail, &index->tail, &index->stored_crc);
	if (!index_is_head(head))
		return "it is no index file of a known version";
	return look_at_segment(index->segment, &of) ? "the segment cannot be looked at"
						    : compare(index, &of);
}

bool index_open(struct index *index, int dirfd, struct segment *segment, const char **why)
{
	*index = (struct index){.segment = segment, .io = segment->io, .fd = -1};
	*why = open_file(index, dirfd);
	return index->fd >= 0 && !*why;
}

/* Where a walk through the entries is. */
struct walk {
	uint64_t at;     /* in the file */
	uint64_t offset; /* in the segment */
	uint64_t records;
	struct dwal_record last;
	index_record_fn fn; /* or NULL */
	void *ctx;
};

/* It is there as the entry says. 0 or fn's value, 1: it is not, -errno. */
static int take_large(struct index *index, struct walk *walk, struct dwal_record *record)
{
	cleanup_free void *frame = malloc(record->length);
	enum dwal_frame_status status;
	struct dwal_record found;
	int rc = -ENOMEM;

	if (frame)
		rc = segment_read_frame(index->segment, record->offset, record->length, frame,
					&found, &status);
	if (rc)
		return rc;
	if (status != DWAL_FRAME_OK || found.crc32c != record->crc32c)
		return 1;
	return walk->fn ? walk->fn(walk->ctx, &found) : 0;
}

static int hand_out(struct index *index, struct walk *walk, struct dwal_record *record)
{
	if (record->type == DWAL_RAW && record->payload.len > INDEX_PAYLOAD_MOST)
		return take_large(index, walk, record);
	return walk->fn ? walk->fn(walk->ctx, record) : 0;
}

/* 0; fn's value; 1: it is not as it must be; -errno. */
static int step(struct index *index, struct walk *walk)
{
	const unsigned char *p;
	struct dwal_record record;
	size_t size;
	int rc = look(index, walk->at, INDEX_ENTRY_SIZE, &p);

	if (rc || !index_parse_entry(p, &record))
		return rc ? rc : 1;
	size = INDEX_ENTRY_SIZE + record.key.len + (size_t)index_kept(&record).len;
	if (size > index->end - walk->at || record.length > index->tail.size - walk->offset)
		return 1;
	rc = look(index, walk->at, size, &p);
	if (rc)
		return rc;
	record.segment = index->segment->id;
	record.offset = walk->offset;
	record.key.data = p + INDEX_ENTRY_SIZE;
	if (index_kept(&record).len)
		record.payload.data = p + INDEX_ENTRY_SIZE + record.key.len;
	index->crc = dwal_crc32c(index->crc, p, size);
	walk->at += size;
	walk->offset += record.length;
	walk->records++;
	walk->last = record;
	return hand_out(index, walk, &record);
}

static int walk_all(struct index *index, struct walk *walk)
{
	int rc = 0;

	walk->at = INDEX_HEAD_SIZE;
	index->crc = index_crc_begin();
	while (!rc && walk->at < index->end)
		rc = step(index, walk);
	return rc;
}

/* The bytes of its tail, and all before it. */
static bool has_its_crc(const struct index *index)
{
	unsigned char tail[INDEX_TAIL_SIZE];

	index_put_tail(&index->tail, index->crc, tail);
	return get_le32(tail + INDEX_TAIL_SIZE - 4) == index->stored_crc;
}

/* The last frame's header and CRC stand there. */
static bool is_end_of_segment(const struct index *index, const struct dwal_record *last)
{
	unsigned char header[DWAL_HEADER_SIZE], trailer[DWAL_TRAILER_SIZE];
	struct dwal_record found;

	if (last->offset != index->tail.last_offset || last->crc32c != index->tail.last_crc)
		return false;
	if (segment_read(index->segment, last->offset, header, sizeof(header)) ||
	    segment_read(index->segment, index->tail.size - sizeof(trailer), trailer,
			 sizeof(trailer)))
		return false;
	return frame_parse_header(header, sizeof(header), &found) == DWAL_FRAME_OK &&
	       found.type == last->type && found.txid == last->txid &&
	       found.key.len == last->key.len && found.payload.len == last->payload.len &&
	       frame_stored_crc(trailer + sizeof(trailer)) == last->crc32c;
}

bool index_load(struct index *index, const char **why)
{
	struct walk walk = {.at = 0};
	int rc = walk_all(index, &walk);

	if (rc < 0)
		*why = "it cannot be read";
	else if (rc || walk.offset != index->tail.size || walk.records != index->tail.records)
		*why = "its records are not those of a segment";
	else if (!has_its_crc(index))
		*why = "its CRC is wrong";
	else if (!walk.records || !is_end_of_segment(index, &walk.last))
		*why = "the segment does not end as it says";
	else
		return true;
	return false;
}

int index_each(struct index *index, index_record_fn fn, void *ctx)
{
	struct walk walk = {.fn = fn, .ctx = ctx};
	const uint32_t crc = index->crc;
	int rc = walk_all(index, &walk);

	return rc > 0 || (!rc && index->crc != crc) ? -EIO : rc; /* changed since it was loaded */
}

void index_note_compared(const struct index *index)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};

	(void)index->io->futimens(index->io, index->fd, times); /* then it is compared again */
}
