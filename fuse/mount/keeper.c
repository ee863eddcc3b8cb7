/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The background thread: waits for errands, until it is time for the next sync.
 */
#include "mount/keeper.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>

#include "file/area.h"
#include "file/pending.h"
#include "mount/pace.h"
#include "txn.h"

struct keeper {
	struct fs *fs;
	pthread_t thread;
	atomic_bool stop;
};

static void tell_kernel(struct fs *fs, const uint64_t *ids, size_t count)
{
	/* Attributes only: that waits for nobody. What the kernel no longer
	 * knows, it need not forget. */
	for (size_t i = 0; i < count; i++)
		(void)fuse_lowlevel_notify_inval_inode(fs->session, ids[i], -1, 0);
}

static void sync_and_retry(struct fs *fs)
{
	/* Failures are kept with their files and in the poisoned log; there is
	 * nobody to tell here. */
	(void)pending_retry(fs);
	if (fs->unsynced)
		(void)txn_sync(fs);
	(void)dwal_kv_check(fs->kv);
	area_rest();
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
	struct fs *fs = keeper->fs;
	struct timespec due = in_seconds(fs->opt.commit_seconds);
	uint64_t ids[ERRANDS_MOST];

	while (!atomic_load(&keeper->stop)) {
		size_t count = errands_take(&fs->errands, &due, ids);

		tell_kernel(fs, ids, count);
		if (count || atomic_load(&keeper->stop))
			continue;
		if (timespec_is_before(in_seconds(0), due)) {
			(void)txn_sync(fs); /* there is much to be synced */
		} else {
			sync_and_retry(fs);
			due = in_seconds(fs->opt.commit_seconds);
		}
	}
	return NULL;
}

int keeper_start(struct fs *fs, struct keeper **out)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return ENOMEM;
	keeper->fs = fs;
	r = pthread_create(&keeper->thread, NULL, keep, keeper);
	if (r) {
		free(keeper);
		return r;
	}
	*out = keeper;
	return 0;
}

void keeper_stop(struct keeper *keeper)
{
	if (!keeper)
		return;
	atomic_store(&keeper->stop, true);
	errands_end(&keeper->fs->errands);
	pthread_join(keeper->thread, NULL);
	free(keeper);
}
