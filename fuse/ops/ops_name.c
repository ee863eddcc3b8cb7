/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations that give and take names. The kernel serialises those that
 * concern one directory; the write lock does so for the log.
 */
#include "ops/ops_name.h"

#include <errno.h>
#include <string.h>

#include "file/handle.h"
#include "file/publish.h"
#include "ops/ops.h"
#include "tree/beside.h"
#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"

/* A node that an operation made, and the directory that had to be made for it. */
struct birth {
	struct node *node, *beside;
};

/* Wants the tree's lock. */
static void unmake(struct fs *fs, const struct birth *birth)
{
	tree_detach(&fs->tree, birth->node);
	beside_unmake(&fs->tree, birth->beside);
}

static int add_named(struct tree *tree, struct node *dir, const char *name, mode_t mode,
		     const struct maker *maker, struct birth *out)
{
	struct place place;
	int r = beside_make(tree, dir, name, maker, &out->beside);

	if (r)
		return r;
	place = tree_name_place(tree, dir, name, S_ISDIR(mode));
	r = tree_add(tree, dir, place, mode, &out->node);
	if (r)
		beside_unmake(tree, out->beside);
	return r;
}

/* A new node. Wants the tree's lock. */
static int add_node(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		    const struct fuse_ctx *ctx, struct birth *out)
{
	struct maker maker = ops_maker(ctx);
	struct tree *tree = &fs->tree;
	struct node *dir;
	int r = ops_find_to_change(fs, parent, &dir);

	if (!r && ops_is_logdir(parent, name))
		r = EEXIST;
	if (!r)
		r = tree_check_name(tree, dir, name, mode);
	if (!r)
		r = add_named(tree, dir, name, mode, &maker, out);
	if (r)
		return r;
	r = nodeattr_set_owner(tree, dir, out->node, mode, ctx->uid, ctx->gid);
	if (!r)
		r = tree_give_id(tree, out->node); /* the reply must not fail once the log has it */
	if (r)
		unmake(fs, out);
	else if (S_ISDIR(mode))
		node_use(out->node)->maker = ctx->pid;
	return r;
}

/* What could not be made durable is there all the same, but the kernel does not
 * learn of it. */
static void reply_new(fuse_req_t req, int r, const struct fuse_entry_param *entry)
{
	if (r && entry->ino)
		ops_forget_node(req_fs(req), entry->ino, 1);
	if (r)
		fuse_reply_err(req, r);
	else
		ops_reply_entry(req, entry);
}

/* --------------------------------------------------------------- directories */

/* The directory that is there, but not for this process; or NULL. Wants the
 * tree's lock. */
static struct node *find_hidden(const struct tree *tree, fuse_ino_t parent, const char *name,
				const struct fuse_ctx *ctx)
{
	const struct node *dir = tree_node(tree, parent);
	struct node *node = dir ? node_child(tree, dir, name) : NULL;

	return node && beside_is_hidden(node, ctx->pid) ? node : NULL;
}

/* Makes it the directory that mkdir(2) makes. */
static int adopt(struct fs *fs, struct node *node, mode_t mode, const struct fuse_ctx *ctx,
		 struct fuse_entry_param *out)
{
	int r;

	tree_lock(&fs->tree);
	r = nodeattr_set_owner(&fs->tree, node_parent(node), node, mode, ctx->uid, ctx->gid);
	tree_unlock(&fs->tree);
	if (!r)
		r = publish_attributes(fs, node);
	if (r)
		return r;
	tree_lock(&fs->tree);
	node->implied = false;
	r = ops_fill_entry(fs, node, out);
	tree_unlock(&fs->tree);
	return r;
}

/* Tells the log of a new directory, or takes it back. */
static int publish_birth(struct fs *fs, const struct birth *birth, struct fuse_entry_param *out)
{
	int r = publish_dir(fs, birth->node, false);

	tree_lock(&fs->tree);
	if (r) {
		unmake(fs, birth);
	} else {
		nodeattr_touch(&fs->tree, node_parent(birth->node), node_mtime(birth->node));
		r = ops_fill_entry(fs, birth->node, out);
	}
	tree_unlock(&fs->tree);
	return r;
}

