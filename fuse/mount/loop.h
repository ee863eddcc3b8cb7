/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The loop that takes requests from the kernel and has libfuse serve them, in
 * several threads. It knows nothing of a request but that it can take long. Where
 * requests come by io_uring (libfuse 3.18), libfuse's loop can take its place.
 */
#ifndef LOOP_H
#define LOOP_H

#include <fuse_lowlevel.h>
#include <signal.h>

/* Interrupts a wait, and does nothing else: whose handler that is sets it up
 * (watcher.c). */
#define LOOP_WAKE_SIGNAL SIGUSR1

/* Serves requests until the session has exited; in the main thread, which the
 * signal makes look whether it has. 0 or -errno. */
int loop_run(struct fuse_session *session);

/* What the calling thread serves is going to take long: others take requests
 * from now on. They do after a few milliseconds where nobody says so. */
void loop_step_aside(void);

#endif
