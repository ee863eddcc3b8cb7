/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Changes that are still to become Puts, over all files: which of them a
 * deadline, an fsync(2) of their directory or the end of the mount publishes.
 * How one is published is publish.c's.
 */
#include "file/pending.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "file/handle.h"
#include "file/publish.h"
#include "file/unfinished.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"

/* Stages that owe a Put, each with a use of its own; NULL-terminated. With dir
 * only those of files in it. */
static struct stage **use_stages(struct fs *fs, const struct node *dir)
{
	struct stage *stage, **list;
	size_t n = 0;

	tree_lock(&fs->tree);
	DL_COUNT(fs->stages, stage, n);
	list = calloc(n + 1, sizeof(struct stage *));
	n = 0;
	if (list) {
		DL_FOREACH(fs->stages, stage)
		{
			if (dir && node_parent(stage->node) != dir)
				continue;
			stage->users++;
			list[n++] = stage;
		}
	}
	tree_unlock(&fs->tree);
	return list;
}

/* Does such a stage want to be published now? Wants stage->lock. */
typedef bool wanted_fn(struct fs *fs, const struct stage *stage);

static bool has_failed(struct fs *fs, const struct stage *stage)
{
	return stage->retry;
}

/* The name of such a file is not in the log yet, and no close or fsync of the
 * file has to come: nobody has written into it, or nobody can any more. */
static bool is_owed_to_dir(struct fs *fs, const struct stage *stage)
{
	bool is;

	tree_lock(&fs->tree);
	is = stage->retry || (!stage->node->published && !stage->size);
	tree_unlock(&fs->tree);
	return is;
}

static int publish_each(struct fs *fs, const struct node *dir, wanted_fn *is_wanted)
{
	struct stage **list = use_stages(fs, dir);
	int first = list ? 0 : ENOMEM;

	for (size_t i = 0; list && list[i]; i++) {
		struct stage *stage = list[i];
		bool wanted;
		int r;

		pthread_mutex_lock(&stage->lock);
		wanted = stage->dirty && !stage->failed && is_wanted(fs, stage);
		pthread_mutex_unlock(&stage->lock);
		r = wanted ? publish_stage(fs, stage) : 0;
		if (!first)
			first = r;
		stage_put(fs, stage);
	}
	free(list);
	return first;
}

/* One directory whose times the log is yet to be told of; what fails is tried
 * again the next time. */
static int publish_times(struct fs *fs, struct node *dir, bool is_asked)
{
	int r = publish_attributes_now(fs, dir, is_asked);

	tree_lock(&fs->tree);
	if (r) {
		node_extra(dir)->owed = false;
		tree_owe_times(&fs->tree, dir);
	}
	tree_drop(&fs->tree, dir);
	tree_unlock(&fs->tree);
	return r;
}

static int publish_all_times(struct fs *fs, bool is_asked)
{
	struct node *dir;
	int r = 0;

	do {
		tree_lock(&fs->tree);
		dir = tree_take_owed(&fs->tree);
		tree_unlock(&fs->tree);
		if (dir)
			r = publish_times(fs, dir, is_asked);
	} while (dir && !r);
	return r;
}

int pending_retry(struct fs *fs)
{
	int r = publish_each(fs, NULL, has_failed);
	int times = fs_refuses(fs) ? 0 : publish_all_times(fs, false);

	return r ? r : times;
}

int pending_commit_names(struct fs *fs, struct node *dir)
{
	int r = publish_each(fs, dir, is_owed_to_dir);

	return r ? r : publish_attributes_now(fs, dir, true);
}

/* ------------------------------------------------------------------ the end */

bool pending_has_writers(struct fs *fs)
{
	const struct handle *handle;
	bool has = false;

	tree_lock(&fs->tree);
	DL_FOREACH(fs->handles, handle)
	{
		has |= handle->writable;
	}
	tree_unlock(&fs->tree);
	return has;
}

/* Wants stage->lock and the tree's lock. */
static bool is_open(const struct fs *fs, const struct stage *stage, enum mount_end end)
{
	const struct handle *handle;

	DL_FOREACH(fs->handles, handle)
	{
		if (handle->stage == stage && handle->writable &&
		    (end != MOUNT_END_CLOSED || !handle->flushed))
			return true;
	}
	return false;
}

/* Begun with nothing, in place of a value that is there. Wants stage->lock. */
static bool is_unfinished(struct fs *fs, const struct stage *stage, enum mount_end end)
{
	bool is;

	tree_lock(&fs->tree);
	is = stage->fresh && stage->node->published && is_open(fs, stage, end);
	tree_unlock(&fs->tree);
	return is;
}

static int end_stage(struct fs *fs, struct stage *stage, enum mount_end end)
{
	bool owed, unfinished;

	pthread_mutex_lock(&stage->lock);
	owed = stage->dirty && !stage->failed;
	unfinished = owed && is_unfinished(fs, stage, end);
	pthread_mutex_unlock(&stage->lock);
	if (!unfinished)
		return owed ? publish_stage(fs, stage) : 0;
	return end == MOUNT_END_NEAR ? 0 : unfinished_keep(fs, stage);
}

static int publish_rest(struct fs *fs, enum mount_end end)
{
	struct stage **list = use_stages(fs, NULL);
	int first = list ? 0 : ENOMEM;

	for (size_t i = 0; list && list[i]; i++) {
		int r = end_stage(fs, list[i], end);

		if (!first)
			first = r;
		stage_put(fs, list[i]);
	}
	free(list);
	return first;
}

int pending_commit_all(struct fs *fs, enum mount_end end)
{
	int r, times, synced;

	if (fs->opt.read_only)
		return 0;
	r = publish_rest(fs, end);
	times = publish_all_times(fs, true);
	synced = txn_sync(fs);
	return r ? r : times ? times : synced;
}

void pending_each_failed(struct fs *fs, void (*fn)(void *ctx, const char *path, int error),
			 void *ctx)
{
	struct stage *stage;

	tree_lock(&fs->tree);
	DL_FOREACH(fs->stages, stage)
	{
		if (stage->retry) {
			char *path = tree_path(stage->node);
			fn(ctx, path ? path : "?", stage->retry);
			free(path);
		}
	}
	tree_unlock(&fs->tree);
}
