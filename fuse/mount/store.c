/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Opening: every record of the log is observed once, in order, and the tree
 * and what is kept beside it are built from that.
 */
#include "mount/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/damage.h"
#include "file/handle.h"
#include "file/publish.h"
#include "file/unfinished.h"
#include "holder.h"
#include "log/logdir.h"
#include "logname.h"
#include "sanitized.h"
#include "tree/replay.h"
#include "tree/replayer.h"
#include "txn.h"

static int out_of_memory(struct dwal_error *error)
{
	*error = (struct dwal_error){.code = -ENOMEM, .message = "out of memory"};
	return -ENOMEM;
}

/* The replay of the log, record by record. */
struct replay {
	struct fs *fs;
	struct replayer replayer;
	struct logtime times;
	bool untimed;                 /* a segment has records that nothing tells a time of: */
	struct segment_time own_time; /* its own, before it is cut or written to */
};

static struct timespec time_by_file(const struct fs *fs, uint32_t segment)
{
	char path[PATH_MAX], name[LOGNAME_SIZE];
	struct stat st;

	logname_segment(segment, name);
	(void)snprintf(path, sizeof(path), "%s/%s", fs->opt.log_dir, name);
	return lstat(path, &st) ? fs->started : st.st_mtim;
}

static struct timespec segment_time(void *ctx, uint32_t segment)
{
	const struct replay *replay = ctx;

	return replay->untimed && replay->own_time.segment == segment
		       ? replay->own_time.time
		       : time_by_file(replay->fs, segment);
}

static void note_untimed(struct replay *replay, uint32_t segment)
{
	if (replay->untimed && replay->own_time.segment == segment)
		return;
	replay->untimed = true;
	replay->own_time = (struct segment_time){segment, time_by_file(replay->fs, segment)};
}

static int observe(void *ctx, const struct dwal_record *record)
{
	struct replay *replay = ctx;
	struct record_time when;
	int r = unfinished_replay(replay->fs, record);

	if (!r)
		r = logtime_next(&replay->times, record, &when);
	if (r)
		return r;
	if (record->type == DWAL_PUT && is_time_of_segment(when.mtime))
		note_untimed(replay, record->segment);
	return replayer_add(&replay->replayer, record, &when);
}

/* A file whose value cannot be read. */
static int observe_lost(void *ctx, const struct dwal_lost *lost)
{
	struct replay *replay = ctx;
	struct record_time when;
	int r;

	if (!lost->key_known || lost->record.type != DWAL_PUT)
		return 0;
	r = logtime_next(&replay->times, &lost->record, &when);
	return r ? r : replayer_add(&replay->replayer, &lost->record, &when);
}

/* The first operation here changes the time of a segment that files show. */
static void keep_own_time(const struct replay *replay)
{
	struct fs *fs = replay->fs;
	struct timespec known;

	fs->has_found = replay->untimed &&
			replay->own_time.segment == dwal_kv_active_segment(fs->kv) &&
			!logtime_found(&replay->times, replay->own_time.segment, &known);
	fs->found = replay->own_time.time;
}

static void add_delete(void *txn, struct dwal_bytes key)
{
	txn_delete(txn, key);
}

/* Nobody waits for it, and it can be done as well at the next mount. */
static void take_back_attributes(struct fs *fs)
{
	cleanup_txn struct txn txn;

	txn_begin(&txn, fs, "tidy", fs->started);
	txn_on_full_disk(&txn);
	tree_each_waiting(&fs->tree, add_delete, &txn);
	if (!fs_refuses(fs))
		(void)txn_commit(&txn);
}

static int open_log(struct fs *fs, void (*waits)(void), struct dwal_error *error)
{
	struct replay replay = {.fs = fs};
	struct dwal_options options = {
		.read_only = fs->opt.read_only,
		.degraded = fs->opt.degraded,
		.strict = fs->opt.strict,
		.verify = fs->opt.verify,
		.lock_wait_ms = fs->opt.lock_wait_ms,
		.segment_size = fs->opt.segment_size,
		.sync_apart = true,
		.reserve = true,
		.observe = observe,
		.lost = observe_lost,
		.observe_ctx = &replay,
		.waits = waits,
	};
	int r;

	replayer_begin(&replay.replayer, &fs->tree);
	r = dwal_kv_open(fs->opt.log_dir, &options, &fs->kv, error);
	if (replayer_end(&replay.replayer) && !r)
		r = out_of_memory(error);
	if (!r) {
		keep_own_time(&replay);
		take_back_attributes(fs);
	}
	if (tree_replay_end(&fs->tree, &replay.times, segment_time, &replay) && !r)
		r = out_of_memory(error);
	logtime_release(&replay.times);
	if (r == DWAL_ELOCKED)
		holder_explain(fs->opt.log_dir, error->holder_pid, error->message,
			       sizeof(error->message));
	return r;
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

/* Programs that know no inode numbers have put two keys with one: the log is
 * told which of them has another since now. Where it takes nothing, the next
 * change of the file tells it. */
static void tell_numbers(struct fs *fs)
{
	uint32_t slot = NODEID_NONE;
	struct node *node;

	while ((node = nodeid_next(&fs->tree.ids, &slot))) {
		if (!fs->opt.read_only)
			(void)publish_attributes_now(fs, node, false);
		tree_lock(&fs->tree);
		tree_forget(&fs->tree, node, 0); /* which the kernel never had */
		tree_unlock(&fs->tree);
	}
}

static int build(struct fs *fs, void (*waits)(void), struct dwal_error *error)
{
	const struct tree_options options = {
		.uid = fs->opt.uid,
		.gid = fs->opt.gid,
		.umask = fs->opt.umask,
		.shows_log = fs->opt.showlog,
		.counts_reads = !fs->opt.noatime && !fs->opt.read_only,
	};
	int r = -tree_init(&fs->tree, &options, fs->started);

	if (!r)
		r = open_log(fs, waits, error); /* makes the directory */
	if (!r)
		r = open_dir(fs, error);
	if (r)
		return r;
	tell_numbers(fs);
	fs->logdir = logdir_new();
	return fs->logdir ? 0 : out_of_memory(error);
}

int store_open(struct fs_options *options, void (*waits)(void), struct fs **out,
	       struct dwal_error *error)
{
	struct fs *fs = fs_new(options);
	int r;

	if (!fs)
		return out_of_memory(error);
	r = build(fs, waits, error);
	if (r) {
		(void)store_close(fs); /* the first failure is the one to tell */
		return r;
	}
	*out = fs;
	return 0;
}

/* The process ends now, and its memory with it: to go through ten million nodes
 * first would take half a second. */
static void end_tree(struct tree *tree)
{
	if (IS_SANITIZED)
		tree_release(tree);
}

int store_close(struct fs *fs)
{
	int r;

	if (!fs)
		return 0;
	handle_free_all(fs);
	stage_free_all(fs);
	damage_free_all(fs);
	unfinished_free(fs);
	r = dwal_kv_close(fs->kv);
	end_tree(&fs->tree);
	if (fs->dir_fd >= 0)
		close(fs->dir_fd); /* a directory, read-only: nothing can be lost */
	logdir_free(fs->logdir);
	fs_free(fs);
	return r;
}
