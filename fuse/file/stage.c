/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The life of stages, and their memory.
 */
#include "file/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "file/damage.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"

/* ------------------------------------------------------------------ life */

static void free_stage(struct fs *fs, struct stage *stage)
{
	DL_DELETE(fs->stages, stage);
	node_use(stage->node)->stage = NULL;
	dwal_value_close(stage->base);
	stage_release_memory(fs, stage);
	pthread_mutex_destroy(&stage->lock);
	tree_drop(&fs->tree, stage->node);
	free(stage);
}

int stage_open_base(struct fs *fs, const struct node *node, dwal_value **out)
{
	char key[DWAL_MAX_KEY];
	size_t len;
	int r;

	*out = NULL;
	if (!node->published)
		return 0;
	if (!node->parent)
		return ESTALE; /* whoever ended its name had its stage */
	r = tree_key(&fs->tree, node, key, &len);
	if (r)
		return r;
	r = dwal_kv_value(fs->kv, key, len, out);
	return r == DWAL_ABSENT ? EAGAIN : errno_of(r);
}

/* Wants the tree's lock. */
static int make_stage(struct fs *fs, struct node *node)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct use *use = node_make_use(&fs->tree, node);
	int r = stage && use ? stage_open_base(fs, node, &stage->base) : ENOMEM;

	if (r) {
		free(stage);
		return r;
	}
	pthread_mutex_init(&stage->lock, NULL);
	stage->generation = 1;
	stage->node = node;
	stage_note_times(stage);
	stage->written = node_mtime(node);
	stage->size = stage->base ? dwal_value_size(stage->base) : 0;
	use->stage = stage;
	tree_hold(node);
	DL_APPEND(fs->stages, stage);
	return 0;
}

void stage_note_times(struct stage *stage)
{
	stage->base_mtime = node_mtime(stage->node);
	stage->base_ctime = nodeattr_ctime(stage->node);
}

int stage_use(struct fs *fs, struct node *node, struct stage **out)
{
	int r = 0;

	if (node_vanished(node))
		return ESTALE;
	if (!node_stage(node))
		r = make_stage(fs, node);
	if (r)
		return r;
	*out = node_stage(node);
	(*out)->users++;
	return 0;
}

static int use_once(struct fs *fs, struct node *node, struct stage **out)
{
	int r;

	tree_lock(&fs->tree);
	r = stage_use(fs, node, out);
	tree_unlock(&fs->tree);
	return r;
}

int stage_get(struct fs *fs, struct node *node, bool have_write_lock, struct stage **out)
{
	int r = use_once(fs, node, out);

	if (r == EAGAIN && !have_write_lock) {
		txn_lock(fs);
		r = use_once(fs, node, out);
		(void)txn_unlock(fs, r); /* nothing was written */
	}
	return r == EAGAIN ? EIO : r; /* the tree has a key that the store has not */
}

static bool is_wanted(const struct fs *fs, const struct stage *stage)
{
	const struct node *node = stage->node;

	if (stage->users)
		return true;
	return node_has_place(&fs->tree, node) ? stage->dirty
					       : node_lookups(node) && !node_vanished(node);
}

void stage_unuse(struct fs *fs, struct stage *stage)
{
	stage->users--;
	if (!is_wanted(fs, stage))
		free_stage(fs, stage);
}

void stage_put(struct fs *fs, struct stage *stage)
{
	tree_lock(&fs->tree);
	stage_unuse(fs, stage);
	tree_unlock(&fs->tree);
}

void stage_forgotten(struct fs *fs, struct node *node)
{
	struct stage *stage = node_stage(node);

	if (stage && !is_wanted(fs, stage))
		free_stage(fs, stage);
}

void stage_free_all(struct fs *fs)
{
	struct stage *stage, *next;

	tree_lock(&fs->tree);
	DL_FOREACH_SAFE(fs->stages, stage, next)
	{
		free_stage(fs, stage);
	}
	tree_unlock(&fs->tree);
}

/* ---------------------------------------------------------------- memory */

/* A stage whose bytes are all in the log, with its lock and a use. One that is
 * busy right now is passed over. NULL: no other. */
static struct stage *take_clean(struct fs *fs, const struct stage *except)
{
	struct stage *stage;

