/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What each transaction of a file or directory consists of. Every way of a
 * file's content into the log ends in publish_commit() or publish_as(), but for
 * the renaming of a directory (rename_dir.h).
 */
#include "file/publish.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "tree/beside.h"
#include "tree/nodeattr.h"
#include "tree/number.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"

/* The staging has ended with a Put of key: stage and node say so. The handle on
 * the old record is exchanged for one on the new, so that a later staging that
 * fails falls back to this content. */
static void published(struct txn *txn, struct stage *stage, struct dwal_bytes key)
{
	struct fs *fs = txn->fs;
	struct node *node = stage->node;
	dwal_value *base = NULL;

	/* Without memory for it: what is loaded is the content; what is not is
	 * that of the old record as well (rename). */
	if (!dwal_kv_value_at(fs->kv, key.data, key.len, &txn->places[txn->put], &base) ||
	    stage->loaded) {
		dwal_value_close(stage->base);
		stage->base = base;
	}
	stage->dirty = false;
	stage->fresh = false;
	stage->any_close = false;
	stage->retry = 0;
	stage->generation++;
	stage_settle(fs, stage);
	tree_lock(&fs->tree);
	txn_told(txn);
	node->published = true;
	stage_note_times(stage);
	tree_unlock(&fs->tree);
}

/* The times that the directory of a new name has by now, whatever has come and
 * gone in it since the name came. */
static int add_dir_times(struct txn *txn, const struct node *node, char *buffer)
{
	struct node *dir = node->published ? NULL : node_parent(node);
	size_t len;
	int r;

	if (!dir)
		return 0;
	if (timespec_equal(node_mtime(dir), nodeattr_ctime(dir))) {
		txn_enter(txn, node_mtime(dir));
		return 0;
	}
	r = tree_key(&txn->fs->tree, dir, buffer, &len);
	if (!r)
		txn_attr(txn, (struct dwal_bytes){buffer, len}, dir);
	return r;
}

/* The record, or records, that a changed file owes. ENOENT: it has lost its
 * place. Wants the tree's lock. */
static int gather(struct txn *txn, const struct stage *stage, char *buffer, char *dir_buffer,
		  struct dwal_bytes *key)
{
	const struct tree *tree = &txn->fs->tree;
	struct node *node = stage->node, *beside = beside_untold(tree, node);
	size_t len;
	int r = node_has_place(tree, node) ? tree_key(tree, node, buffer, &len) : ENOENT;

	if (r)
		return r;
	*key = (struct dwal_bytes){buffer, len};
	txn->op = node->published ? "write" : "create";
	if (beside)
		txn_attr(txn, *key, beside);
	txn_put(txn, *key, (struct dwal_bytes){stage->bytes.data, stage->size});
	if (node->published && !stage->size)
		txn_on_full_disk(txn);
	txn_put_times(txn, node_mtime(node), nodeattr_ctime(node));
	if (nodeattr_owed(node) || (!node->published && number_is_own(node, *key)))
		txn_attr(txn, *key, node);
	return add_dir_times(txn, node, dir_buffer);
}

static int note_failure(struct fs *fs, struct stage *stage, int r)
{
	if (r == FS_PUT_OFF)
		return r; /* that is no failure */
	if (!stage->retry)
		fs->failed_commits++;
	stage->retry = r;
	return r;
}

int publish_commit(struct fs *fs, struct stage *stage)
{
	char buffer[DWAL_MAX_KEY], dir_buffer[DWAL_MAX_KEY];
	cleanup_txn struct txn txn;
	struct dwal_bytes key;
	int r;

	txn_begin(&txn, fs, "write", tree_now());
	if (!stage->dirty)
		return 0;
	tree_lock(&fs->tree);
	r = gather(&txn, stage, buffer, dir_buffer, &key);
	tree_unlock(&fs->tree);
	if (r == ENOENT) {
		stage->retry = 0; /* unlinked or replaced: nobody's value any more */
		return 0;
	}
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return note_failure(fs, stage, r);
	published(&txn, stage, key);
	return 0;
}

int publish_stage(struct fs *fs, struct stage *stage)
{
	int r;

	do {
		txn_lock(fs);
		pthread_mutex_lock(&stage->lock);
		r = stage->failed ? stage->failed : publish_commit(fs, stage);
		pthread_mutex_unlock(&stage->lock);
	} while (txn_unlock(fs, r));
	return r;
}

/* Does the node have what an attribute record can be about, in the log? A
 * file whose change is still staged is told of with its Put. */
static bool can_be_told(const struct tree *tree, const struct node *node)
{
	if (node_is_dir(node))
		return node_has_place(tree, node);
	return node->parent && node->published && !(node_stage(node) && node_stage(node)->dirty);
}

static int commit_attributes(struct txn *txn, struct node *node)
{
	struct tree *tree = &txn->fs->tree;
	int r = txn_commit(txn);

	if (r)
		return r;
	tree_lock(tree);
	txn_told(txn);
	if (node_stage(node) && !node_stage(node)->dirty)
		stage_note_times(node_stage(node));
	tree_unlock(tree);
	return 0;
}

