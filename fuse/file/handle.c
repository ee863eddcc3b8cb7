/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Open files. A change becomes a Put at the close of a descriptor that wrote,
 * at fsync, or when the last writer is gone.
 */
#include "file/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "file/publish.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "txn.h"

/* ------------------------------------------------------------------ opening */

/* Wants the tree's lock. */
static void add_handle(struct fs *fs, struct handle *handle)
{
	handle->stage->writers += handle->writable;
	DL_APPEND(fs->handles, handle);
}

/* With a use of its stage. */
static int new_handle(struct fs *fs, struct node *node, bool writable, struct handle **out)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	int r = handle ? stage_get(fs, node, false, &handle->stage) : ENOMEM;

	if (r) {
		free(handle);
		return r;
	}
	handle->node = node;
	handle->writable = writable;
	*out = handle;
	return 0;
}

int handle_open(struct fs *fs, struct node *node, bool writable, bool truncates,
		struct handle **out)
{
	struct handle *handle;
	int r = new_handle(fs, node, writable, &handle);

	if (r)
		return r;
	tree_lock(&fs->tree);
	if (node_vanished(node)) { /* meanwhile */
		stage_unuse(fs, handle->stage);
		tree_unlock(&fs->tree);
		free(handle);
		return ESTALE;
	}
	add_handle(fs, handle);
	tree_unlock(&fs->tree);
	if (truncates) {
		pthread_mutex_lock(&handle->stage->lock);
		content_start_fresh(fs, handle->stage);
		pthread_mutex_unlock(&handle->stage->lock);
	}
	*out = handle;
	return 0;
}

int handle_create(struct fs *fs, struct node *node, struct handle **out)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	int r = handle ? stage_use(fs, node, &handle->stage) : ENOMEM;

	if (r) {
		free(handle);
		return r;
	}
	handle->node = node;
	handle->writable = true;
	add_handle(fs, handle);
	content_start_new(fs, handle->stage);
	*out = handle;
	return 0;
}

/* ----------------------------------------------------- reading and changing */

/* As with relatime: once a handle is often enough. */
static void note_read(struct fs *fs, struct handle *handle)
{
	if (atomic_exchange(&handle->read_before, true))
		return;
	tree_lock(&fs->tree);
	nodeattr_read(&fs->tree, handle->node);
	tree_unlock(&fs->tree);
}

int handle_read(struct fs *fs, struct handle *handle, off_t offset, struct piece *piece)
{
	int r;

	pthread_mutex_lock(&handle->stage->lock);
	r = content_read(fs, handle->stage, (uint64_t)offset, piece);
	pthread_mutex_unlock(&handle->stage->lock);
	if (!r)
		note_read(fs, handle);
	return r;
}

/* Wants stage->lock. */
static int note_write(struct handle *handle, int r)
{
	if (!r) {
		handle->wrote = handle->stage->generation;
		handle->flushed = false;
	}
	return r;
}

int handle_write(struct fs *fs, struct handle *handle, const void *buffer, size_t n, off_t offset,
		 enum content_write how, size_t *put)
{
	struct stage *stage = handle->stage;
	int r;

	pthread_mutex_lock(&stage->lock);
	r = content_write(fs, stage, buffer, n, (uint64_t)offset, how, put);
	r = note_write(handle, r);
	pthread_mutex_unlock(&stage->lock);
	return r;
}

int handle_allocate(struct fs *fs, struct handle *handle, int mode, off_t offset, off_t length)
{
	int r;

	pthread_mutex_lock(&handle->stage->lock);
	r = note_write(handle, content_allocate(fs, handle->stage, mode, offset, length));
	pthread_mutex_unlock(&handle->stage->lock);
	return r;
}

static bool has_writers(struct fs *fs, const struct stage *stage)
{
	tree_lock(&fs->tree);
	bool has = stage->writers > 0;
	tree_unlock(&fs->tree);
	return has;
}

