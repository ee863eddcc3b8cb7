/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * When staged bytes become a Put: at the close of a descriptor that wrote, at
 * fsync, at rename, when the last writer is gone, at unmount. Every way ends
 * in stage_commit() or stage_publish_as().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "file/beside.h"
#include "tree/nodeattr.h"
#include "file/stage.h"

static struct dwal_bytes staged(const struct stage *stage)
{
	return (struct dwal_bytes){stage->data, stage->size};
}

/* The staging has ended with a Put: stage and node say so. The handle on the
 * old record is exchanged for one on the new, so that a later staging that
 * fails falls back to this content. */
void stage_published(struct fs *fs, struct stage *stage, struct dwal_bytes key)
{
	struct node *node = stage->node;
	dwal_value *base = NULL;

	/* Without memory for it: what is loaded is the content; what is not is
	 * that of the old record as well (rename). */
	if (!dwal_kv_value(fs->kv, key.data, key.len, &base) || stage->loaded) {
		dwal_value_close(stage->base);
		stage->base = base;
	}
	stage->dirty = false;
	stage->fresh = false;
	stage->any_close = false;
	stage->retry = 0;
	stage->generation++;
	stage_settle(fs, stage);
	pthread_mutex_lock(&fs->lock);
	/* At the next mount the directory has the time, in seconds, of this Put;
	 * mounting must not change what it shows. */
	struct node *dir = node->parent;
	if (!node->published && dir && !nodeattr_mtime_is_set(dir) &&
	    dir->mtime.tv_sec < stage->written.tv_sec) {
		nodeattr_touch(dir, stage->written);
		errands_add(&fs->errands, tree_id(fs, dir));
	}
	node->published = true;
	stage->base_mtime = node->mtime;
	pthread_mutex_unlock(&fs->lock);
}

/* The key of a node; ENOENT when it has lost its place. */
static int current_key(struct fs *fs, const struct node *node, char *buffer, struct dwal_bytes *key)
{
	size_t len = 0;
	int r;

	pthread_mutex_lock(&fs->lock);
	r = node_has_place(fs, node) ? tree_key(fs, node, buffer, &len) : ENOENT;
	pthread_mutex_unlock(&fs->lock);
	*key = (struct dwal_bytes){buffer, len};
	return r;
}

/* What the log has not been told of the node's attributes, if anything; with a
 * Put also what that alone would not tell. */
static int append_owed(struct append *append, struct fs *fs, const struct node *node,
		       struct dwal_bytes key, bool with_put, bool *owed)
{
	struct attr attr;
	int r = 0;

