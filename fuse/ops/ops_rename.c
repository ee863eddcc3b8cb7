/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rename(2). Of a file: Put of the new name, then the tombstone of the old, in
 * one write. Of a directory: the same for every key below it (rename_dir.c).
 */
#include "ops/ops_rename.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "file/publish.h"
#include "file/rename_dir.h"
#include "ops/ops.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"

/* A rename that was looked up and checked. */
struct renaming {
	struct node *node, *replaced, *dir;
	const char *name;
	struct maker maker;
	struct place place;  /* until the tree has it */
	struct node *beside; /* a directory that had to be made for it, or NULL */
	bool told;           /* the log knows the old name */
	fuse_ino_t moved;    /* 0 until it is */
	struct timespec when;
	struct rename_ahead *ahead; /* of a large directory, from its first turn on */
	char *old_key, *new_key;    /* in buffers that are not cleared each time: 128 KiB */
	size_t old_len, new_len;
};

static int check_replaced(const struct renaming *ren, unsigned int flags)
{
	if (flags & RENAME_NOREPLACE)
		return EEXIST;
	if (!node_is_dir(ren->node))
		return node_is_dir(ren->replaced) ? EISDIR : 0;
	if (!node_is_dir(ren->replaced))
		return ENOTDIR;
	return node_first(ren->replaced) ? ENOTEMPTY : 0;
}

/* Wants the tree's lock. */
static int check_rename(struct fs *fs, struct renaming *ren, unsigned int flags)
{
	int r = ren->replaced
			? check_replaced(ren, flags)
			: tree_check_name(&fs->tree, ren->dir, ren->name, node_type(ren->node));

	if (!r)
		r = tree_key(&fs->tree, ren->node, ren->old_key, &ren->old_len);
	if (!r)
		r = tree_name_key(&fs->tree, ren->dir, ren->name, node_is_dir(ren->node),
				  ren->new_key, &ren->new_len);
	if (r)
		return r;
	ren->place = ren->replaced ? tree_place_copy(ren->replaced)
				   : tree_name_place(&fs->tree, ren->dir, ren->name,
						     node_is_dir(ren->node));
	if (!ren->place.name)
		return ENOMEM;
	return ren->replaced
		       ? 0
		       : beside_make(&fs->tree, ren->dir, ren->name, &ren->maker, &ren->beside);
}

/* The log has the new name: so has the tree. Wants the tree's lock. */
static void move_node(struct fs *fs, struct renaming *ren)
{
	struct node *old_dir = node_parent(ren->node);
	struct timespec now = ren->when;

	tree_move(&fs->tree, ren->node, ren->dir, ren->place, ren->replaced);
	if (ren->replaced && node_is_dir(ren->replaced))
		tree_give_way(&fs->tree, ren->replaced);
	else if (ren->replaced)
		ops_lose(fs, ren->replaced, now);
	ren->place = (struct place){0};
	ren->moved = tree_id(&fs->tree, ren->node);
	nodeattr_renamed(&fs->tree, ren->node, now);
	nodeattr_touch(&fs->tree, old_dir, now);
	nodeattr_touch(&fs->tree, ren->dir, now);
	if (!ren->told && old_dir != ren->dir)
		tree_owe_times(&fs->tree, old_dir);
}

static int look_up(struct fs *fs, struct node *from_dir, const char *from, struct renaming *ren,
		   unsigned int flags)
{
	int r;

	ren->beside = NULL;
	ren->when = tree_now();
	tree_lock(&fs->tree);
	ren->node = tree_lookup(&fs->tree, from_dir, from);
	ren->replaced = tree_lookup(&fs->tree, ren->dir, ren->name);
	if (!ren->node)
		r = ENOENT;
	else
		r = ren->node == ren->replaced ? 0 : check_rename(fs, ren, flags);
	if (ren->node)
		ren->told = node_is_dir(ren->node) ? ren->node->recorded : ren->node->published;
	tree_unlock(&fs->tree);
	return r;
}

static int rename_node(struct fs *fs, struct renaming *ren)
{
	struct dwal_bytes new_key = {ren->new_key, ren->new_len};
	struct dwal_bytes old_key = {ren->old_key, ren->old_len};
	struct publish_name name = {new_key, old_key, ren->replaced, ren->beside, ren->when};
	int r;

	if (node_is_dir(ren->node))
		r = rename_dir_keys(
			fs,
			&(struct rename_dir){ren->node, new_key, old_key, ren->replaced, ren->when},
			&ren->ahead);
	else
		r = publish_as(fs, ren->node, &name);
	tree_lock(&fs->tree);
	if (!r)
		move_node(fs, ren);
	else
		beside_unmake(&fs->tree, ren->beside);
	tree_unlock(&fs->tree);
	return r;
}

static int rename_locked(struct fs *fs, struct node *from_dir, const char *from,
			 struct renaming *ren, unsigned int flags)
{
	struct stage *replaced = NULL; /* its content needs no name from here on */
	int r = look_up(fs, from_dir, from, ren, flags);

	if (r || ren->node == ren->replaced)
		return r;
	if (ren->replaced && !node_is_dir(ren->replaced))
		r = stage_get(fs, ren->replaced, true, &replaced);
	if (r)
		return r;
	r = rename_node(fs, ren);
	if (replaced)
		stage_put(fs, replaced);
	return r;
}

static int rename_do(struct fs *fs, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		     const char *newname, unsigned int flags, const struct fuse_ctx *ctx)
{
	char old_key[DWAL_MAX_KEY], new_key[DWAL_MAX_KEY];
	struct renaming ren = {
		.name = newname, .maker = ops_maker(ctx), .old_key = old_key, .new_key = new_key};
	struct node *from_dir;
	int r = ops_may_change(fs, parent, &from_dir);

	if (!r)
		r = ops_may_change(fs, newparent, &ren.dir);
	if (!r && (ops_is_logdir(parent, name) || ops_is_logdir(newparent, newname)))
		r = EROFS;
	if (!r && flags & ~(unsigned)RENAME_NOREPLACE)
		r = EINVAL;
	if (r)
		return r;
	do {
		rename_dir_write_ahead(fs, ren.ahead);
		txn_lock(fs);
		r = rename_locked(fs, from_dir, name, &ren, flags);
		place_release(&ren.place);
	} while (txn_unlock(fs, r));
	rename_ahead_free(ren.ahead);
	if (ren.moved)
		ops_forget_attr(fs, ren.moved);
	return ops_synced(fs, r);
}

void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		const char *newname, unsigned int flags)
{
	fuse_reply_err(req, rename_do(req_fs(req), parent, name, newparent, newname, flags,
				      fuse_req_ctx(req)));
}
