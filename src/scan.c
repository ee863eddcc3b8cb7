/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Going through the frames of one segment. Must not know which segment is the
 * active one, nor what follows from what it finds.
 */
#include "scan.h"
#include "frame.h"
#include "util.h"

#include <errno.h>

#define WINDOW_SIZE SEGMENT_WINDOW_SIZE

void segment_scan_init(struct segment_scan *scan, struct segment *segment, uint64_t offset,
		       uint64_t limit)
{
	*scan = (struct segment_scan){.segment = segment, .offset = offset, .limit = limit};
}

void segment_scan_release(struct segment_scan *scan)
{
	free(scan->window);
	scan->window = NULL;
	scan->window_size = scan->window_len = 0;
}

void segment_scan_move(struct segment_scan *scan, struct segment *segment, uint64_t offset,
		       uint64_t limit)
{
	scan->segment = segment;
	scan->offset = offset;
	scan->limit = limit;
	scan->window_len = 0;
}

static int make_room(struct segment_scan *scan, size_t need)
{
	unsigned char *window;

	if (need <= scan->window_size)
		return 0;
	if (need < WINDOW_SIZE)
		need = WINDOW_SIZE;
	window = realloc(scan->window, need); /* a large one moves without a copy */
	if (!window)
		return -ENOMEM;
	scan->window = window;
	scan->window_size = need;
	return 0;
}

/* Makes the window begin at scan->offset and hold n bytes, fewer only where the file ends.
 * What it has of them, from at on, is not read again. */
static int fill(struct segment_scan *scan, size_t at, size_t n)
{
	size_t kept = scan->window_len - at, got;
	int rc = make_room(scan, n);

	if (rc)
		return rc;
	memmove(scan->window, scan->window + at, kept);
	scan->window_start = scan->offset;
	scan->window_len = kept;
	rc = segment_pread(scan->segment, scan->window + kept, n - kept, scan->offset + kept, &got);
	if (rc)
		return rc;
	scan->window_len += got;
	if (got < n - kept) /* cut since its size was taken */
		scan->limit = scan->offset + scan->window_len;
	return 0;
}

/* Points *p at the byte at scan->offset, with at least need bytes behind it,
 * fewer only at the limit. */
static int look(struct segment_scan *scan, size_t need, const unsigned char **p, size_t *len)
{
	uint64_t left = scan->limit - scan->offset;
	uint64_t at = scan->offset - scan->window_start; /* huge when before it */
	size_t n = need > WINDOW_SIZE ? need : WINDOW_SIZE;
	int rc;

	if (at > scan->window_len)
		at = scan->window_len;
	if (need > left)
		need = (size_t)left;
	if (need > scan->window_len - at) {
		rc = fill(scan, at, n < left ? n : (size_t)left);
		if (rc)
			return rc;
		at = 0;
	}
	*p = scan->window + at;
	*len = scan->window_len - (size_t)at;
	return 0;
}

/* The fixed part of the frame at scan->offset, as frame_parse_header(). */
static int parse_here(struct segment_scan *scan, struct dwal_record *record,
		      enum dwal_frame_status *status)
{
	const unsigned char *p;
	size_t len;
	int rc = look(scan, DWAL_HEADER_SIZE, &p, &len);

	if (rc)
		return rc;
	*status = frame_parse_header(p, len, record);
	if (*status >= DWAL_BAD_MAGIC && frame_header_is_torn(p, scan->offset))
		*status = DWAL_ZEROED_HEADER;
	if (*status == DWAL_FRAME_OK && record->length > scan->limit - scan->offset)
		*status = DWAL_TRUNCATED;
	return 0;
}

/* As dwal_frame_decode(), for the frame at scan->offset. */
static int decode_here(struct segment_scan *scan, struct dwal_record *record,
		       enum dwal_frame_status *status)
{
	const unsigned char *p;
	size_t len;
	int rc = parse_here(scan, record, status);

	if (rc || *status != DWAL_FRAME_OK)
		return rc;
	rc = look(scan, record->length, &p, &len);
	if (rc)
		return rc;
	*status = dwal_frame_decode(p, len, record);
	return 0;
}