	pthread_mutex_lock(&fs->lock);
	*owed = nodeattr_owed(node) || (with_put && nodeattr_needs_fraction(fs, node));
	if (*owed) {
		attr = nodeattr_snapshot(fs, node);
		r = append_attr(append, key, &attr, nodeattr_xattrs(node));
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

void publish_told(struct fs *fs, struct node *node, bool recorded)
{
	pthread_mutex_lock(&fs->lock);
	nodeattr_told(node, recorded);
	pthread_mutex_unlock(&fs->lock);
}

/* A time that was set for the directory of a new name holds: the Put of that
 * name would end it at the next mount, so it is said again. */
static int append_dir_time(struct append *append, struct fs *fs, const struct node *node,
			   char *buffer)
{
	const struct node *dir;
	struct attr attr;
	size_t len;
	int r = 0;

	pthread_mutex_lock(&fs->lock);
	dir = node->published ? NULL : node->parent;
	if (dir && nodeattr_mtime_is_set(dir)) {
		r = tree_key(fs, dir, buffer, &len);
		attr = nodeattr_snapshot(fs, dir);
		if (!r)
			r = append_attr(append, (struct dwal_bytes){buffer, len}, &attr,
					nodeattr_xattrs(dir));
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

/* The record, or records, that a changed file owes. */
static int write_content(struct fs *fs, const struct stage *stage, struct dwal_bytes key)
{
	char dir_key[DWAL_MAX_KEY];
	struct append append = {0};
	struct node *beside;
	bool owed = false;
	int r;

	beside = beside_untold(fs, stage->node);
	r = beside_append(&append, fs, beside, key);
	append_put(&append, fs, key, staged(stage), stage->written);
	if (!r)
		r = append_owed(&append, fs, stage->node, key, true, &owed);
	if (!r)
		r = append_dir_time(&append, fs, stage->node, dir_key);
	if (r) {
		append_release(&append);
		return r;
	}
	r = append_write(&append, fs);
	if (!r && owed)
		publish_told(fs, stage->node, true);
	if (!r && beside)
		publish_told(fs, beside, true);
	return r;
}

/* Does the node have what an attribute record can be about, in the log? A
 * file whose change is still staged is told of with its Put. */
static bool can_be_told(struct fs *fs, const struct node *node)
{
	bool can;

	pthread_mutex_lock(&fs->lock);
	can = node_is_dir(node)
		      ? node_has_place(fs, node)
		      : node->parent && node->published && !(node->stage && node->stage->dirty);
	pthread_mutex_unlock(&fs->lock);
	return can;
}

int publish_attributes(struct fs *fs, struct node *node)
{
	char buffer[DWAL_MAX_KEY];
	struct append append = {0};
	struct dwal_bytes key;
	bool owed;
	int r;

	if (!can_be_told(fs, node))
		return 0;
	r = current_key(fs, node, buffer, &key);
	if (!r)
		r = append_owed(&append, fs, node, key, false, &owed);
	if (r || !owed)
		return r;
	r = append_write(&append, fs);
	if (!r)
		publish_told(fs, node, true);
	return r;
}

int publish_dir_gone(struct fs *fs, struct node *dir)
{
	const struct attr none = {.type = ATTR_NONE};
	char buffer[DWAL_MAX_KEY];
	struct append append = {0};
	struct dwal_bytes key;
	int r = current_key(fs, dir, buffer, &key);

	if (!r)
		r = append_attr(&append, key, &none, NULL);
	return r ? r : append_write(&append, fs);
}

int stage_commit(struct fs *fs, struct stage *stage)
{
	char buffer[DWAL_MAX_KEY];
	struct dwal_bytes key;
	int r;

	if (!stage->dirty)
		return 0;
	r = current_key(fs, stage->node, buffer, &key);
	if (r == ENOENT) {
		stage->retry = 0; /* unlinked or replaced: nobody's value any more */
		return 0;
	}
	if (!r)
		r = write_content(fs, stage, key);
	if (!r) {
		stage_published(fs, stage, key);
		return 0;
	}
	if (r == FS_PUT_OFF)
		return r; /* that is no failure */
	if (!stage->retry)
		fs->failed_commits++;
	stage->retry = r;
	return r;
}

int stage_publish(struct fs *fs, struct stage *stage)
{
	int r;

	do {
		pthread_mutex_lock(&fs->write_lock);
		pthread_mutex_lock(&stage->lock);
		r = stage->failed ? stage->failed : stage_commit(fs, stage);
		pthread_mutex_unlock(&stage->lock);
		pthread_mutex_unlock(&fs->write_lock);
	} while (append_put_off(fs, r));
	return r;
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
		stage_drop_staging(fs, stage);
	return error;
}

/* Attributes changed in a staging that was given up are those of the old value.
 * If they cannot be written, the next change of them tries again. */
static void publish_left_over(struct fs *fs, struct node *node)
{
	int r;

	do {
		pthread_mutex_lock(&fs->write_lock);
		r = publish_attributes(fs, node);
		pthread_mutex_unlock(&fs->write_lock);
	} while (append_put_off(fs, r));
}

static int flush_locked(struct fs *fs, struct handle *handle)
{
	struct stage *stage = handle->stage;
	bool fresh = stage->fresh;
	int r;

	if (!owes_put(fs, handle))
		return 0;
	if (stage->failed)
		return give_up(fs, stage, stage->failed);
	r = stage_commit(fs, stage);
	return r && r != FS_PUT_OFF && fresh ? give_up(fs, stage, r) : r;
}

int stage_flush(struct fs *fs, struct handle *handle)
{
	bool owes;
	int r;

	if (!handle->writable)
		return 0;
	pthread_mutex_lock(&handle->stage->lock);
	handle->flushed = true;
	stage_end_set_time(fs, handle->node);
	owes = owes_put(fs, handle);
	pthread_mutex_unlock(&handle->stage->lock);
	if (!owes)
		return 0;
	do {
		pthread_mutex_lock(&fs->write_lock);
		pthread_mutex_lock(&handle->stage->lock);
		r = flush_locked(fs, handle);
		pthread_mutex_unlock(&handle->stage->lock);
		pthread_mutex_unlock(&fs->write_lock);
	} while (append_put_off(fs, r));
	if (r)
		publish_left_over(fs, handle->node);
	return !r && fs->opt.sync ? append_sync(fs) : r;
}

int stage_fsync(struct fs *fs, struct handle *handle)
{
	int r = stage_publish(fs, handle->stage);

	stage_end_set_time(fs, handle->node);
	return r ? r : append_sync(fs);
}

/* A file whose creation failed before it ever reached the log is gone. The
 * kernel may still know the name: a program that comes to the node by it is
 * sent to look again. */
static void remove_unpublished(struct fs *fs, struct stage *stage)
{
	struct node *node = stage->node, *dir;

	pthread_mutex_lock(&fs->lock);
	dir = node->parent;
	if (dir && !node->published && !stage->dirty && !stage->writers) {
		node->vanished = true;
		tree_detach(fs, node);
		nodeattr_touch(dir, node->mtime);
	}
	pthread_mutex_unlock(&fs->lock);
}

static bool has_writers(struct fs *fs, const struct stage *stage)
{
	pthread_mutex_lock(&fs->lock);
	bool has = stage->writers > 0;
	pthread_mutex_unlock(&fs->lock);
	return has;
}

/* A close(2) that failed has said so itself, before it returned. What comes
 * between that and the last RELEASE is a mapping's. */
static int give_up_late(struct fs *fs, struct stage *stage)
{
	if (stage->dirty) {
		pthread_mutex_lock(&fs->lock);
		errands_add(&fs->errands, tree_id(fs, stage->node));
		pthread_mutex_unlock(&fs->lock);
	}
	return give_up(fs, stage, stage->failed);
}

/* No descriptor is left that could publish by its close; unless the file was
 * opened again by now, and the change is the new descriptor's. */
static int close_last_writer(struct fs *fs, struct stage *stage)
{
	int r = 0;

	pthread_mutex_lock(&fs->write_lock);
	pthread_mutex_lock(&stage->lock);
	if (!has_writers(fs, stage)) {
		r = stage->failed ? give_up_late(fs, stage) : stage_commit(fs, stage);
		if (r != FS_PUT_OFF) {
			stage->failed = 0;
			remove_unpublished(fs, stage);
		}
	}
	pthread_mutex_unlock(&stage->lock);
	pthread_mutex_unlock(&fs->write_lock);
	return r;
}

/* Nobody waits for what comes of it: a program was told of a write that
 * failed, and a commit that did is noted. */
static void close_for_writing(struct fs *fs, struct stage *stage)
{
	int r;

	do
		r = close_last_writer(fs, stage);
	while (append_put_off(fs, r));
	if (r)
		publish_left_over(fs, stage->node);
	if (fs->opt.sync)
		(void)append_sync(fs); /* a failure poisons the log */
}

void stage_close(struct fs *fs, struct handle *handle)
{
	struct stage *stage = handle->stage;
	bool last;

	pthread_mutex_lock(&fs->lock);
	DL_DELETE(fs->handles, handle);
	last = handle->writable && --stage->writers == 0;
	pthread_mutex_unlock(&fs->lock);
	if (last)
		close_for_writing(fs, stage);
	stage_put(fs, stage);
	free(handle);
}

int stage_publish_new(struct fs *fs, struct node *node, struct dwal_bytes content)
{
	struct handle *handle;
	size_t put;
	int r = stage_open(fs, node, true, STAGE_CREATED, &handle);

	if (r)
		return r;
	if (content.len)
		r = stage_write(fs, handle, content.data, content.len, 0, STAGE_WRITE, &put);
	if (!r)
		r = stage_publish(fs, handle->stage);
	if (r) {
		pthread_mutex_lock(&handle->stage->lock);
		handle->stage->failed = r; /* so that closing gives it up */
		pthread_mutex_unlock(&handle->stage->lock);
	}
	stage_close(fs, handle);
	return r;
}
