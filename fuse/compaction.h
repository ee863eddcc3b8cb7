/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is asked of the compaction of the mounted log, and how it goes: between
 * the requests, what .log tells, and the thread that does it
 * (mount/compactor.h). Knows neither the log nor why a compaction is wanted.
 */
#ifndef COMPACTION_H
#define COMPACTION_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "datawal.h"
#include "mountctl.h"

struct compaction_told {
	struct mountctl_compact_state state; /* the last one, or the one that is running */
	const char *why;                     /* it began; static */
};

struct compaction {
	pthread_mutex_t lock; /* innermost of all; protects the rest */
	pthread_cond_t wake;
	struct mountctl_compact order;
	bool ordered;                /* and not begun yet */
	bool stopped;                /* the one that is running is to end */
	bool full;                   /* an append found no room */
	bool ended;                  /* for good */
	struct compaction_told now;  /* the last one or the running one */
	struct compaction_told last; /* the last that was no dry run and has ended */
	const char *why_not;         /* none is begun by the mount itself; static */
};

void compaction_init(struct compaction *compaction);
void compaction_release(struct compaction *compaction);

/* Has one begun. 0, EINVAL, or EBUSY: one runs, or is to begin. */
int compaction_order(struct compaction *compaction, const struct mountctl_compact *order);

/* Has the one end that is running or about to begin. Waits for nothing. */
void compaction_stop(struct compaction *compaction);

/* An append found no room on the disk. Under any lock. */
void compaction_note_full(struct compaction *compaction);

/* How it goes, or the last one went; and, whatever is asked for meanwhile, the
 * last that changed the log: state.run is 0 where there was none. */
struct mountctl_compact_state compaction_state(struct compaction *compaction);
struct compaction_told compaction_last(struct compaction *compaction, const char **why_not);

/* ---- for the thread that does it ---- */

/* Waits for an order, for a disk without room, or until the deadline
 * (CLOCK_MONOTONIC). False: compaction_end() was called. */
struct compaction_call {
	bool ordered;
	struct mountctl_compact order;
	bool full;
};
bool compaction_await(struct compaction *compaction, const struct timespec *deadline,
		      struct compaction_call *out);

/* One begins, ordered or by itself. */
void compaction_begin(struct compaction *compaction, bool ordered, uint32_t flags, const char *why);

/* How it goes. 0, or -ECANCELED: it is to end. */
int compaction_progress(struct compaction *compaction, const struct dwal_rewrite_stats *so_far);

/* It has ended with a result of the library; message is copied. */
void compaction_finish(struct compaction *compaction, int result, const char *message,
		       const struct dwal_rewrite_stats *stats);

/* Why the mount begins none by itself; static. */
void compaction_decline(struct compaction *compaction, const char *why_not);

/* Ends the wait and what is running, now and from here on. Any thread. */
void compaction_end(struct compaction *compaction);

#endif
