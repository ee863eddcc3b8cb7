/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations that give and take names. The kernel serialises those that
 * concern one directory; fs->write_lock does so for the log.
 */
#include <errno.h>
#include <string.h>

#include "ops.h"

static int add_named(struct fs *fs, struct node *dir, const char *name, mode_t mode,
		     struct node **out)
{
	char *copy = strdup(name);
	int r = copy ? tree_add(fs, dir, copy, mode, out) : ENOMEM;

	if (!r)
		(*out)->value = tree_is_value_name(fs, dir, name);
	return r;
}

/* A new node. Wants fs->lock. */
static int add_node(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		    const struct fuse_ctx *ctx, struct node **out)
{
	struct node *dir = tree_node(fs, parent);
	int r = ops_is_logdir(parent, name) ? EEXIST : 0;

	if (!r)
		r = tree_check_name(fs, dir, name, mode);
	if (!r)
		r = add_named(fs, dir, name, mode, out);
	if (r)
		return r;
	r = nodeattr_set_owner(fs, dir, *out, mode, ctx->uid, ctx->gid);
	if (!r)
		r = tree_give_id(fs, *out); /* the reply must not fail once the log has it */
	if (r)
		tree_detach(fs, *out);
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

static int mkdir_once(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		      const struct fuse_ctx *ctx, struct fuse_entry_param *out)
{
	struct node *node;
	int r;

	pthread_mutex_lock(&fs->write_lock);
	pthread_mutex_lock(&fs->lock);
	r = add_node(fs, parent, name, S_IFDIR | mode, ctx, &node);
	pthread_mutex_unlock(&fs->lock);
	if (!r) {
		r = publish_attributes(fs, node);
		pthread_mutex_lock(&fs->lock);
		if (r) {
			tree_detach(fs, node);
		} else {
			nodeattr_touch(node->parent, node->mtime);
			r = ops_fill_entry(fs, node, out);
		}
		pthread_mutex_unlock(&fs->lock);
	}
	pthread_mutex_unlock(&fs->write_lock);
	return r;
}

static int mkdir_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		    const struct fuse_ctx *ctx, struct fuse_entry_param *out)
{
	int r = ops_may_change(fs, parent);

	if (r)
		return r;
	do
		r = mkdir_once(fs, parent, name, mode, ctx, out);
	while (append_put_off(fs, r));
	return ops_synced(fs, r);
}

void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param entry = {0};
	reply_new(req, mkdir_do(req_fs(req), parent, name, mode, fuse_req_ctx(req), &entry),
		  &entry);
}

/* A held node that was not to be. Wants fs->lock. */
static void give_back(struct fs *fs, struct node *node)
{
	tree_detach(fs, node);
	tree_drop(fs, node);
}

static int set_rdev(struct node *node, dev_t rdev)
{
	if (!S_ISCHR(node->type) && !S_ISBLK(node->type))
		return 0;
	if (!nodeattr_extra(node))
		return ENOMEM;
	node->extra->attr.rdev = rdev;
	node->extra->attr.present |= ATTR_HAS_RDEV;
	return 0;
}

