/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Whoever keeps the pace never reads more in a second than he may, whatever the pieces
 * are and however long he rested before.
 */
#include "mount/pace.h"
#include "unit.h"

#define RATE (50u << 20)

static double seconds(struct timespec t)
{
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void nobody_reads_faster_than_his_pace(void)
{
	struct pace pace = {.bytes_per_second = RATE};
	struct timespec now = {100, 999999999};
	uint64_t seed = 5, bytes = 0;
	const double begun = seconds(now);

	for (int i = 0; i < 2000; i++) {
		uint64_t n = (unit_random(&seed) >> 20) % (2u << 20);

		now = pace_after(&pace, now, n); /* who waits for just so long */
		bytes += n;
		CHECK(now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
	}
	CHECK((double)bytes / (seconds(now) - begun) < 1.001 * RATE);
	CHECK((double)bytes / (seconds(now) - begun) > 0.999 * RATE);
}

static void no_burst_follows_a_rest(void)
{
	struct pace pace = {.bytes_per_second = RATE};
	const struct timespec first = {100, 0}, rested = {5000, 500000000};
	struct timespec due = pace_after(&pace, first, RATE);

	CHECK(due.tv_sec == 101 && due.tv_nsec == 0);
	due = pace_after(&pace, rested, RATE / 2);
	CHECK(due.tv_sec == 5001 && due.tv_nsec == 0);
	due = pace_after(&pace, rested, (uint64_t)64 * RATE); /* nor does a lead get lost */
	CHECK(due.tv_sec == 5065 && due.tv_nsec == 0);
}

UNIT_MAIN(UNIT(nobody_reads_faster_than_his_pace), UNIT(no_burst_follows_a_rest))
