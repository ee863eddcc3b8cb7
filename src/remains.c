/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Going on behind damage. Hostile bytes cost no more than the search for intact
 * records does: what is checked twice is taken from its budget. Must not know
 * what becomes of the records.
 */
#include "remains.h"
#include "frame.h"
#include "util.h"

#include <errno.h>

/* In a value that is larger too many bytes explain any damage: in this one 1 of 16. */
#define TELLS_MOST (1u << 20)

void remains_init(struct remains *remains, struct segment *segment, uint64_t offset, uint64_t limit,
		  bool judge)
{
	*remains = (struct remains){0};
	operation_scan_move(&remains->scan, segment, offset, limit, judge);
}

void remains_release(struct remains *remains)
{
	operation_scan_release(&remains->scan);
	if (remains->searching)
		segment_search_release(&remains->search);
	free(remains->key);
	remains->key = NULL;
}

static int begin_search(struct remains *remains)
{
	const struct segment_scan *at = &remains->scan.scan;

	if (remains->searching)
		return 0;
	remains->searching = true;
	return segment_search_init(&remains->search, at->segment, at->offset, at->limit);
}

/* False: nothing is left, and what follows is lost as a whole. */
static bool spend(struct remains *remains, uint64_t bytes)
{
	if (bytes > remains->search.budget)
		remains->search.ended_early = true;
	else
		remains->search.budget -= bytes;
	return !remains->search.ended_early;
}

static int search_from(struct remains *remains, uint64_t offset, uint64_t *to)
{
	struct segment_search *search = &remains->search;
	struct dwal_record found;
	int rc;

	*to = remains->scan.scan.limit;
	search->scan.offset = offset;
	rc = search->ended_early ? DWAL_END : segment_search_next(search, &found);
	if (rc == 0)
		*to = found.offset;
	return rc < 0 ? rc : 0;
}

/* The fixed part of the frame at an offset, if it looks like one and ends before
 * the limit: 0. 1: not so. -errno. */
static int look_at(const struct remains *remains, uint64_t offset, struct dwal_record *out)
{
	const struct segment_scan *at = &remains->scan.scan;
	unsigned char header[DWAL_HEADER_SIZE];
	int rc;

	if (at->limit - offset < sizeof(header))
		return 1;
	rc = segment_read(at->segment, offset, header, sizeof(header));
	if (!rc && frame_parse_header(header, sizeof(header), out) != DWAL_FRAME_OK)
		rc = 1;
	return !rc && out->length > at->limit - offset ? 1 : rc;
}

/* Whose record it was. Not said where that may be what has changed. */
static int read_key(struct remains *remains, struct dwal_record *record, struct dwal_lost *lost)
{
	const uint64_t checked = record->length - DWAL_TRAILER_SIZE;
	struct segment *segment = remains->scan.scan.segment;
	unsigned char stored[DWAL_TRAILER_SIZE];
	unsigned changes;
	uint32_t crc = 0;
	int rc = segment_crc(segment, record->offset, checked, remains->search.buffer,
			     SEGMENT_WINDOW_SIZE, &crc);

	if (!rc)
		rc = segment_read(segment, record->offset + checked, stored, sizeof(stored));
	record->crc32c = frame_stored_crc(stored + sizeof(stored));
	if (rc)
		return rc < 0 ? rc : 0;
	changes = frame_changes(record, crc ^ record->crc32c);
	if (changes & FRAME_CHANGE_KEY)
		return 0;
	if (!remains->key)
		remains->key = malloc(DWAL_MAX_KEY);
	if (!remains->key)
		return -ENOMEM;
	rc = segment_read(segment, record->offset + DWAL_HEADER_SIZE, remains->key,
			  record->key.len);
	record->key.data = remains->key;
	if (rc)
		return rc < 0 ? rc : 0;
	remains->only_value = changes == FRAME_CHANGE_VALUE && record->payload.len <= TELLS_MOST;
	lost->key_known = true;
	lost->record = *record;
	return 0;
}

/* The frame whose CRC is wrong: up to where it says that it ends. 1: what stands
 * there does not bear that out. */
static int pass_frame(struct remains *remains, struct dwal_lost *lost, uint64_t *to)
{
	struct dwal_record record, next;
	int rc = look_at(remains, lost->offset, &record);

	if (rc)
		return rc;
	if (!spend(remains, 2 * (uint64_t)record.length))
		return 1;
	*to = lost->offset + record.length;
	if (*to < remains->scan.scan.limit)
		rc = look_at(remains, *to, &next);
	if (rc)
		return rc;
	record.segment = lost->segment;
	record.offset = lost->offset;
	return read_key(remains, &record, lost);
}

/* What there is of an operation that is cut short. */
static void pass_cut(struct remains *remains, uint64_t *to)
{
	*to = remains->scan.behind;
	remains->cut = true;
	remains->cut_txid = remains->scan.txid;
	remains->scan.cut = false;
}

static int pass(struct remains *remains, enum dwal_frame_status status, struct dwal_lost *lost)
{
	struct segment_scan *at = &remains->scan.scan;
	uint64_t to;
	int rc = begin_search(remains);

	remains->only_value = false;
	*lost = (struct dwal_lost){
		.segment = at->segment->id, .offset = at->offset, .reason = status};
	if (rc)
		return rc;
	if (remains->scan.cut)
		pass_cut(remains, &to);
	else
		rc = status == DWAL_BAD_CRC ? pass_frame(remains, lost, &to) : 1;
	if (rc > 0)
		rc = search_from(remains, at->offset + 1, &to);
	if (rc)
		return rc;
	at->offset = to;
	lost->bytes = to - lost->offset;
	return REMAINS_LOST;
}

int remains_next(struct remains *remains, struct dwal_record *record, struct dwal_lost *lost)
{
	enum dwal_frame_status status;
	int rc = operation_scan_next(&remains->scan, record, &status);

	if (rc == DWAL_END && status != DWAL_FRAME_OK)
		return pass(remains, status, lost);
	if (rc || !remains->cut || record->txid != remains->cut_txid)
		return rc;
	*lost = (struct dwal_lost){.segment = record->segment,
				   .offset = record->offset,
				   .bytes = record->length,
				   .reason = DWAL_PARTIAL};
	return REMAINS_LOST;
}
