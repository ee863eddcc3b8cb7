/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Whether to look for the next request for a moment before sleeping. To wake a
 * thread costs more than most requests do: looked for, creates, reads and
 * renames one after another on an idle machine were 1.25 to 1.5 times as fast.
 *
 * Looking pays where requests come soon. As for a virtual CPU that halts
 * (halt_poll_ns, Linux' Documentation/virt/kvm/halt-polling.rst), a sleep that
 * was short begins it, and each look in vain halves the time for it. Others who
 * want the CPU get it after each look; where one takes it for long there is
 * no looking for a while.
 */
#ifndef SPIN_H
#define SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Zero is ready, and does not look. Of one thread at a time, but for
 * spin_is_in_the_way(). */
struct spin {
	int64_t ns; /* to look for, 0: not at all */
	atomic_int_fast64_t others_until;
};

/* Something can be read from the descriptor, or it is broken. */
bool spin_for(struct spin *spin, int fd);

/* A sleep for that has ended; it began at that time of monotonic_ns(). */
void spin_slept(struct spin *spin, int64_t since);

/* Is the CPU wanted by others? Any thread. */
bool spin_is_in_the_way(struct spin *spin);
#endif