/* Of a frame that fits no window and whose header is parsed, but for the payload's data.
 * window: WINDOW_SIZE bytes. */
static int decode_large(struct segment *segment, uint64_t offset, void *window,
			struct dwal_record *record, enum dwal_frame_status *status)
{
	const struct segment_area head = {window, DWAL_HEADER_SIZE + record->key.len};
	const struct segment_area rest = {(unsigned char *)window + head.len,
					  WINDOW_SIZE - head.len};
	int rc = segment_read_apart(segment, offset, record->length, head, rest, record, status);

	record->key.data = (unsigned char *)window + DWAL_HEADER_SIZE;
	return rc;
}

/* The same with the memory of one window. */
static int decode_bounded(struct segment_scan *scan, struct dwal_record *record,
			  enum dwal_frame_status *status)
{
	int rc = parse_here(scan, record, status);

	if (rc || *status != DWAL_FRAME_OK)
		return rc;
	if (record->length <= WINDOW_SIZE)
		return decode_here(scan, record, status);
	scan->window_len = 0; /* its memory is needed */
	return decode_large(scan->segment, scan->offset, scan->window, record, status);
}

/* The same without data. */
static int check_here(struct segment_scan *scan, struct dwal_record *record,
		      enum dwal_frame_status *status)
{
	int rc = decode_bounded(scan, record, status);

	record->key.data = record->payload.data = NULL;
	return rc;
}

/* The same again, for a frame that was found valid before: its CRC as stored. */
static int pass_here(struct segment_scan *scan, struct dwal_record *record,
		     enum dwal_frame_status *status)
{
	unsigned char header[DWAL_HEADER_SIZE], trailer[DWAL_TRAILER_SIZE];
	size_t got;
	int rc = segment_pread(scan->segment, header, sizeof(header), scan->offset, &got);

	if (rc)
		return rc;
	*status = frame_parse_header(header, got, record);
	if (*status == DWAL_FRAME_OK && record->length > scan->limit - scan->offset)
		*status = DWAL_TRUNCATED;
	if (*status != DWAL_FRAME_OK)
		return 0;
	rc = segment_read(scan->segment, scan->offset + record->length - sizeof(trailer), trailer,
			  sizeof(trailer));
	if (rc > 0)
		*status = DWAL_TRUNCATED; /* cut since it was found valid */
	record->crc32c = frame_stored_crc(trailer + sizeof(trailer));
	return rc < 0 ? rc : 0;
}

typedef int (*decode_fn)(struct segment_scan *scan, struct dwal_record *record,
			 enum dwal_frame_status *status);

static int next(struct segment_scan *scan, decode_fn decode, struct dwal_record *record,
		enum dwal_frame_status *status)
{
	struct dwal_record found;
	int rc;

	*status = DWAL_FRAME_OK;
	if (scan->offset >= scan->limit)
		return DWAL_END;
	rc = decode(scan, &found, status);
	if (rc)
		return rc;
	if (scan->offset >= scan->limit) { /* the file turned out to end here */
		*status = DWAL_FRAME_OK;
		return DWAL_END;
	}
	if (*status != DWAL_FRAME_OK)
		return DWAL_END;
	found.segment = scan->segment->id;
	found.offset = scan->offset;
	scan->offset += found.length;
	*record = found;
	return 0;
}

int segment_scan_next(struct segment_scan *scan, struct dwal_record *record,
		      enum dwal_frame_status *status)
{
	return next(scan, decode_here, record, status);
}

int segment_scan_next_bounded(struct segment_scan *scan, struct dwal_record *record,
			      enum dwal_frame_status *status)
{
	return next(scan, decode_bounded, record, status);
}

int segment_scan_check(struct segment_scan *scan, uint64_t checked, struct dwal_record *record,
		       enum dwal_frame_status *status)
{
	return next(scan, scan->offset < checked ? pass_here : check_here, record, status);
}

const void *segment_scan_frame(const struct segment_scan *scan, const struct dwal_record *record)
{
	return scan->window + (record->offset - scan->window_start);
}

int segment_scan_hold(struct segment_scan *scan, uint64_t behind, struct dwal_record *record,
		      enum dwal_frame_status *status)
{
	const unsigned char *p;
	size_t there;
	int rc;

