/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How long to look.
 */
#include "mount/spin.h"

#include <poll.h>
#include <sched.h>

#include "clock.h"

/* A program that does nothing else comes with its next request after 5 to 30 us. */
#define MOST_NS  50000
#define LEAST_NS 10000
/* Who only answers a request has the CPU for less; who computes has it for a
 * scheduler's slice, 3 ms by default. Of 500 ms one slice is lost then. */
#define TAKEN_NS 500000
#define REST_NS  500000000

bool spin_is_in_the_way(struct spin *spin)
{
	return monotonic_ns() < atomic_load(&spin->others_until);
}

/* Whoever waits for this CPU goes first. */
static int64_t let_others(struct spin *spin, int64_t since)
{
	int64_t now;

	(void)sched_yield();
	now = monotonic_ns();
	if (now - since > TAKEN_NS)
		atomic_store(&spin->others_until, now + REST_NS);
	return now;
}

static void halve(struct spin *spin)
{
	spin->ns /= 2;
	if (spin->ns < LEAST_NS)
		spin->ns = 0;
}

bool spin_for(struct spin *spin, int fd)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	int64_t begun, now;

	if (!spin->ns || spin_is_in_the_way(spin))
		return false;
	begun = now = monotonic_ns();
	while (poll(&wanted, 1, 0) == 0) {
		if (now - begun >= spin->ns) {
			halve(spin);
			return false;
		}
		now = let_others(spin, now);
	}
	return true;
}

void spin_slept(struct spin *spin, int64_t since)
{
	if (monotonic_ns() - since < MOST_NS)
		spin->ns = MOST_NS;
}