static int tell_attributes(struct fs *fs, struct node *node, bool is_asked)
{
	char buffer[DWAL_MAX_KEY];
	cleanup_txn struct txn txn;
	size_t len;
	int r = 0;

	txn_begin(&txn, fs, "attr", tree_now());
	if (is_asked)
		txn_on_full_disk(&txn);
	tree_lock(&fs->tree);
	if (can_be_told(&fs->tree, node) && nodeattr_owed(node)) {
		r = tree_key(&fs->tree, node, buffer, &len);
		if (!r)
			txn_attr(&txn, (struct dwal_bytes){buffer, len}, node);
	}
	tree_unlock(&fs->tree);
	return r ? r : commit_attributes(&txn, node);
}

int publish_attributes(struct fs *fs, struct node *node)
{
	return tell_attributes(fs, node, true);
}

int publish_attributes_now(struct fs *fs, struct node *node, bool is_asked)
{
	int r;

	do {
		txn_lock(fs);
		r = tell_attributes(fs, node, is_asked);
	} while (txn_unlock(fs, r));
	return r;
}

int publish_dir(struct fs *fs, struct node *dir, bool is_beside)
{
	char buffer[DWAL_MAX_KEY];
	cleanup_txn struct txn txn;
	size_t len;
	int r;

	txn_begin(&txn, fs, "mkdir", node_mtime(dir));
	tree_lock(&fs->tree);
	r = tree_key(&fs->tree, dir, buffer, &len);
	if (!r)
		txn_attr(&txn, (struct dwal_bytes){buffer, len}, dir);
	if (is_beside)
		txn_enter(&txn, node_mtime(node_parent(dir)));
	tree_unlock(&fs->tree);
	return r ? r : commit_attributes(&txn, dir);
}

int publish_gone(struct fs *fs, const struct node *node, struct timespec when)
{
	char buffer[DWAL_MAX_KEY];
	cleanup_txn struct txn txn;
	size_t len;
	int r;

	txn_begin(&txn, fs, node_is_dir(node) ? "rmdir" : "unlink", when);
	txn_on_full_disk(&txn);
	tree_lock(&fs->tree);
	r = tree_key(&fs->tree, node, buffer, &len);
	tree_unlock(&fs->tree);
	if (r)
		return r;
	(node_is_dir(node) ? txn_no_attr : txn_delete)(&txn, (struct dwal_bytes){buffer, len});
	return txn_commit(&txn);
}

/* ------------------------------------------------------------ another name */

/* Wants the tree's lock. */
static void gather_rename(struct txn *txn, const struct stage *stage,
			  const struct publish_name *name, struct dwal_bytes content)
{
	struct node *node = stage->node;

	if (name->beside)
		txn_attr(txn, name->new_key, name->beside);
	txn_move(txn, node, name->new_key, content);
	txn_put_times(txn, node_mtime(node), name->when);
	/* Nor would the Put tell a number of its own, or that what the replaced
	 * file had no longer holds. */
	if (nodeattr_needs_record(node) || number_is_own(node, name->new_key) ||
	    (name->replaced && name->replaced->recorded))
		txn_attr_moved(txn, name->new_key, node);
	if (node->published)
		txn_delete(txn, name->old_key);
	if (name->replaced)
		txn_enter(txn, name->when);
}

static int write_rename(struct fs *fs, struct stage *stage, const struct publish_name *name,
			struct dwal_bytes content)
{
	cleanup_txn struct txn txn;
	int r;

	txn_begin(&txn, fs, "rename", name->when);
	tree_lock(&fs->tree);
	gather_rename(&txn, stage, name, content);
	tree_unlock(&fs->tree);
	r = txn_commit(&txn);
	if (!r)
		published(&txn, stage, name->new_key);
	return r;
}

/* What is not in memory is read for this one write, and not kept. */
static int rename_content(struct fs *fs, struct stage *stage, const struct publish_name *name)
{
	void *buffer;
	int r;

	if (stage->loaded)
		return write_rename(fs, stage, name,
				    (struct dwal_bytes){stage->bytes.data, stage->size});
	buffer = malloc(stage->size + 1); /* never of no size */
	r = buffer ? stage_read_base(fs, stage, buffer, stage->size) : ENOMEM;
	if (!r)
		r = write_rename(fs, stage, name, (struct dwal_bytes){buffer, stage->size});
	free(buffer);
	return r;
}

int publish_as(struct fs *fs, struct node *node, const struct publish_name *name)
{
	struct stage *stage;
	int r = stage_get(fs, node, true, &stage);

	if (r)
		return r;
	pthread_mutex_lock(&stage->lock);
	r = stage->failed ? stage->failed : rename_content(fs, stage, name);
	pthread_mutex_unlock(&stage->lock);
	stage_put(fs, stage);
	return r;
}
