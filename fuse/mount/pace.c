/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Arithmetic with times. Must not wait itself.
 */
#include "mount/pace.h"

#define NS_PER_SECOND ((uint64_t)1000000000)

int timespec_is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

struct timespec timespec_later(struct timespec t, uint64_t ns)
{
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / NS_PER_SECOND);
	t.tv_nsec = (long)(ns % NS_PER_SECOND);
	return t;
}

struct timespec pace_after(struct pace *pace, struct timespec now, uint64_t bytes)
{
	if (timespec_is_before(pace->due, now))
		pace->due = now;
	pace->due = timespec_later(pace->due, bytes * NS_PER_SECOND / pace->bytes_per_second);
	return pace->due;
}
