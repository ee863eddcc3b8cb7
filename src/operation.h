/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Where a log ends: the one place that judges whether an operation is whole.
 * A scan that does so, and the search for what is intact behind its end.
 */
#ifndef DWAL_OPERATION_H
#define DWAL_OPERATION_H

#include "datawal.h"
#include "scan.h"

/* Goes through the records of one segment. */
struct operation_scan {
	struct segment_scan scan; /* its offset: of the next record; of the damage, once found */
	bool judge;               /* whether operations are whole: in the highest segment */
	uint64_t whole;           /* the operation that ends here is */
	struct segment_scan ahead;
	uint64_t checked; /* frames that begin before here were found valid, looking ahead */
	bool cut;         /* the scan has ended at an operation that is cut short: */
	uint64_t behind;  /* behind what there is of it, */
	uint64_t txid;    /* and its txid: nothing that bears it is taken for intact */
};

/* Zero has no memory. Moves the scan, and its memory, to a place in a segment;
 * limit as for segment_scan_init(). An operation that begins before offset is
 * not judged. */
void operation_scan_move(struct operation_scan *scan, struct segment *segment, uint64_t offset,
			 uint64_t limit, bool judge);
void operation_scan_release(struct operation_scan *scan);

/* As segment_scan_next(). Where the log ends before a header, *status is
 * DWAL_PARTIAL and the offset is the header's. */
int operation_scan_next(struct operation_scan *scan, struct dwal_record *record,
			enum dwal_frame_status *status);

/* Finds the intact records behind the damage at which a scan has ended; with_cut:
 * and what there is of an operation that is cut short, which is none. As the
 * functions of struct segment_search. */
struct operation_search {
	struct segment_search search;
	bool cut;
	uint64_t txid;
};
int operation_search_init(struct operation_search *search, const struct operation_scan *scan,
			  bool with_cut);
void operation_search_release(struct operation_search *search);
int operation_search_next(struct operation_search *search, struct dwal_record *record);

#endif
