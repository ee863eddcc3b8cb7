/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Whether to look for the next request for a moment before sleeping. To wake a
 * thread costs more than most requests do: looked for, changes of files one after
 * another on an idle virtual machine were 1.5 to 2.5 times as fast.
 *
 * Looking pays where requests come soon. As for a virtual CPU that halts
 * (halt_poll_ns, Linux' Documentation/virt/kvm/halt-polling.rst), a sleep that
 * was short begins it, and each look in vain halves the time for it. Others who
 * want the CPU get it between two looks: so where they do, the time is soon over.
 */
#ifndef SPIN_H
#define SPIN_H

#include <stdbool.h>
#include <stdint.h>

/* Zero is ready, and does not look. Of one thread at a time. */
struct spin {
	int64_t ns; /* to look for, 0: not at all */
};

/* Nothing was there, and it has been looked for since that time of monotonic_ns():
 * is it worth another look? Whoever waits for this CPU has had it then. */
bool spin_again(struct spin *spin, int64_t since);

/* A sleep for that has ended; it began at that time. */
void spin_slept(struct spin *spin, int64_t since);
#endif
