/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Recovery policy: what damage means, and what is done about a torn tail.
 */
#ifndef DWAL_RECOVER_H
#define DWAL_RECOVER_H

#include "datawal.h"
#include "operation.h"
#include "report.h"
#include "segment.h"

/* What a replay goes to. */
struct recovery {
	const char *dir;         /* for messages */
	dwal_observe_fn observe; /* may be NULL */
	dwal_lost_fn lost;       /* degraded; may be NULL */
	void *observe_ctx;
	struct report *report;
	bool degraded; /* recover_replay() goes on behind damage, to the segment's end */
	enum dwal_verify verify;
	int dirfd; /* of the index files */
};

/* Fills *error for damage that is not a torn tail; returns DWAL_ECORRUPT. */
int recover_describe(const char *where, const struct dwal_damage *damage, struct dwal_error *error);

/* Looks for the intact records behind a damage, at which scan has ended, and
 * counts them in it. 0 or -errno. */
int recover_count_intact(const struct operation_scan *scan, struct dwal_damage *damage);

/* True if this is what a power cut leaves at the end of the active segment. */
bool recover_is_torn_tail(bool active, enum dwal_frame_status reason);

/* Replays a segment up to segment->end, by its index file where that is asked for and
 * one fits, then sets end and records to what is whole. A damage goes into the report with the
 * intact records behind it; a torn tail is then no error, anything else is DWAL_ECORRUPT, unless
 * degraded: then nothing is, and what is lost goes into the report as well. Also a negative value
 * from observe or lost, or -errno. */
int recover_replay(struct recovery *recovery, struct segment *segment, bool active,
		   struct dwal_error *error);

/* Copies the torn tail behind segment->end to a side file and cuts it off.
 * 0; 1 when the copy could not be made and so nothing was cut: *why is then
 * the -errno; -errno when cutting failed, the copy being safe. */
int recover_cut_tail(const struct io *io, int dirfd, struct segment *segment, struct report *report,
		     int *why);

/* Where the segment's file has other names, of a backup by hard links: a synced
 * copy takes this name, and is what segment->fd is open at, for reading and
 * writing. 0 also when there was nothing to do; 1: there is no copy, for the
 * reason *why, and all is as it was; or -errno. */
int recover_own_copy(const struct io *io, int dirfd, struct segment *segment, int *why);

#endif
