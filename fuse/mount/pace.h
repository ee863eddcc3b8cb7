/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How long whoever has read so many bytes waits before he reads on. Pure: asks no clock.
 */
#ifndef PACE_H
#define PACE_H

#include <stdint.h>
#include <time.h>

struct pace {
	uint64_t bytes_per_second;
	struct timespec due; /* when what was read so far may have been read */
};

/* So many bytes were read until now: reading may go on then. What was not used before now is
 * lost: no burst follows a rest. */
struct timespec pace_after(struct pace *pace, struct timespec now, uint64_t bytes);

struct timespec timespec_later(struct timespec t, uint64_t ns);
int timespec_is_before(struct timespec a, struct timespec b);

#endif
