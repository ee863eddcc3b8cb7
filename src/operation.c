/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Where a log ends. A crash can keep the first records of an operation; its
 * header tells which there must be. Must not know what is done about it, nor
 * which segment is the highest.
 */
#include "operation.h"
#include "header.h"

void operation_scan_move(struct operation_scan *scan, struct segment *segment, uint64_t offset,
			 uint64_t limit, bool judge)
{
	segment_scan_move(&scan->scan, segment, offset, limit);
	scan->judge = judge;
	scan->whole = scan->checked = 0;
	scan->cut = false;
}

void operation_scan_release(struct operation_scan *scan)
{
	segment_scan_release(&scan->scan);
	segment_scan_release(&scan->ahead);
}

/* WHOLE: all that is announced is there. CUT: only the first of it, or none,
 * and then the log ends as a crash can end it. VOID: something else stands
 * there. */
enum verdict { WHOLE, CUT, VOID };

static bool is_announced(const struct dwal_header *header, uint64_t i,
			 const struct dwal_record *record)
{
	return record->txid == header->txid && record->crc32c == header_crc(header, i);
}

/* On the n frames behind the header that was just read. 0 or -errno. */
static int look_ahead(struct operation_scan *scan, const struct dwal_header *header,
		      enum verdict *verdict)
{
	enum dwal_frame_status status;
	struct dwal_record found;
	int rc = segment_scan_ahead(&scan->ahead, &scan->scan, header->bytes);

	*verdict = WHOLE;
	for (uint64_t i = 0; !rc && *verdict == WHOLE && i < header->n; i++) {
		rc = segment_scan_check(&scan->ahead, scan->checked, &found, &status);
		if (rc == DWAL_END)
			*verdict = status < DWAL_BAD_MAGIC ? CUT : VOID;
		else if (!rc && !is_announced(header, i, &found))
			*verdict = VOID;
	}
	return rc < 0 ? rc : 0;
}

/* One that another implementation has appended to, knowing no headers, is void
 * for ever: nothing is cut because of it. */
static int judge(struct operation_scan *scan, const struct dwal_header *header, uint64_t offset,
		 enum dwal_frame_status *status)
{
	enum verdict verdict;
	int rc = look_ahead(scan, header, &verdict);

	if (rc)
		return rc;
	if (verdict == WHOLE)
		scan->whole = scan->ahead.offset;
	if (verdict == VOID && scan->checked < scan->ahead.offset)
		scan->checked = scan->ahead.offset; /* not again for the next header */
	if (verdict != CUT)
		return 0;
	scan->scan.offset = offset;
	scan->behind = scan->ahead.offset;
	scan->cut = true;
	scan->txid = header->txid;
	*status = DWAL_PARTIAL;
	return DWAL_END;
}

static bool is_judged(const struct operation_scan *scan, const struct dwal_record *record,
		      struct dwal_header *header)
{
	return scan->judge && record->offset >= scan->whole && dwal_header_parse(record, header) &&
	       header->n > 1;
}

int operation_scan_next(struct operation_scan *scan, struct dwal_record *record,
			enum dwal_frame_status *status)
{
	struct dwal_header header;
	int rc = segment_scan_next(&scan->scan, record, status);

	if (rc || !is_judged(scan, record, &header))
		return rc;
	rc = segment_scan_hold(&scan->scan, header.bytes, record, status);
	if (rc || !is_judged(scan, record, &header))
		return rc;
	return judge(scan, &header, record->offset, status);
}

int operation_search_init(struct operation_search *search, const struct operation_scan *scan,
			  bool with_cut)
{
	const struct segment_scan *at = &scan->scan;
	uint64_t behind = scan->cut ? scan->behind : at->offset + 1;

	if (scan->cut && with_cut)
		behind = at->offset;
	search->cut = scan->cut && !with_cut;
	search->txid = scan->txid;
	return segment_search_init(&search->search, at->segment, behind, at->limit);
}

void operation_search_release(struct operation_search *search)
{
	segment_search_release(&search->search);
}

int operation_search_next(struct operation_search *search, struct dwal_record *record)
{
	int rc;

	do
		rc = segment_search_next(&search->search, record);
	while (!rc && search->cut && record->txid == search->txid);
	return rc;
}
