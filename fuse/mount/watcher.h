/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The thread that takes the signals which end a mount: SIGTERM, SIGINT, SIGHUP.
 * It has everything saved while requests are still served, and then ends the
 * loop. What comes after the loop is not its business.
 */
#ifndef WATCHER_H
#define WATCHER_H

#include <signal.h>

#include "mount/messages.h"
#include "mount/session.h"

struct watcher {
	struct fs *fs;
	struct session *session;
	struct reports *reports;
	sigset_t end_signals;  /* blocked in every thread; the watcher waits for them */
	pthread_t main_thread; /* which runs the loop */
	pthread_t thread;
	atomic_bool stopped; /* by a signal */
	atomic_bool loop_ended;
};

/* By the main thread, before any other starts: they inherit the signals that are
 * blocked here. All three are to outlive the watcher. */
void watcher_init(struct watcher *watcher, struct fs *fs, struct session *session,
		  struct reports *reports);

/* 0 or a positive errno. */
int watcher_start(struct watcher *watcher);

/* Was the loop ended by a signal? */
bool watcher_has_stopped(struct watcher *watcher);

/* The loop has ended: a signal that comes now changes nothing any more. */
void watcher_loop_ended(struct watcher *watcher);

/* Waits for its end, after that of the loop. */
void watcher_join(struct watcher *watcher);

#endif
