/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes and the kernel: what it is told of them, and for how long it may
 * believe that.
 */
#include "ops/ops.h"

#include <errno.h>
#include <string.h>

#include "file/stage.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "txn.h"

static bool has_failed(const struct node *node)
{
	return node_stage(node) && node_stage(node)->failed;
}

/* Names that can change without the kernel's doing are those that a conflict gives
 * and takes, and that of a new file, which a failure of its first commit ends. The
 * kernel is not told of that end: to take a name from it can wait for a request in
 * flight (errands.h). It has been told to forget the attributes, asks for them
 * when it meets the name, hears ESTALE, and looks the name up anew. The time is
 * for what asks for nothing, such as O_PATH. */
static double entry_seconds(const struct node *node)
{
	if (node->aliased || node->implied || strchr(node_name(node), '\\'))
		return 0;
	if (node_is_dir(node) || node->published)
		return CACHE_FOREVER_SECONDS;
	return has_failed(node) ? 0 : CACHE_NEW_SECONDS;
}

static bool is_gone(const struct node *node)
{
	return node_vanished(node) &&
	       (!node_stage(node) || (has_failed(node) && !node_stage(node)->writers));
}

struct node *ops_node(const struct fs *fs, fuse_ino_t ino)
{
	struct node *node = tree_node(&fs->tree, ino);

	return node && !is_gone(node) ? node : NULL;
}

int ops_find(struct fs *fs, fuse_ino_t ino, struct node **out)
{
	tree_lock(&fs->tree);
	*out = ops_node(fs, ino);
	tree_unlock(&fs->tree);
	return *out ? 0 : ESTALE;
}

int ops_fill_entry(struct fs *fs, struct node *node, struct fuse_entry_param *out)
{
	int r = tree_give_id(&fs->tree, node);

	if (r)
		return r;
	memset(out, 0, sizeof(*out));
	out->ino = tree_id(&fs->tree, node);
	out->generation = fs->tree.ids.mount;
	out->attr_timeout = ops_stat(fs, node, &out->attr);
	out->entry_timeout = entry_seconds(node);
	node_use(node)->lookups++;
	return 0;
}

/* What the kernel was told of a directory before a name in it came or went can
 * reach it afterwards, and it believes that. So little is cached of one that may be
 * changed, and less of one that is being changed. Not nothing: with
 * default_permissions the kernel asks for the attributes at each name in it that
 * it meets, and `ls -l` of 200 new files was 203 such requests. */
static double dir_attr_seconds(const struct stat *st)
{
	return tree_now().tv_sec - st->st_ctim.tv_sec < 2 ? CACHE_CHANGING_SECONDS
							  : CACHE_DIR_SECONDS;
}

double ops_stat(const struct fs *fs, const struct node *node, struct stat *out)
{
	nodeattr_stat(&fs->tree, node, out);
	if (node_is_dir(node) && !fs->opt.read_only)
		return dir_attr_seconds(out);
	/* What is staged can be dropped, and then the old value shows again: of that
	 * the kernel is told, but not when a new file goes with it. */
	return has_failed(node) ? 0 : CACHE_FOREVER_SECONDS;
}

void ops_forget_node(struct fs *fs, fuse_ino_t ino, uint64_t lookups)
{
	struct node *node;

	if (logdir_owns(ino)) {
		logdir_forget(fs, ino, lookups);
		return;
	}
	tree_lock(&fs->tree);
	node = tree_node(&fs->tree, ino);
	if (node) {
		tree_hold(node);
		tree_forget(&fs->tree, node, lookups);
		stage_forgotten(fs, node);
		tree_drop(&fs->tree, node);
	}
	tree_unlock(&fs->tree);
}

void ops_forget_attr(struct fs *fs, fuse_ino_t ino)
{
	/* It knows the node, which is in use; if not, nothing is to be forgotten. */
	(void)fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
}

void ops_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry)
{
	struct fs *fs = req_fs(req);

	if (fuse_reply_entry(req, entry) && entry->ino)
		ops_forget_node(fs, entry->ino, 1);
}

int ops_synced(struct fs *fs, int r)
{
	return r || !fs->opt.sync ? r : txn_sync(fs);
}

int ops_find_to_change(const struct fs *fs, fuse_ino_t ino, struct node **dir)
{
	struct node *node;

	if (logdir_owns(ino))
		return EROFS;
	node = tree_node(&fs->tree, ino);
	if (!node)
		return ESTALE;
	if (!node_has_place(&fs->tree, node))
		return ENOENT;
	*dir = node;
	return fs_refuses(fs);
}

int ops_may_change(struct fs *fs, fuse_ino_t ino, struct node **dir)
{
	int r;

	tree_lock(&fs->tree);
	r = ops_find_to_change(fs, ino, dir);
	tree_unlock(&fs->tree);
	return r;
}

void ops_lose(struct fs *fs, struct node *node, struct timespec when)
{
	struct node *dir = node_parent(node);
	bool told = node->published;

	node->published = false;
	if (node->use)
		node_use(node)->vanished |= node->aliased; /* the kernel may know the other name */
	tree_detach(&fs->tree, node);
	nodeattr_touch(&fs->tree, dir, when);
	if (!told)
		tree_owe_times(&fs->tree, dir);
}
