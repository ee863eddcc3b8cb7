/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What history= means: from numbers about the disk and the log, whether the
 * mount is to compact by itself now, and how far. Pure: looks at no file and no
 * clock.
 */
#ifndef GIVEBACK_H
#define GIVEBACK_H

#include "fs.h"

#define GIVEBACK_REST_SECONDS   600
#define GIVEBACK_RECENT_SECONDS 3600

/* What it remembers of a mount. Zero but for the limit is ready. */
struct giveback {
	struct history_limit limit;
	int64_t rests_until;  /* seconds of the clock that is given */
	uint64_t free;        /* of the disk, when it was last looked at */
	uint64_t unshown;     /* freed, and not seen as free so far */
	uint64_t hopeless;    /* of the dead bytes: found not to be able to go */
	int64_t recent_until; /* all that can go is less than an hour old */
	int64_t aged_since;   /* what was dead then may go an hour later; */
	uint64_t aged_dead;   /* 0: nothing is noted */
};

/* Now. In bytes. */
struct giveback_disk {
	uint64_t total;
	uint64_t free; /* for who mounts */
	bool was_full; /* an append has found no room */
};

struct giveback_log {
	uint64_t bytes;
	uint64_t dead;
	unsigned worst_percent; /* dead bytes of the segment that has the most for its size */
};

struct giveback_plan {
	enum { GIVEBACK_NOT, GIVEBACK_ASKS_FOR_THE_LOG, GIVEBACK_RUN } what;
	const char *why;           /* or why not; static */
	struct history_limit keep; /* HISTORY_NONE, HISTORY_BYTES, HISTORY_AGE */
	uint64_t enough;
	unsigned least_percent;
	bool most_dead_first;
};

/* What to do at this moment. Without a log (NULL) it is asked for where it
 * matters, which it seldom does. */
struct giveback_plan giveback_decide(struct giveback *giveback, int64_t clock,
				     const struct giveback_disk *disk,
				     const struct giveback_log *log);

/* A compaction, whoever began it, has freed so many bytes (more); and what the
 * disk says now, at whatever time. */
void giveback_freed(struct giveback *giveback, uint64_t bytes);
void giveback_sees(struct giveback *giveback, uint64_t free);

/* One that was decided on has ended, with what is dead now. complete: it has
 * freed whatever can be freed by its plan. */
void giveback_ended(struct giveback *giveback, int64_t clock, const struct giveback_plan *plan,
		    uint64_t freed, uint64_t dead, bool complete);

#endif
