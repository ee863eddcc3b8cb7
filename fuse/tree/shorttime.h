/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A time in 64 bits: seconds above nanoseconds, which need 30 of them. So every
 * time from 1697 to 2514 has its own, exactly, and so has the mark of a segment's
 * time (logtime.h); they compare as numbers. Pure.
 */
#ifndef TREE_SHORTTIME_H
#define TREE_SHORTTIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define SHORTTIME_NSEC_BITS 30
#define SHORTTIME_NSEC_MASK ((INT64_C(1) << SHORTTIME_NSEC_BITS) - 1)
#define SHORTTIME_LAST      (INT64_MAX >> SHORTTIME_NSEC_BITS) /* the last second */

/* No time, and no mark: as no nanoseconds are. */
#define SHORTTIME_NONE (SHORTTIME_NSEC_MASK - 1)

static inline bool shorttime_holds(struct timespec time)
{
	return time.tv_sec >= -SHORTTIME_LAST && time.tv_sec <= SHORTTIME_LAST;
}

/* One that it does not hold becomes the nearest that it does. */
static inline int64_t shorttime_of(struct timespec time)
{
	int64_t seconds = time.tv_sec;

	if (seconds > SHORTTIME_LAST)
		seconds = SHORTTIME_LAST;
	if (seconds < -SHORTTIME_LAST)
		seconds = -SHORTTIME_LAST;
	return seconds * (SHORTTIME_NSEC_MASK + 1) | (time.tv_nsec & SHORTTIME_NSEC_MASK);
}

static inline struct timespec shorttime_time(int64_t time)
{
	int64_t fraction = time & SHORTTIME_NSEC_MASK;

	return (struct timespec){(time_t)(time >> SHORTTIME_NSEC_BITS),
				 fraction == SHORTTIME_NSEC_MASK ? -1 : (long)fraction};
}

#endif
