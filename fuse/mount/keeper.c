/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The background thread: a queue of nodes whose attributes the kernel is to forget, and a
 * deadline for the next sync.
 */
#include "mount/keeper.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <utlist.h>

#include "file/stage.h"

struct errand {
	struct errand *prev, *next;
	fuse_ino_t ino;
};

struct keeper {
	struct fs *fs;
	struct fuse_session *session;
	pthread_t thread;
	pthread_mutex_t lock; /* protects the rest; innermost of all */
	pthread_cond_t wake;
	struct errand *errands;
	bool stop;
};

/* Takes the queue, and does it without the lock. */
static void run_errands(struct keeper *keeper)
{
	struct errand *list = keeper->errands, *errand, *next;

	keeper->errands = NULL;
	pthread_mutex_unlock(&keeper->lock);
	DL_FOREACH_SAFE(list, errand, next)
	{
		/* Attributes only: that waits for nobody. What the kernel no
		 * longer knows, it need not forget. */
		(void)fuse_lowlevel_notify_inval_inode(keeper->session, errand->ino, -1, 0);
		free(errand);
	}
	pthread_mutex_lock(&keeper->lock);
}

static void sync_if_due(struct keeper *keeper)
{
	pthread_mutex_unlock(&keeper->lock);
	/* Failures are kept with their files and in the poisoned log; there is
	 * nobody to tell here. */
	(void)stage_commit_pending(keeper->fs);
	if (keeper->fs->unsynced)
		(void)append_sync(keeper->fs);
	(void)dwal_kv_check(keeper->fs->kv);
	pthread_mutex_lock(&keeper->lock);
}

static struct timespec in_seconds(uint32_t seconds)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += seconds;
	return t;
}

static void *keep(void *arg)
{
	struct keeper *keeper = arg;
	struct timespec due = in_seconds(keeper->fs->opt.commit_seconds);

	pthread_mutex_lock(&keeper->lock);
	while (!keeper->stop) {
		if (keeper->errands) {
			run_errands(keeper);
		} else if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, &due) ==
			   ETIMEDOUT) {
			sync_if_due(keeper);
			due = in_seconds(keeper->fs->opt.commit_seconds);
		}
	}
	pthread_mutex_unlock(&keeper->lock);
	return NULL;
}

int keeper_start(struct fs *fs, struct fuse_session *session)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	pthread_condattr_t monotonic;
	int r;

	if (!keeper)
		return ENOMEM;
	keeper->fs = fs;
	keeper->session = session;
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	r = pthread_create(&keeper->thread, NULL, keep, keeper);
	if (r) {
		free(keeper);
		return r;
	}
	fs->keeper = keeper;
	return 0;
}

void keeper_stop(struct fs *fs)
{
	struct keeper *keeper = fs->keeper;
	struct errand *errand, *next;

	if (!keeper)
		return;
	pthread_mutex_lock(&keeper->lock);
	keeper->stop = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	fs->keeper = NULL;
	DL_FOREACH_SAFE(keeper->errands, errand, next)
	{
		free(errand);
	}
	pthread_cond_destroy(&keeper->wake);
	pthread_mutex_destroy(&keeper->lock);
	free(keeper);
}

/* Without memory for an errand the kernel believes its cache a little longer. */
void keeper_forget_attr(struct fs *fs, const struct node *node)
{
	struct keeper *keeper = fs->keeper;
	fuse_ino_t ino = tree_id(fs, node);
	struct errand *errand = keeper && ino ? calloc(1, sizeof(*errand)) : NULL;

	if (!errand)
		return;
	errand->ino = ino;
	pthread_mutex_lock(&keeper->lock);
	DL_APPEND(keeper->errands, errand);
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
}
