/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * For threads that do what nobody waits for. Knows nothing of what that is.
 */
#ifndef MODEST_H
#define MODEST_H

#include <sys/syscall.h>
#include <unistd.h>

/* The calling thread gives way to others, a little only: whoever waits for a lock that it
 * holds for a moment, or for a sync that it leads, would wait for the idle processor, or
 * disk. */
static inline void be_modest(void)
{
	enum { WHO_PROCESS = 1, CLASS_BEST_EFFORT = 2, CLASS_SHIFT = 13, LOWEST = 7 };

	(void)syscall(SYS_ioprio_set, WHO_PROCESS, 0, CLASS_BEST_EFFORT << CLASS_SHIFT | LOWEST);
	(void)!nice(5); /* of the thread, in Linux */
}

#endif