/* Wants the write lock. */
static int make_dir(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		    const struct fuse_ctx *ctx, struct fuse_entry_param *out)
{
	struct node *hidden, *dir;
	struct birth birth;
	int r;

	tree_lock(&fs->tree);
	r = ops_find_to_change(fs, parent, &dir);
	hidden = r ? NULL : find_hidden(&fs->tree, parent, name, ctx);
	if (!r && !hidden)
		r = add_node(fs, parent, name, S_IFDIR | mode, ctx, &birth);
	tree_unlock(&fs->tree);
	if (r)
		return r;
	return hidden ? adopt(fs, hidden, mode, ctx, out) : publish_birth(fs, &birth, out);
}

static int mkdir_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		    const struct fuse_ctx *ctx, struct fuse_entry_param *out)
{
	int r;

	do {
		txn_lock(fs);
		r = make_dir(fs, parent, name, mode, ctx, out);
	} while (txn_unlock(fs, r));
	return ops_synced(fs, r);
}

void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param entry = {0};
	reply_new(req, mkdir_do(req_fs(req), parent, name, mode, fuse_req_ctx(req), &entry),
		  &entry);
}

/* -------------------------------------------------------------------- files */

static int set_rdev(struct tree *tree, struct node *node, dev_t rdev)
{
	struct extra *extra;

	if (!S_ISCHR(node_type(node)) && !S_ISBLK(node_type(node)))
		return 0;
	extra = node_make_extra(tree, node);
	if (!extra)
		return ENOMEM;
	extra->attr.rdev = rdev;
	extra->attr.present |= ATTR_HAS_RDEV;
	return 0;
}

/* A new node that is not a directory, held. Wants the tree's lock. */
static int add_file(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
		    const struct fuse_ctx *ctx, struct birth *out)
{
	int r = add_node(fs, parent, name, mode, ctx, out);

	if (r)
		return r;
	r = set_rdev(&fs->tree, out->node, rdev);
	if (r) {
		unmake(fs, out);
		return r;
	}
	tree_hold(out->node);
	nodeattr_touch(&fs->tree, node_parent(out->node), node_mtime(out->node));
	return 0;
}

/* Anything but a directory, published at once. */
static int mknod_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
		    struct dwal_bytes content, const struct fuse_ctx *ctx,
		    struct fuse_entry_param *out)
{
	struct birth birth;
	int r;

	tree_lock(&fs->tree);
	r = add_file(fs, parent, name, mode, rdev, ctx, &birth);
	tree_unlock(&fs->tree);
	if (r)
		return r;
	r = handle_publish_new(fs, birth.node, content);
	tree_lock(&fs->tree);
	if (r)
		beside_unmake(&fs->tree, birth.beside);
	else
		r = ops_fill_entry(fs, birth.node, out);
	tree_drop(&fs->tree, birth.node);
	tree_unlock(&fs->tree);
	return ops_synced(fs, r);
}

void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct fuse_entry_param entry = {0};
	reply_new(req,
		  mknod_do(req_fs(req), parent, name, mode, rdev, (struct dwal_bytes){0},
			   fuse_req_ctx(req), &entry),
		  &entry);
}

void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {0};
	reply_new(req,
		  mknod_do(req_fs(req), parent, name, S_IFLNK | 0777, 0,
			   (struct dwal_bytes){target, strlen(target)}, fuse_req_ctx(req), &entry),
		  &entry);
}

static int publish_beside(struct fs *fs, struct node *beside)
{
	int r;

	do {
		txn_lock(fs);
		r = publish_dir(fs, beside, true);
	} while (txn_unlock(fs, r));
	return r;
}

/* The file is in the log when it is closed; a directory that it stands beside
 * shows from now on. Wants the tree's lock, and gives it up for that directory. */
static int open_birth(struct fs *fs, const struct birth *birth, struct handle **handle)
{
	int r;

	if (birth->beside) {
		tree_unlock(&fs->tree);
		r = publish_beside(fs, birth->beside);
		tree_lock(&fs->tree);
		if (r)
			return r;
	}
	return handle_create(fs, birth->node, handle);
}

