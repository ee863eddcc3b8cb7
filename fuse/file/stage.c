/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Staged bytes: their memory, reading and changing them. When they become a
 * Put is decided in publish.c.
 */
#include "file/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "tree/nodeattr.h"

/* ------------------------------------------------------------------ life */

static void free_stage(struct fs *fs, struct stage *stage)
{
	DL_DELETE(fs->stages, stage);
	stage->node->stage = NULL;
	dwal_value_close(stage->base);
	stage_memory_release(fs, stage);
	pthread_mutex_destroy(&stage->lock);
	tree_drop(fs, stage->node);
	free(stage);
}

/* The handle that keeps the published content readable, whatever becomes of
 * the key. EAGAIN: the tree and the store are between two states. */
static int open_base(struct fs *fs, const struct node *node, dwal_value **out)
{
	char key[DWAL_MAX_KEY];
	size_t len;
	int r;

	*out = NULL;
	if (!node->published)
		return 0;
	if (!node->parent)
		return ESTALE; /* whoever ended its name had its stage */
	r = tree_key(fs, node, key, &len);
	if (r)
		return r;
	r = dwal_kv_value(fs->kv, key, len, out);
	return r == DWAL_ABSENT ? EAGAIN : errno_of(r);
}

/* Wants fs->lock. */
static int make_stage(struct fs *fs, struct node *node, struct stage **out)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	int r = stage ? open_base(fs, node, &stage->base) : ENOMEM;

	if (r) {
		free(stage);
		return r;
	}
	pthread_mutex_init(&stage->lock, NULL);
	stage->generation = 1;
	stage->node = node;
	stage->base_mtime = node->mtime;
	stage->written = node->mtime;
	stage->size = stage->base ? dwal_value_size(stage->base) : 0;
	node->stage = stage;
	tree_hold(node);
	DL_APPEND(fs->stages, stage);
	*out = stage;
	return 0;
}

