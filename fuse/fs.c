/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The life of a mounted store: open the log, build the tree from its records,
 * keep, commit, close.
 */
#include "fs.h"
#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "mount/keeper.h"
#include "file/stage.h"
#include "tree/tree.h"
#include "file/unfinished.h"

void fs_options_init(struct fs_options *options)
{
	mode_t mask = umask(0);

	umask(mask);
	*options = (struct fs_options){
		.commit_seconds = FS_COMMIT_SECONDS,
		.lock_wait_ms = FS_LOCK_WAIT_MS,
		.segment_size = FS_SEGMENT_SIZE,
		.rename_limit = FS_RENAME_LIMIT,
		.stage_limit = FS_STAGE_LIMIT,
		.uid = getuid(),
		.gid = getgid(),
		.umask = mask,
	};
}

/* The replay of the log, record by record. */
struct replay {
	struct fs *fs;
	uint32_t segment;     /* whose time is known */
	int64_t segment_time; /* of its last write: what Puts without a clock get */
};

static int64_t segment_time(struct replay *replay, uint32_t segment)
{
	char path[PATH_MAX];
	struct stat st;

	if (segment == replay->segment)
		return replay->segment_time;
	(void)snprintf(path, sizeof(path), "%s/%08u.dwal", replay->fs->opt.log_dir, segment);
	replay->segment = segment;
	replay->segment_time = lstat(path, &st) ? replay->fs->started.tv_sec : st.st_mtim.tv_sec;
	return replay->segment_time;
}

static int observe(void *ctx, const struct dwal_record *record)
{
	struct replay *replay = ctx;
	struct fs *fs = replay->fs;

	int r = unfinished_replay(fs, record);

	if (r)
		return r;
	if (record->type == DWAL_RAW &&
	    clock_parse(record->key.data, record->key.len, record->payload.data,
			record->payload.len, &fs->clock))
		return 0;
	return tree_replay(fs, record,
			   fs->clock != CLOCK_UNSET ? fs->clock
						    : segment_time(replay, record->segment));
}

static int open_dir(struct fs *fs, struct dwal_error *error)
{
	int r;

	fs->dir_fd = open(fs->opt.log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fs->dir_fd >= 0)
		return 0;
	r = -errno;
	*error = (struct dwal_error){.code = r};
	snprintf(error->message, sizeof(error->message), "%s: %s", fs->opt.log_dir, strerror(-r));
	return r;
}

static int open_store(struct fs *fs, struct dwal_error *error)
{
	struct replay replay = {.fs = fs, .segment = UINT32_MAX};
	struct dwal_options options = {
		.read_only = fs->opt.read_only,
		.strict = fs->opt.strict,
		.lock_wait_ms = fs->opt.lock_wait_ms,
		.segment_size = fs->opt.segment_size,
		.sync_apart = true,
		.observe = observe,
		.observe_ctx = &replay,
	};
	int r = dwal_kv_open(fs->opt.log_dir, &options, &fs->kv, error);

	if (r == DWAL_ELOCKED)
		holder_describe(fs->opt.log_dir, error->holder_pid, error->message,
				sizeof(error->message));
	return r;
}

static struct fs *new_fs(struct fs_options *options)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs) {
		free(options->log_dir);
		free(options->mountpoint);
		return NULL;
	}
	fs->opt = *options;
	fs->dir_fd = -1;
	fs->clock = CLOCK_UNSET;
	fs->started = fs_now();
	pthread_mutex_init(&fs->write_lock, NULL);
	pthread_mutex_init(&fs->lock, NULL);
	errands_init(&fs->errands);
	return fs;
}

int fs_open(struct fs_options *options, struct fs **out, struct dwal_error *error)
{
	struct fs *fs = new_fs(options);
	int r;

	*options = (struct fs_options){0};
	if (!fs) {
		*error = (struct dwal_error){.code = -ENOMEM, .message = "out of memory"};
		return -ENOMEM;
	}
	r = tree_init(fs);
	if (!r)
		r = open_store(fs, error); /* makes the directory */
	tree_replay_end(fs);
	if (!r)
		r = open_dir(fs, error);
	if (r) {
		(void)fs_close(fs); /* the first failure is the one to tell */
		return r;
	}
	*out = fs;
	return 0;
}

int fs_start(struct fs *fs, struct fuse_session *session)
{
	fs->session = session;
	return -keeper_start(fs, session);
}

int fs_commit_all(struct fs *fs, enum fs_end end)
{
	int r, synced;

	if (fs->opt.read_only)
		return 0;
	r = stage_commit_end(fs, end);
	synced = append_sync(fs);
	return r ? r : synced;
}

int fs_refuses(const struct fs *fs)
{
	if (fs->opt.read_only)
		return EROFS;
	if (dwal_kv_is_poisoned(fs->kv))
		return errno_of(DWAL_EPOISONED);
	return dwal_kv_refusal(fs->kv) ? EROFS : 0;
}

void fs_stop(struct fs *fs)
{
	keeper_stop(fs);
}

int fs_close(struct fs *fs)
{
	int r;

	if (!fs)
		return 0;
	stage_free_all(fs);
	unfinished_free(fs);
	r = dwal_kv_close(fs->kv);
	if (fs->root)
		tree_release(fs);
	if (fs->dir_fd >= 0)
		close(fs->dir_fd); /* a directory, read-only: nothing can be lost */
	errands_release(&fs->errands);
	pthread_mutex_destroy(&fs->lock);
	pthread_mutex_destroy(&fs->write_lock);
	free(fs->opt.log_dir);
	free(fs->opt.mountpoint);
	free(fs);
	return r;
}

void fs_each_failed_commit(struct fs *fs, void (*fn)(void *ctx, const char *path, int error),
			   void *ctx)
{
	struct stage *stage;

	pthread_mutex_lock(&fs->lock);
	DL_FOREACH(fs->stages, stage)
	{
		if (stage->retry) {
			char *path = tree_path(stage->node);
			fn(ctx, path ? path : "?", stage->retry);
			free(path);
		}
	}
	pthread_mutex_unlock(&fs->lock);
}
