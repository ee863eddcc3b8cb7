/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the daemon gives up before it reads the first byte of a log: rights,
 * its environment, and being looked into.
 */
#ifndef CONFINE_H
#define CONFINE_H

#include <stdbool.h>

/* Takes the environment away, but for PATH, in which libfuse looks for
 * fusermount3: also where /proc shows it. argv is main()'s, of so many words, as
 * it was given; no other thread may run. */
void confine_environment(int argc, char **argv);

/* For this process and all threads that it starts from now on; no other one may
 * run. Of the capabilities it keeps those that mount, unmount and write into the
 * log directory of another user. Where it can unmount by itself it can get no
 * other ones any more, by no program; a user's mount, and with needs_helper
 * root's as well, is the work of fusermount3, whose rights must stay. 0 or
 * -errno. */
int confine_process(bool needs_helper);

/* Is this root, with the right to do what modes forbid? */
bool confine_is_above_modes(void);

#endif