static int get_stage(struct fs *fs, struct node *node, struct stage **out)
{
	int r = 0;

	pthread_mutex_lock(&fs->lock);
	if (node->vanished)
		r = ESTALE;
	else if (!node->stage)
		r = make_stage(fs, node, &node->stage);
	if (!r) {
		node->stage->users++;
		*out = node->stage;
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

int stage_get(struct fs *fs, struct node *node, bool have_write_lock, struct stage **out)
{
	int r = get_stage(fs, node, out);

	if (r == EAGAIN && !have_write_lock) {
		pthread_mutex_lock(&fs->write_lock);
		r = get_stage(fs, node, out);
		pthread_mutex_unlock(&fs->write_lock);
	}
	return r == EAGAIN ? EIO : r; /* the tree has a key that the store has not */
}

static bool is_wanted(const struct fs *fs, const struct stage *stage)
{
	const struct node *node = stage->node;

	if (stage->users)
		return true;
	return node_has_place(fs, node) ? stage->dirty : node->lookups && !node->vanished;
}

void stage_put(struct fs *fs, struct stage *stage)
{
	pthread_mutex_lock(&fs->lock);
	stage->users--;
	if (!is_wanted(fs, stage))
		free_stage(fs, stage);
	pthread_mutex_unlock(&fs->lock);
}

void stage_forgotten(struct fs *fs, struct node *node)
{
	if (node->stage && !is_wanted(fs, node->stage))
		free_stage(fs, node->stage);
}

void stage_free_all(struct fs *fs)
{
	struct handle *handle, *next_handle;
	struct stage *stage, *next;

	pthread_mutex_lock(&fs->lock);
	DL_FOREACH_SAFE(fs->handles, handle, next_handle)
	{
		free(handle);
	}
	DL_FOREACH_SAFE(fs->stages, stage, next)
	{
		free_stage(fs, stage);
	}
	pthread_mutex_unlock(&fs->lock);
}

/* ------------------------------------------------------------- stagings */

/* Lets stat(2) see the stage's size and time. */
static void show(struct fs *fs, struct stage *stage, struct timespec mtime)
{
	pthread_mutex_lock(&fs->lock);
	stage->node->size = stage->size;
	nodeattr_touch(stage->node, mtime);
	pthread_mutex_unlock(&fs->lock);
}

static void changed(struct fs *fs, struct stage *stage, struct handle *handle)
{
	stage->dirty = true;
	if (handle) {
		handle->wrote = stage->generation;
		handle->flushed = false;
	}
	stage->written = fs_now();
	show(fs, stage, stage->written);
}

/* Needs no memory: cannot fail. */
static void make_empty(struct fs *fs, struct stage *stage)
{
	stage_memory_release(fs, stage);
	stage->size = 0;
	stage->loaded = true;
}

/* A time that was set after the bytes were stored stays. */
static void written_back(struct fs *fs, struct stage *stage, struct handle *handle)
{
	bool time_set;

	pthread_mutex_lock(&fs->lock);
	time_set = stage->node->time_set;
	pthread_mutex_unlock(&fs->lock);
	if (!time_set) {
		changed(fs, stage, handle);
		return;
	}
	stage->dirty = true;
	handle->wrote = stage->generation;
	handle->flushed = false;
	pthread_mutex_lock(&fs->lock);
	stage->node->size = stage->size;
	nodeattr_written_back(stage->node);
	pthread_mutex_unlock(&fs->lock);
}

void stage_end_set_time(struct fs *fs, struct node *node)
{
	pthread_mutex_lock(&fs->lock);
	node->time_set = false;
	pthread_mutex_unlock(&fs->lock);
}

static void start_fresh(struct fs *fs, struct stage *stage)
{
	make_empty(fs, stage);
	stage->fresh = true;
	stage->failed = 0;
	changed(fs, stage, NULL);
}

void stage_drop_staging(struct fs *fs, struct stage *stage)
{
	struct node *node = stage->node;

	pthread_mutex_lock(&fs->lock);
	if (!stage->base && node->parent) /* the last Put had no memory for it */
		(void)open_base(fs, node, &stage->base);
	pthread_mutex_unlock(&fs->lock);
	stage_memory_release(fs, stage);
	stage->dirty = false;
	stage->fresh = false;
	stage->any_close = false;
	stage->retry = 0;
	stage->generation++;
	stage->size = stage->base ? dwal_value_size(stage->base) : 0;
	show(fs, stage, stage->base_mtime);
	pthread_mutex_lock(&fs->lock);
	node->cache_stale = true;
	pthread_mutex_unlock(&fs->lock);
}

int stage_open(struct fs *fs, struct node *node, bool writable, enum stage_start start,
	       struct handle **out)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	int r = handle ? stage_get(fs, node, false, &handle->stage) : ENOMEM;

	if (r) {
		free(handle);
		return r;
	}
	handle->node = node;
	handle->writable = writable;
	pthread_mutex_lock(&fs->lock);
	r = node->vanished ? ESTALE : 0; /* meanwhile */
	if (!r) {
		handle->stage->writers += writable;
		DL_APPEND(fs->handles, handle);
	}
	pthread_mutex_unlock(&fs->lock);
	if (r) {
		stage_put(fs, handle->stage);
		free(handle);
		return r;
	}
	if (start != STAGE_AS_IT_IS) {
		pthread_mutex_lock(&handle->stage->lock);
		start_fresh(fs, handle->stage);
		pthread_mutex_unlock(&handle->stage->lock);
	}
	*out = handle;
	return 0;
}

/* As with relatime: once a handle is often enough. */
static void note_read(struct fs *fs, struct handle *handle)
{
	if (atomic_exchange(&handle->read_before, true))
		return;
	pthread_mutex_lock(&fs->lock);
	nodeattr_read(fs, handle->node);
	pthread_mutex_unlock(&fs->lock);
}

int stage_read(struct fs *fs, struct handle *handle, void *buffer, size_t n, off_t offset,
	       size_t *got)
{
	struct stage *stage = handle->stage;
	int r = 0;

	*got = 0;
	pthread_mutex_lock(&stage->lock);
	if ((uint64_t)offset < stage->size) {
		if (n > stage->size - (size_t)offset)
			n = stage->size - (size_t)offset;
		if (!stage->loaded) {
			r = errno_of(dwal_value_read(stage->base, (uint64_t)offset, buffer, n, got,
						     NULL));
		} else {
			memcpy(buffer, stage->data + offset, n);
			*got = n;
		}
	}
	pthread_mutex_unlock(&stage->lock);
	if (!r)
		note_read(fs, handle);
	return r;
}

/* Zeros from the end to there. */
static void fill_up(struct stage *stage, size_t end)
{
	if (end > stage->size)
		memset(stage->data + stage->size, 0, end - stage->size);
}

/* The content gets this size; bytes that are new are zero. Beyond the largest
 * value: EFBIG. */
static int resize(struct fs *fs, struct stage *stage, uint64_t size)
{
	int r;

	if (size > DWAL_MAX_PAYLOAD)
		return EFBIG;
	if (!size) {
		make_empty(fs, stage);
		stage->fresh |= !stage->dirty; /* begins with nothing, as with O_TRUNC */
		return 0;
	}
	r = stage_prepare(fs, stage, size < stage->size ? size : stage->size, size);
	if (r)
		return r;
	fill_up(stage, size);
	stage->size = size;
	return 0;
}

/* Notes what a failed write means for this staging. */
static int spoil(struct stage *stage, int r)
{
	if (r && stage->fresh)
		stage->failed = r;
	return r;
}

static int write_bytes(struct fs *fs, struct stage *stage, const void *buffer, size_t n,
		       uint64_t offset)
{
	uint64_t end = offset + n;
	int r = stage_prepare(fs, stage, stage->size, end);

	if (r)
		return r;
	fill_up(stage, offset);
	memcpy(stage->data + offset, buffer, n);
	if (end > stage->size)
		stage->size = end;
	return 0;
}

int stage_write(struct fs *fs, struct handle *handle, const void *buffer, size_t n, off_t offset,
		enum stage_write how, size_t *put)
{
	struct stage *stage = handle->stage;
	int r;

	pthread_mutex_lock(&stage->lock);
	uint64_t start = how == STAGE_APPEND ? stage->size : (uint64_t)offset;
	r = stage->failed;
	if (!r && start >= DWAL_MAX_PAYLOAD)
		r = spoil(stage, EFBIG);
	if (!r) {
		if (n > DWAL_MAX_PAYLOAD - start)
			n = DWAL_MAX_PAYLOAD - start;
		r = spoil(stage, write_bytes(fs, stage, buffer, n, start));
	}
	if (!r) {
		(how == STAGE_MAPPED ? written_back : changed)(fs, stage, handle);
		*put = n;
	}
	pthread_mutex_unlock(&stage->lock);
	return r;
}

static int change_size(struct fs *fs, struct stage *stage, struct handle *handle, uint64_t size)
{
	int r = stage->failed;

	if (!r)
		r = spoil(stage, resize(fs, stage, size));
	if (!r)
		changed(fs, stage, handle);
	return r;
}

/* truncate(2) by path. With nobody there to close the file it is published at
 * once, or not at all. */
static int truncate_by_path(struct fs *fs, struct stage *stage, uint64_t size)
{
	int r;

	pthread_mutex_lock(&fs->lock);
	bool writers = stage->writers > 0;
	pthread_mutex_unlock(&fs->lock);
	bool was_dirty = stage->dirty; /* by a commit that failed and is retried */
	r = change_size(fs, stage, NULL, size);
	if (r)
		return r;
	if (writers) {
		stage->any_close = true;
		return 0;
	}
	r = stage_commit(fs, stage);
	if (r && !was_dirty)
		stage_drop_staging(fs, stage);
	return r;
}

int stage_truncate(struct fs *fs, struct node *node, struct handle *handle, off_t size)
{
	struct stage *stage;
	int r;

	if (handle) {
		pthread_mutex_lock(&handle->stage->lock);
		r = change_size(fs, handle->stage, handle, (uint64_t)size);
		pthread_mutex_unlock(&handle->stage->lock);
		return r;
	}
	r = stage_get(fs, node, false, &stage);
	if (r)
		return r;
	do {
		pthread_mutex_lock(&fs->write_lock);
		pthread_mutex_lock(&stage->lock);
		r = truncate_by_path(fs, stage, (uint64_t)size);
		pthread_mutex_unlock(&stage->lock);
		pthread_mutex_unlock(&fs->write_lock);
	} while (append_put_off(fs, r));
	stage_put(fs, stage);
	return r;
}

/* Zeros where there is content; beyond its end nothing changes. */
static void clear_range(struct stage *stage, uint64_t offset, uint64_t end)
{
	if (end > stage->size)
		end = stage->size;
	if (offset < end)
		memset(stage->data + offset, 0, end - offset);
}

/* As on ext4 each success is a change, also one of nothing. */
int stage_allocate(struct fs *fs, struct handle *handle, int mode, off_t offset, off_t length)
{
	struct stage *stage = handle->stage;
	uint64_t end = (uint64_t)offset + (uint64_t)length;
	bool grows = !(mode & FALLOC_FL_KEEP_SIZE);
	int r;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return EOPNOTSUPP;
	if (end > DWAL_MAX_PAYLOAD && !(mode & FALLOC_FL_PUNCH_HOLE))
		return EFBIG;
	pthread_mutex_lock(&stage->lock);
	r = stage->failed;
	if (!r)
		r = spoil(stage, stage_prepare(fs, stage, stage->size, grows ? end : 0));
	if (!r && mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		clear_range(stage, (uint64_t)offset, end);
	if (!r && grows && end > stage->size) {
		fill_up(stage, end);
		stage->size = end;
	}
	if (!r)
		changed(fs, stage, handle);
	pthread_mutex_unlock(&stage->lock);
	return r;
}