/* With nobody there to close the file it is published at once, or not at all. */
static int truncate_by_path(struct fs *fs, struct stage *stage, uint64_t size)
{
	bool was_dirty = stage->dirty; /* by a commit that failed and is retried */
	int r = content_resize(fs, stage, size);

	if (r)
		return r;
	if (has_writers(fs, stage)) { /* the last one to close sees what has changed */
		stage->any_close = true;
		return 0;
	}
	r = publish_commit(fs, stage);
	if (r && !was_dirty)
		content_drop_staging(fs, stage);
	return r;
}

int handle_truncate(struct fs *fs, struct node *node, struct handle *handle, off_t size)
{
	struct stage *stage;
	int r;

	if (handle) {
		pthread_mutex_lock(&handle->stage->lock);
		r = note_write(handle, content_resize(fs, handle->stage, (uint64_t)size));
		pthread_mutex_unlock(&handle->stage->lock);
		return r;
	}
	r = stage_get(fs, node, false, &stage);
	if (r)
		return r;
	do {
		txn_lock(fs);
		pthread_mutex_lock(&stage->lock);
		r = truncate_by_path(fs, stage, (uint64_t)size);
		pthread_mutex_unlock(&stage->lock);
	} while (txn_unlock(fs, r));
	stage_put(fs, stage);
	return r;
}

/* ------------------------------------------------------------------ closing */

/* What was stored through mappings so far has come: what comes from now on was
 * stored behind the time that was set, or may have been. */
static void end_set_time(struct handle *handle)
{
	node_use(handle->node)->time_set = false;
}

/* What close(2) of this descriptor has to do, by stage->lock. */
static bool owes_put(const struct fs *fs, const struct handle *handle)
{
	const struct stage *stage = handle->stage;

	if (stage->failed)
		return true;
	return stage->dirty &&
	       (handle->wrote == stage->generation || stage->any_close || fs->opt.sync);
}

/* The end of a fresh staging that cannot be published. */
static int give_up(struct fs *fs, struct stage *stage, int error)
{
	stage->failed = error;
	if (stage->dirty)
		content_drop_staging(fs, stage);
	return error;
}

/* Wants stage->lock and the write lock. */
static int flush_locked(struct fs *fs, struct handle *handle)
{
	struct stage *stage = handle->stage;
	bool fresh = stage->fresh;
	int r;

	if (!owes_put(fs, handle))
		return 0;
	if (stage->failed)
		return give_up(fs, stage, stage->failed);
	r = publish_commit(fs, stage);
	return r && r != FS_PUT_OFF && fresh ? give_up(fs, stage, r) : r;
}

int handle_flush(struct fs *fs, struct handle *handle)
{
	bool owes;
	int r;

	if (!handle->writable)
		return 0;
	pthread_mutex_lock(&handle->stage->lock);
	handle->flushed = true;
	end_set_time(handle);
	owes = owes_put(fs, handle);
	pthread_mutex_unlock(&handle->stage->lock);
	if (!owes)
		return 0;
	do {
		txn_lock(fs);
		pthread_mutex_lock(&handle->stage->lock);
		r = flush_locked(fs, handle);
		pthread_mutex_unlock(&handle->stage->lock);
	} while (txn_unlock(fs, r));
	/* Attributes changed in a staging that was given up are those of the old
	 * value. If they cannot be written, the next change of them tries again. */
	if (r)
		(void)publish_attributes_now(fs, handle->node, false);
	return !r && fs->opt.sync ? txn_sync(fs) : r;
}

int handle_fsync(struct fs *fs, struct handle *handle)
{
	int r = publish_stage(fs, handle->stage);

	end_set_time(handle);
	return r ? r : txn_sync(fs);
}

/* A file whose creation failed before it ever reached the log is gone, and has
 * failed for whoever still has it open for reading. The kernel may still know the
 * name: a program that comes to the node by it is sent to look again. True if so. */
