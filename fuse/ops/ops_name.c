/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations that give and take names. The kernel serialises those that
 * concern one directory; fs->write_lock does so for the log.
 */
#include <errno.h>
#include <string.h>

#include "file/beside.h"
#include "ops/ops.h"

/* A node that an operation made, and the directory that had to be made for it. */
struct birth {
	struct node *node, *beside;
};

/* Wants fs->lock. */
static void unmake(struct fs *fs, const struct birth *birth)
{
	tree_detach(fs, birth->node);
	beside_unmake(fs, birth->beside);
}

static int add_named(struct fs *fs, struct node *dir, const char *name, mode_t mode,
		     const struct fuse_ctx *ctx, struct birth *out)
{
	struct place place;
	int r = beside_make(fs, dir, name, ctx, &out->beside);

	if (r)
		return r;
	place = tree_name_place(fs, dir, name, S_ISDIR(mode));
	r = tree_add(fs, dir, place, mode, &out->node);
	if (r)
		beside_unmake(fs, out->beside);
	return r;
}

/* A new node. Wants fs->lock. */
static int add_node(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		    const struct fuse_ctx *ctx, struct birth *out)
{
	struct node *dir = tree_node(fs, parent);
	int r = ops_is_logdir(parent, name) ? EEXIST : 0;

	if (!r)
		r = tree_check_name(fs, dir, name, mode);
	if (!r)
		r = add_named(fs, dir, name, mode, ctx, out);
	if (r)
		return r;
	r = nodeattr_set_owner(fs, dir, out->node, mode, ctx->uid, ctx->gid);
	if (!r)
		r = tree_give_id(fs, out->node); /* the reply must not fail once the log has it */
	if (r)
		unmake(fs, out);
	else if (S_ISDIR(mode))
		out->node->maker = ctx->pid;
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

/* The directory that is there, but not for this process; or NULL. Wants fs->lock. */
static struct node *find_hidden(struct fs *fs, fuse_ino_t parent, const char *name,
				const struct fuse_ctx *ctx)
{
	struct node *node = tree_child(tree_node(fs, parent), name);

	return node && beside_is_hidden(node, ctx) ? node : NULL;
}

/* Makes it the directory that mkdir(2) makes. */
static int adopt(struct fs *fs, struct node *node, mode_t mode, const struct fuse_ctx *ctx,
		 struct fuse_entry_param *out)
{
	int r;

	pthread_mutex_lock(&fs->lock);
	r = nodeattr_set_owner(fs, node->parent, node, mode, ctx->uid, ctx->gid);
	pthread_mutex_unlock(&fs->lock);
	if (!r)
		r = publish_attributes(fs, node);
	if (r)
		return r;
	pthread_mutex_lock(&fs->lock);
	node->implied = false;
	r = ops_fill_entry(fs, node, out);
	pthread_mutex_unlock(&fs->lock);
	return r;
}

static int mkdir_once(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		      const struct fuse_ctx *ctx, struct fuse_entry_param *out)
{
	struct birth birth;
	struct node *hidden;
	int r = 0;

	pthread_mutex_lock(&fs->write_lock);
	pthread_mutex_lock(&fs->lock);
	hidden = find_hidden(fs, parent, name, ctx);
	if (!hidden)
		r = add_node(fs, parent, name, S_IFDIR | mode, ctx, &birth);
	pthread_mutex_unlock(&fs->lock);
	if (hidden) {
		r = adopt(fs, hidden, mode, ctx, out);
	} else if (!r) {
		r = publish_attributes(fs, birth.node);
		pthread_mutex_lock(&fs->lock);
		if (r) {
			unmake(fs, &birth);
		} else {
			nodeattr_touch(birth.node->parent, birth.node->mtime);
			r = ops_fill_entry(fs, birth.node, out);
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
		    const struct fuse_ctx *ctx, struct birth *out)
{
	int r = ops_may_change(fs, parent);

	if (r)
		return r;
	pthread_mutex_lock(&fs->lock);
	r = add_node(fs, parent, name, mode, ctx, out);
	if (!r) {
		r = set_rdev(out->node, rdev);
		if (r) {
			unmake(fs, out);
		} else {
			tree_hold(out->node);
			nodeattr_touch(out->node->parent, out->node->mtime);
		}
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

/* Anything but a directory, published at once. */
static int mknod_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
		    struct dwal_bytes content, const struct fuse_ctx *ctx,
		    struct fuse_entry_param *out)
{
	struct birth birth;
	int r = new_file(fs, parent, name, mode, rdev, ctx, &birth);

	if (r)
		return r;
	r = stage_publish_new(fs, birth.node, content);
	pthread_mutex_lock(&fs->lock);
	if (r)
		beside_unmake(fs, birth.beside);
	else
		r = ops_fill_entry(fs, birth.node, out);
	tree_drop(fs, birth.node);
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
	node->vanished |= node->alias != NULL; /* the kernel may know the other name */
	tree_detach(fs, node);
	nodeattr_touch(dir, when);
}

/* The child that unlink or rmdir is about. Wants no lock. */
static int find_child(struct fs *fs, fuse_ino_t parent, const char *name, struct node **out)
{
	if (ops_is_logdir(parent, name))
		return EROFS;
	pthread_mutex_lock(&fs->lock);
	*out = tree_lookup(fs, tree_node(fs, parent), name);
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

/* The directory shows from now on; the file is in the log when it is closed. */
static int publish_beside(struct fs *fs, struct node *beside)
{
	int r;

	if (!beside)
		return 0;
	do {
		pthread_mutex_lock(&fs->write_lock);
		r = publish_attributes(fs, beside);
		pthread_mutex_unlock(&fs->write_lock);
	} while (append_put_off(fs, r));
	return r;
}

static int create_do(struct fs *fs, fuse_ino_t parent, const char *name, mode_t mode,
		     const struct fuse_ctx *ctx, struct handle **handle,
		     struct fuse_entry_param *out)
{
	struct birth birth;
	int r = new_file(fs, parent, name, S_IFREG | mode, 0, ctx, &birth);

	if (r)
		return r;
	r = publish_beside(fs, birth.beside);
	if (!r)
		r = stage_open(fs, birth.node, true, STAGE_CREATED, handle);
	pthread_mutex_lock(&fs->lock);
	if (r)
		unmake(fs, &birth);
	else
		r = ops_fill_entry(fs, birth.node, out);
	tree_drop(fs, birth.node);
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
