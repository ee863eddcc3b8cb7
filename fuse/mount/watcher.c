/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From a signal to the end of the loop.
 */
#include "mount/watcher.h"

#include <time.h>

#include "file/pending.h"
#include "mount/loop.h"

#define WAKE_PAUSE_NS 20000000L
#define GRACE_NS      2000000000L

static void on_wake(int signal_number)
{
}

static void block_signals(struct watcher *watcher)
{
	struct sigaction wake = {.sa_handler = on_wake}; /* without SA_RESTART */
	sigset_t wake_signals;

	(void)sigemptyset(&watcher->end_signals);
	(void)sigaddset(&watcher->end_signals, SIGTERM);
	(void)sigaddset(&watcher->end_signals, SIGINT);
	(void)sigaddset(&watcher->end_signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &watcher->end_signals, NULL);
	(void)sigemptyset(&wake_signals);
	(void)sigaddset(&wake_signals, LOOP_WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &wake_signals, NULL);
	(void)sigaction(LOOP_WAKE_SIGNAL, &wake, NULL);
}

void watcher_init(struct watcher *watcher, struct fs *fs, struct session *session,
		  struct reports *reports)
{
	*watcher = (struct watcher){
		.fs = fs, .session = session, .reports = reports, .main_thread = pthread_self()};
	block_signals(watcher);
}

/* Until nothing is open for writing, for a while; a second signal ends it. */
static void let_writers_close(struct watcher *watcher)
{
	const struct timespec pause = {.tv_nsec = WAKE_PAUSE_NS};

	for (long waited = 0; waited < GRACE_NS; waited += WAKE_PAUSE_NS)
		if (!pending_has_writers(watcher->fs) || atomic_load(&watcher->loop_ended) ||
		    sigtimedwait(&watcher->end_signals, NULL, &pause) > 0)
			break;
}

/* While requests are still served; files may be open, and stay open. */
static void save_everything(struct watcher *watcher)
{
	if (session_is_mounted(watcher->session) && session_write_back(watcher->session) != 0)
		report(watcher->reports,
		       "%s could not be synced: what was stored through mappings may be lost",
		       watcher->session->mountpoint);
	/* Tried again, and reported, after the loop. */
	(void)pending_commit_all(watcher->fs, MOUNT_END_NEAR);
}

/* Ends the loop from outside. It notices when its wait is interrupted; the
 * signal is repeated as it may come just before the wait. */
static void stop_loop(struct watcher *watcher)
{
	session_end_loop(watcher->session);
	while (!atomic_load(&watcher->loop_ended)) {
		(void)pthread_kill(watcher->main_thread,
				   LOOP_WAKE_SIGNAL); /* the thread is there */
		(void)nanosleep(&(struct timespec){.tv_nsec = WAKE_PAUSE_NS}, NULL);
	}
}

static void *watch(void *arg)
{
	struct watcher *watcher = arg;
	int signal_number;

	(void)sigwait(&watcher->end_signals, &signal_number); /* a valid set */
	if (!atomic_load(&watcher->loop_ended)) {
		let_writers_close(watcher);
		save_everything(watcher);
		atomic_store(&watcher->stopped, !atomic_load(&watcher->loop_ended));
		stop_loop(watcher);
	}
	return NULL;
}

int watcher_start(struct watcher *watcher)
{
	return pthread_create(&watcher->thread, NULL, watch, watcher);
}

bool watcher_has_stopped(struct watcher *watcher)
{
	return atomic_load(&watcher->stopped);
}

void watcher_loop_ended(struct watcher *watcher)
{
	atomic_store(&watcher->loop_ended, true);
}

void watcher_join(struct watcher *watcher)
{
	(void)pthread_kill(watcher->thread, SIGTERM); /* ends its wait */
	(void)pthread_join(watcher->thread, NULL);
}
