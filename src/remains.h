/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What remains of a damaged file: its intact records, and the ranges between
 * them in which there is none. For who asked for it; nothing of it is the log.
 */
#ifndef DWAL_REMAINS_H
#define DWAL_REMAINS_H

#include "datawal.h"
#include "operation.h"

struct remains {
	struct operation_scan scan;
	bool searching;               /* the first damage was met: */
	struct segment_search search; /* goes on behind one; its budget is for all of them */
	bool cut;                     /* an operation of that txid is cut short: what bears it */
	uint64_t cut_txid;            /* is no record */
	unsigned char *key;           /* of the frame that was lost last */
	bool only_value;              /* of that a byte of the value or CRC changed, and no other */
};

/* Where damage is passed: the bytes of a frame by what it says of its length, if
 * another one follows there or the file ends; else all up to the next whole
 * frame, which is found as segment_search_next() finds it. judge: whether
 * operations are whole, as for an operation_scan. */
void remains_init(struct remains *remains, struct segment *segment, uint64_t offset, uint64_t limit,
		  bool judge);
void remains_release(struct remains *remains);

#define REMAINS_LOST 2

/* 0: *record is the next one, valid until the next call. REMAINS_LOST: *lost is
 * what lies before the next one, its key valid until the next call, its file
 * NULL. DWAL_END, -errno. */
int remains_next(struct remains *remains, struct dwal_record *record, struct dwal_lost *lost);

#endif
