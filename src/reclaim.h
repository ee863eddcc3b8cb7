/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Compaction in place: what its three steps share. reclaim.c surveys the log
 * and goes through the segments, reclaim_plan.c says what of one stays,
 * reclaim_write.c makes it so.
 */
#ifndef DWAL_RECLAIM_H
#define DWAL_RECLAIM_H

#include "datawal.h"
#include "facts.h"
#include "segment.h"

struct reclaim {
	dwal_kv *kv;
	struct dwal_rewrite_options options;
	struct dwal_rewrite_stats stats;
	struct facts facts;
	bool tells_time;   /* there are records of DWAL_RAW_TIME */
	uint32_t *damaged; /* segments: nothing goes because of what lies in one */
	size_t damaged_count;
	bool compares;      /* the segment that is surveyed with what its index file told: */
	uint32_t index_crc; /* of its records, as index.h counts it */
	uint64_t untold;    /* bytes read or written since the last call of progress */
	int stopped;        /* what that returned, if negative */
	struct dwal_error *error;
};

/* Hands each record of a segment up to end to fn. 0; 1 where it is damaged, or
 * cannot be read; -ENOMEM, or what stopped it. */
typedef int (*reclaim_record_fn)(void *ctx, const struct dwal_record *record);
int reclaim_each(const struct reclaim *reclaim, struct segment *segment, uint64_t end,
		 reclaim_record_fn fn, void *ctx);

/* So many bytes more are read. The caller's negative value, or 0. */
int reclaim_tick(struct reclaim *reclaim, uint64_t bytes);

/* The same for bytes that were counted when they were planned. */
int reclaim_work(struct reclaim *reclaim, uint64_t bytes);

bool reclaim_is_damaged(const struct reclaim *reclaim, uint32_t segment);

/* Fills in the error; returns err. */
int reclaim_fail(struct reclaim *reclaim, uint32_t segment, const char *what, int err);

static inline enum dwal_raw_kind reclaim_kind(const struct reclaim *reclaim,
					      const struct dwal_record *record)
{
	return record->type == DWAL_RAW && reclaim->options.raw_kind
		       ? reclaim->options.raw_kind(reclaim->options.raw_kind_ctx, record)
		       : DWAL_RAW_OTHER;
}

/* What of a segment stays, by the number of the record in it. Zero is ready. */
struct plan {
	unsigned char *stays; /* a bit for each */
	uint64_t room;        /* of these */
	uint64_t records, dropped;
	uint64_t end;                 /* of the segment, as planned */
	uint64_t kept;                /* bytes, the horizon among them */
	struct dwal_horizon given_up; /* by this plan */
	struct dwal_horizon horizon;  /* with those that the segment had; empty: none is written */
	uint64_t horizon_at, horizon_txid; /* takes the place of this record */
	bool damaged;
};

void plan_release(struct plan *plan);

static inline bool plan_stays(const struct plan *plan, uint64_t i)
{
	return plan->stays[i / 8] >> i % 8 & 1;
}

/* Judges a segment up to end; to be released also on failure. 0, also where it
 * is damaged, which the plan says; -ENOMEM, or what stopped it. */
int reclaim_plan(struct reclaim *reclaim, struct segment *segment, uint64_t end, struct plan *plan);

/* The payload of a header, of this record, that announces nothing and keeps its
 * lines, newly allocated. 0, -ENOMEM. */
int reclaim_header(const struct dwal_record *record, const struct dwal_header *header, void **out,
		   size_t *len);

/* Seals the active segment. 0 or an error, said. */
int reclaim_seal(struct reclaim *reclaim, uint32_t active);

/* Rewrites a sealed segment as planned. 0 or an error, said; then it is as it
 * was. */
int reclaim_write(struct reclaim *reclaim, struct segment *segment, const struct plan *plan);

#endif