	tree_lock(&fs->tree);
	DL_FOREACH(fs->stages, stage)
	{
		if (stage != except && stage->clean && !pthread_mutex_trylock(&stage->lock)) {
			if (stage->clean)
				break;
			pthread_mutex_unlock(&stage->lock);
		}
	}
	if (stage)
		stage->users++;
	tree_unlock(&fs->tree);
	return stage;
}

static bool has_room(const struct fs *fs)
{
	return fs->staged_bytes + fs->clean_bytes <= fs->opt.stage_limit;
}

static void make_room(struct fs *fs, const struct stage *except)
{
	struct stage *stage;

	while (fs->clean_bytes && !has_room(fs) && (stage = take_clean(fs, except))) {
		stage_release_memory(fs, stage);
		pthread_mutex_unlock(&stage->lock);
		stage_put(fs, stage);
	}
}

static void set_clean(struct fs *fs, struct stage *stage, size_t clean)
{
	fs->clean_bytes += (uint64_t)clean - stage->clean; /* modulo 2^64 */
	stage->clean = clean;
}

/* Counts so many bytes in all as not in the log. */
static int count(struct fs *fs, struct stage *stage, size_t bytes)
{
	uint64_t others, all = fs->staged_bytes;

	do {
		others = all - stage->counted;
		if (bytes_taken(bytes) > stage->counted &&
		    others + bytes_taken(bytes) > fs->opt.stage_limit)
			return ENOSPC;
	} while (!atomic_compare_exchange_weak(&fs->staged_bytes, &all,
					       others + bytes_taken(bytes)));
	stage->counted = bytes_taken(bytes);
	return 0;
}

int stage_read_base(struct fs *fs, const struct stage *stage, void *buffer, size_t n)
{
	size_t got = 0;
	int r = 0;

	if (stage->whole)
		memcpy(buffer, stage->whole->bytes.data, got = n);
	else if (n && stage->base)
		r = damage_read(fs, stage->node, stage->base, 0, buffer, n, &got);
	return !r && got != n ? EIO : r;
}

static void drop_whole(struct stage *stage)
{
	whole_unref(stage->whole);
	stage->whole = NULL;
}

int stage_prepare(struct fs *fs, struct stage *stage, size_t keep, size_t need)
{
	size_t most = need > keep ? need : keep;
	size_t touched = most > stage->touched ? most : stage->touched;
	int r = count(fs, stage, touched);

	if (!r) {
		set_clean(fs, stage, 0);
		make_room(fs, stage);
		r = bytes_grow(&stage->bytes, most, stage->touched);
	}
	if (!r && !stage->loaded)
		r = stage_read_base(fs, stage, stage->bytes.data, keep);
	if (r) {
		stage_settle(fs, stage);
		return r;
	}
	stage->loaded = true;
	stage->touched = touched;
	drop_whole(stage);
	return 0;
}

int stage_read_whole(struct fs *fs, struct stage *stage)
{
	struct whole *whole = NULL;
	int r = 0;

	set_clean(fs, stage, bytes_taken(stage->size));
	make_room(fs, stage);
	if (has_room(fs))
		whole = whole_new(stage->size);
	if (whole)
		r = stage_read_base(fs, stage, whole->bytes.data, stage->size);
	if (!whole || r) {
		whole_unref(whole);
		set_clean(fs, stage, 0);
		return r;
	}
	stage->whole = whole;
	stage->unread = stage->size;
	return 0;
}

void stage_hand_out(struct fs *fs, struct stage *stage, uint64_t offset, struct piece *piece)
{
	piece->whole = whole_ref(stage->whole);
	piece->bytes = stage->whole->bytes.data + offset;
	stage->unread -= piece->n < stage->unread ? piece->n : stage->unread;
	if (!stage->unread)
		stage_release_memory(fs, stage);
}

void stage_settle(struct fs *fs, struct stage *stage)
{
	if (!stage->dirty && !stage->loaded) {
		stage_release_memory(fs, stage);
		return;
	}
	(void)count(fs, stage, stage->dirty ? stage->touched : 0); /* less never fails */
	/* Without a handle on what the log has, these bytes are all there is. */
	set_clean(fs, stage, stage->dirty || !stage->base ? 0 : bytes_taken(stage->touched));
}

void stage_release_memory(struct fs *fs, struct stage *stage)
{
	(void)count(fs, stage, 0);
	set_clean(fs, stage, 0);
	bytes_release(&stage->bytes, stage->touched);
	drop_whole(stage);
	stage->touched = 0;
	stage->loaded = false;
}