	if (behind > scan->window_size || record->length > scan->window_size - behind)
		return 0;
	scan->offset = record->offset;
	rc = look(scan, record->length + (size_t)behind, &p, &there);
	return rc ? rc : segment_scan_next(scan, record, status);
}

int segment_scan_ahead(struct segment_scan *ahead, const struct segment_scan *scan, uint64_t len)
{
	size_t at = (size_t)(scan->offset - scan->window_start), have = scan->window_len - at;
	int rc;

	segment_scan_move(ahead, scan->segment, scan->offset, scan->limit);
	rc = make_room(ahead, WINDOW_SIZE);
	if (rc)
		return rc;
	have = have < len ? have : (size_t)len;
	ahead->window_len = have < ahead->window_size ? have : ahead->window_size;
	ahead->window_start = scan->offset;
	memcpy(ahead->window, scan->window + at, ahead->window_len);
	return 0;
}

int segment_search_init(struct segment_search *search, struct segment *segment, uint64_t offset,
			uint64_t limit)
{
	*search = (struct segment_search){.budget = 256u << 20};
	if (offset < limit)
		search->budget += 4 * (limit - offset);
	segment_scan_init(&search->scan, segment, offset, limit);
	search->buffer = malloc(WINDOW_SIZE);
	return search->buffer ? 0 : -ENOMEM;
}

void segment_search_release(struct segment_search *search)
{
	segment_scan_release(&search->scan);
	free(search->buffer);
	search->buffer = NULL;
}

/* Checks the frame whose header is at p, at scan->offset. */
static int check_frame(struct segment_search *search, const unsigned char *p, size_t len,
		       struct dwal_record *record, enum dwal_frame_status *status)
{
	struct segment_scan *scan = &search->scan;

	*status = frame_parse_header(p, len, record);
	if (*status != DWAL_FRAME_OK)
		return 0;
	if (record->length > scan->limit - scan->offset) {
		*status = DWAL_TRUNCATED;
		return 0;
	}
	if (record->length > search->budget) {
		search->ended_early = true;
		scan->offset = scan->limit;
		*status = DWAL_TRUNCATED;
		return 0;
	}
	search->budget -= record->length;
	if (record->length > len)
		return decode_large(scan->segment, scan->offset, search->buffer, record, status);
	*status = dwal_frame_decode(p, len, record);
	return 0;
}

/* Looks at scan->offset, where the magic stands, and steps past what is found
 * there. 1: no frame. */
static int try_frame(struct segment_search *search, const unsigned char *p, size_t len,
		     struct dwal_record *record)
{
	struct segment_scan *scan = &search->scan;
	enum dwal_frame_status status;
	struct dwal_record found;
	int rc = check_frame(search, p, len, &found, &status);

	if (rc)
		return rc;
	if (status != DWAL_FRAME_OK) {
		scan->offset += scan->offset < scan->limit;
		return 1;
	}
	found.segment = scan->segment->id;
	found.offset = scan->offset;
	found.key.data = found.payload.data = NULL;
	scan->offset += found.length;
	*record = found;
	return 0;
}

static int search_step(struct segment_search *search, struct dwal_record *record)
{
	struct segment_scan *scan = &search->scan;
	const unsigned char *p, *magic;
	size_t len;
	int rc = look(scan, DWAL_HEADER_SIZE, &p, &len);

	if (rc)
		return rc;
	magic = memmem(p, len, FRAME_MAGIC, FRAME_MAGIC_SIZE);
	if (!magic) {
		/* The last bytes may be the start of one; fewer than a magic at
		 * the limit are not. */
		scan->offset += len < FRAME_MAGIC_SIZE ? len : len - (FRAME_MAGIC_SIZE - 1);
		return 1;
	}
	scan->offset += (uint64_t)(magic - p);
	rc = look(scan, DWAL_HEADER_SIZE, &p, &len);
	return rc ? rc : try_frame(search, p, len, record);
}

int segment_search_next(struct segment_search *search, struct dwal_record *record)
{
	while (search->scan.offset < search->scan.limit) {
		int rc = search_step(search, record);

		if (rc <= 0)
			return rc;
	}
	return DWAL_END;
}
