/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * When the records of a log were written, while it is read from its start: by
 * the headers of operations, by the clock records of earlier versions, or else
 * by the segment's own time. The rules are those of ATTRIBUTES.md. Pure.
 */
#ifndef LOGTIME_H
#define LOGTIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "datawal.h"

/* What a record says of times by standing where it stands. */
struct record_time {
	struct timespec mtime;   /* of a Put's content */
	struct timespec ctime;   /* of its status */
	struct timespec entered; /* of the directory where a name came */
	struct timespec time;    /* of everything else: a directory where a name went */
	bool removes;            /* a name that goes changes its directory's time */
	bool enters;             /* a name that is there already comes anew */
};

/* A segment's own time, where an operation in it says what that was before. */
struct segment_time {
	uint32_t segment;
	struct timespec time;
};

/* All zero is the start of a log. */
struct logtime {
	struct record_time now; /* of the operation, or of what follows it */
	uint64_t txid;          /* of the operation */
	uint32_t segment;       /* where it stands */
	bool by_clock;          /* a clock record came after it */
	bool timed;             /* one of the two has been */
	struct segment_time *found;
	size_t found_count;
};

/* The next record of the log; what it says goes to *out. 0 or -ENOMEM. */
int logtime_next(struct logtime *logtime, const struct dwal_record *record,
		 struct record_time *out);

/* What the segment's own time was before a mount wrote to it. False: its file
 * tells. */
bool logtime_found(const struct logtime *logtime, uint32_t segment, struct timespec *out);

void logtime_release(struct logtime *logtime);

/* A time that stands for the own time of a segment, until the log has been
 * read. No other one is like it. */
#define SEGMENT_TIME_NSEC (-1)

static inline struct timespec time_of_segment(uint32_t segment)
{
	return (struct timespec){segment, SEGMENT_TIME_NSEC};
}

static inline bool is_time_of_segment(struct timespec time)
{
	return time.tv_nsec == SEGMENT_TIME_NSEC;
}

#endif
