/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How long to look.
 */
#include "mount/spin.h"

#include <sched.h>

#include "clock.h"

/* A program that does nothing else comes with its next request after 5 to 30 us. */
#define MOST_NS  50000
#define LEAST_NS 10000

static void halve(struct spin *spin)
{
	spin->ns /= 2;
	if (spin->ns < LEAST_NS)
		spin->ns = 0;
}

bool spin_again(struct spin *spin, int64_t since)
{
	if (monotonic_ns() - since >= spin->ns) {
		halve(spin);
		return false;
	}
	(void)sched_yield();
	return true;
}

void spin_slept(struct spin *spin, int64_t since)
{
	if (monotonic_ns() - since < MOST_NS)
		spin->ns = MOST_NS;
}
