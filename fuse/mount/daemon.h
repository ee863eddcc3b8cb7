/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The life of a mount: opens the log, mounts, says that the mount works, serves
 * it, and at its end commits and syncs everything.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "mount/options.h"

/* From the lock on the log to its release. The request is checked
 * (mounting_check()); what it has of struct fs_options is taken over. ready_fd
 * is where the parent waits (background.h), or -1 in the foreground. Returns the
 * exit status; what is wrong was said. */
int daemon_run(struct request *request, int ready_fd);

#endif
