/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Records of one log into another, in order and with new txids: what was one
 * operation is one again, under a header with its old lines. So what tells times
 * stays as it was. Must not know where the records come from.
 */
#ifndef DWAL_REGROUP_H
#define DWAL_REGROUP_H

#include "datawal.h"

#include <time.h>

/* A segment of the new log whose records say no time: that of their source. */
struct regroup_time {
	uint32_t segment;
	struct timespec mtime;
};

/* Zero, with a log, is ready. */
struct regroup {
	dwal_log *log; /* borrowed */

	/* what is not written yet */
	struct dwal_op *ops; /* with copies of keys and payloads */
	size_t n, room, bytes;
	bool in_operation;        /* a header was there: */
	uint64_t txid, announced; /* its txid and n */
	struct dwal_line *lines;
	size_t line_count;
	char *text; /* that they point into */

	/* the source, and the active segment of the log */
	bool is_fresh; /* nothing of this source was written yet */
	struct timespec mtime;
	uint64_t written; /* bytes in that segment */
	struct regroup_time *times;
	size_t time_count;

	uint64_t records;    /* written, without headers */
	uint64_t incomplete; /* operations of which not all announced records were there */
	uint64_t left_out;   /* records that name txids: horizons, tags, copied headers */
	bool has_horizon;    /* one of them was one */
};

/* What follows comes from a segment with this time of modification. Functions
 * that return int: 0, -ENOMEM or as dwal_log_batch(). */
int regroup_source(struct regroup *regroup, struct timespec mtime);

/* Copies the record; it is written with others, or by regroup_flush(). */
int regroup_add(struct regroup *regroup, const struct dwal_record *record);
int regroup_flush(struct regroup *regroup);

void regroup_release(struct regroup *regroup);

#endif