static int create_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		     const struct fuse_ctx *ctx, struct handle **handle,
		     struct fuse_entry_param *out)
{
	struct birth birth;
	int r;

	tree_lock(&fs->tree);
	r = add_file(fs, parent, name, S_IFREG | mode, 0, ctx, &birth);
	if (!r) {
		r = open_birth(fs, &birth, handle);
		if (r)
			unmake(fs, &birth);
		else
			r = ops_fill_entry(fs, birth.node, out);
		tree_drop(&fs->tree, birth.node);
	}
	tree_unlock(&fs->tree);
	return r;
}

void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct fuse_entry_param entry;
	struct handle *handle;
	int r = create_do(fs, parent, name, mode, fuse_req_ctx(req), &handle, &entry);

	if (r) {
		fuse_reply_err(req, r);
		return;
	}
	fi->fh = (uintptr_t)handle;
	if (fuse_reply_create(req, &entry, fi)) {
		handle_close(fs, handle);
		ops_forget_node(fs, entry.ino, 1);
	}
}

void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct node *dir;
	int r = ops_may_change(req_fs(req), parent, &dir);

	fuse_reply_err(req, r ? r : EPERM);
}

/* ----------------------------------------------------------------- removing */

/* The child that unlink or rmdir is about. Wants no lock. */
static int find_child(struct fs *fs, fuse_ino_t parent, const char *name, struct node **out)
{
	struct node *dir;
	int r;

	tree_lock(&fs->tree);
	r = ops_find_to_change(fs, parent, &dir);
	if (!r && ops_is_logdir(parent, name))
		r = EROFS;
	if (!r)
		*out = tree_lookup(&fs->tree, dir, name);
	tree_unlock(&fs->tree);
	return r ? r : *out ? 0 : ENOENT;
}

static int unlink_file(struct fs *fs, struct node *node)
{
	struct timespec now = tree_now();
	int r = 0;

	if (node->published) /* changes under the write lock only */
		r = publish_gone(fs, node, now);
	if (r)
		return r;
	tree_lock(&fs->tree);
	ops_lose(fs, node, now);
	tree_unlock(&fs->tree);
	return 0;
}

static int unlink_locked(struct fs *fs, fuse_ino_t parent, const char *name)
{
	struct stage *stage; /* from here on the content needs no name */
	struct node *node;
	int r = find_child(fs, parent, name, &node);

	if (!r && node_is_dir(node))
		r = EISDIR;
	if (!r)
		r = stage_get(fs, node, true, &stage);
	if (r)
		return r;
	r = unlink_file(fs, node);
	stage_put(fs, stage);
	return r;
}

static int rmdir_locked(struct fs *fs, fuse_ino_t parent, const char *name)
{
	struct timespec now = tree_now();
	struct node *node;
	bool recorded;
	int r = find_child(fs, parent, name, &node);

	if (!r && !node_is_dir(node))
		r = ENOTDIR;
	if (r)
		return r;
	tree_lock(&fs->tree);
	r = node_first(node) ? ENOTEMPTY : 0;
	recorded = node->recorded;
	tree_unlock(&fs->tree);
	if (!r && recorded)
		r = publish_gone(fs, node, now);
	if (r)
		return r;
	tree_lock(&fs->tree);
	struct node *dir = node_parent(node);
	nodeattr_touch(&fs->tree, dir, now);
	if (!recorded)
		tree_owe_times(&fs->tree, dir);
	tree_detach(&fs->tree, node);
	tree_unlock(&fs->tree);
	return 0;
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name,
			int (*remove)(struct fs *, fuse_ino_t, const char *))
{
	struct fs *fs = req_fs(req);
	int r;

	do {
		txn_lock(fs);
		r = remove(fs, parent, name);
	} while (txn_unlock(fs, r));
	fuse_reply_err(req, ops_synced(fs, r));
}

void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, unlink_locked);
}

void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, rmdir_locked);
}