/* A new node that is not a directory, held. */
static int new_file(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
		    const struct fuse_ctx *ctx, struct node **out)
{
	int r = ops_may_change(fs, parent);

	if (r)
		return r;
	pthread_mutex_lock(&fs->lock);
	r = add_node(fs, parent, name, mode, ctx, out);
	if (!r) {
		tree_hold(*out);
		r = set_rdev(*out, rdev);
		if (r)
			give_back(fs, *out);
		else
			nodeattr_touch((*out)->parent, (*out)->mtime);
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

/* Anything but a directory, published at once. */
static int mknod_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
		    struct dwal_bytes content, const struct fuse_ctx *ctx,
		    struct fuse_entry_param *out)
{
	struct node *node;
	int r = new_file(fs, parent, name, mode, rdev, ctx, &node);

	if (r)
		return r;
	r = stage_publish_new(fs, node, content);
	pthread_mutex_lock(&fs->lock);
	if (!r)
		r = ops_fill_entry(fs, node, out);
	tree_drop(fs, node);
	pthread_mutex_unlock(&fs->lock);
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

void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	int r = ops_may_change(req_fs(req), parent);
	fuse_reply_err(req, r ? r : EPERM);
}

void ops_lose(struct fs *fs, struct node *node, struct timespec when)
{
	struct node *dir = node->parent;

	node->published = false;
	tree_detach(fs, node);
	nodeattr_touch(dir, when);
}

/* The child that unlink or rmdir is about. Wants no lock. */
static int find_child(struct fs *fs, fuse_ino_t parent, const char *name, struct node **out)
{
	if (ops_is_logdir(parent, name))
		return EROFS;
	pthread_mutex_lock(&fs->lock);
	*out = tree_child(tree_node(fs, parent), name);
	pthread_mutex_unlock(&fs->lock);
	return *out ? 0 : ENOENT;
}

static int append_tombstone(struct fs *fs, const struct node *node)
{
	struct append append = {0};
	char key[DWAL_MAX_KEY];
	size_t len;
	int r;

	pthread_mutex_lock(&fs->lock);
	r = tree_key(fs, node, key, &len);
	pthread_mutex_unlock(&fs->lock);
	if (r)
		return r;
	append_delete(&append, (struct dwal_bytes){key, len});
	return append_write(&append, fs);
}

static int unlink_file(struct fs *fs, struct node *node)
{
	struct timespec now;
	int r = 0;

	if (node->published) /* changes under write_lock only */
		r = append_tombstone(fs, node);
	if (r)
		return r;
	now = fs_now();
	pthread_mutex_lock(&fs->lock);
	ops_lose(fs, node, now);
	pthread_mutex_unlock(&fs->lock);
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
	struct timespec now;
	struct node *node;
	int r = find_child(fs, parent, name, &node);

	if (!r && !node_is_dir(node))
		r = ENOTDIR;
	if (r)
		return r;
	pthread_mutex_lock(&fs->lock);
	r = node->children ? ENOTEMPTY : 0;
	pthread_mutex_unlock(&fs->lock);
	if (!r && node->recorded)
		r = publish_dir_gone(fs, node);
	if (r)
		return r;
	now = fs_now();
	pthread_mutex_lock(&fs->lock);
	struct node *dir = node->parent;
	tree_detach(fs, node);
	nodeattr_touch(dir, now);
	pthread_mutex_unlock(&fs->lock);
	return 0;
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name,
			int (*remove)(struct fs *, fuse_ino_t, const char *))
{
	struct fs *fs = req_fs(req);
	int r = ops_may_change(fs, parent);

	if (!r) {
		do {
			pthread_mutex_lock(&fs->write_lock);
			r = remove(fs, parent, name);
			pthread_mutex_unlock(&fs->write_lock);
		} while (append_put_off(fs, r));
		r = ops_synced(fs, r);
	}
	fuse_reply_err(req, r);
}

void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, unlink_locked);
}

void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, rmdir_locked);
}

/* ------------------------------------------------------------------ create */

static int create_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		     const struct fuse_ctx *ctx, struct handle **handle,
		     struct fuse_entry_param *out)
{
	struct node *node;
	int r = new_file(fs, parent, name, S_IFREG | mode, 0, ctx, &node);

	if (r)
		return r;
	r = stage_open(fs, node, true, STAGE_CREATED, handle);
	pthread_mutex_lock(&fs->lock);
	if (r)
		tree_detach(fs, node);
	else
		r = ops_fill_entry(fs, node, out);
	tree_drop(fs, node);
	pthread_mutex_unlock(&fs->lock);
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
		stage_close(fs, handle);
		ops_forget_node(fs, entry.ino, 1);
	}
}