static bool remove_unpublished(struct fs *fs, struct stage *stage)
{
	struct node *node = stage->node, *dir;
	bool is_gone;

	tree_lock(&fs->tree);
	dir = node_parent(node);
	is_gone = dir && !node->published && !stage->dirty && !stage->writers;
	if (is_gone) {
		node_use(node)->vanished = true;
		tree_detach(&fs->tree, node);
		nodeattr_touch(&fs->tree, dir, node_mtime(node));
		tree_owe_times(&fs->tree, dir);
	}
	tree_unlock(&fs->tree);
	return is_gone;
}

/* A close(2) that failed has said so itself, before it returned. What comes
 * between that and the last RELEASE is a mapping's. */
static int give_up_late(struct fs *fs, struct stage *stage)
{
	if (stage->dirty) {
		tree_lock(&fs->tree);
		errands_add(&fs->errands, tree_id(&fs->tree, stage->node));
		tree_unlock(&fs->tree);
	}
	return give_up(fs, stage, stage->failed);
}

/* No descriptor is left that could publish by its close; unless the file was
 * opened again by now, and the change is the new descriptor's. */
static int close_last_writer(struct fs *fs, struct stage *stage)
{
	int r;

	if (has_writers(fs, stage))
		return 0;
	r = stage->failed ? give_up_late(fs, stage) : publish_commit(fs, stage);
	if (r != FS_PUT_OFF && !remove_unpublished(fs, stage))
		stage->failed = 0;
	return r;
}

/* Nobody waits for what comes of it: a program was told of a write that
 * failed, and a commit that did is noted. */
static void end_writing(struct fs *fs, struct stage *stage)
{
	int r;

	do {
		txn_lock(fs);
		pthread_mutex_lock(&stage->lock);
		r = close_last_writer(fs, stage);
		pthread_mutex_unlock(&stage->lock);
	} while (txn_unlock(fs, r));
	if (r)
		(void)publish_attributes_now(fs, stage->node, false);
}

/* Has the last writer left something to be published, or to be given up? Its
 * close has mostly done all that. Wants the tree's lock. */
static bool is_owed(const struct stage *stage)
{
	return stage->dirty || stage->failed || !stage->node->published;
}

void handle_close(struct fs *fs, struct handle *handle)
{
	struct stage *stage = handle->stage;
	bool last, owed;

	tree_lock(&fs->tree);
	DL_DELETE(fs->handles, handle);
	last = handle->writable && --stage->writers == 0;
	owed = last && is_owed(stage);
	if (!owed)
		stage_unuse(fs, stage);
	tree_unlock(&fs->tree);
	free(handle);
	if (owed)
		end_writing(fs, stage);
	if (last && fs->opt.sync)
		(void)txn_sync(fs); /* a failure poisons the log */
	if (owed)
		stage_put(fs, stage);
}

int handle_publish_new(struct fs *fs, struct node *node, struct dwal_bytes content)
{
	struct handle *handle;
	size_t put;
	int r;

	tree_lock(&fs->tree);
	r = handle_create(fs, node, &handle);
	tree_unlock(&fs->tree);
	if (r)
		return r;
	if (content.len)
		r = handle_write(fs, handle, content.data, content.len, 0, CONTENT_WRITE, &put);
	if (!r)
		r = publish_stage(fs, handle->stage);
	if (r) {
		pthread_mutex_lock(&handle->stage->lock);
		handle->stage->failed = r; /* so that closing gives it up */
		pthread_mutex_unlock(&handle->stage->lock);
	}
	handle_close(fs, handle);
	return r;
}

void handle_free_all(struct fs *fs)
{
	struct handle *handle, *next;

	tree_lock(&fs->tree);
	DL_FOREACH_SAFE(fs->handles, handle, next)
	{
		free(handle);
	}
	fs->handles = NULL;
	tree_unlock(&fs->tree);
}
