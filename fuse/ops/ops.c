/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The table of operations, what is agreed with the kernel, and what several
 * operations need.
 */
#include "ops/ops.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "mountctl.h"

static_assert(TREE_ROOT_ID == FUSE_ROOT_ID, "the kernel's number of the root");

static void init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;

	/* Without it O_TRUNC arrives as a size change that cannot be told from
	 * truncate(2), and a failed overwrite would lose the old value. */
	if (!(conn->capable & FUSE_CAP_ATOMIC_O_TRUNC)) {
		syslog(LOG_ERR, "datawalfs: this kernel lacks atomic O_TRUNC: unmounting");
		fuse_session_exit(fs->session);
		return;
	}
	conn->want |= FUSE_CAP_ATOMIC_O_TRUNC;
	if (fs->opt.max_read)
		conn->max_read = fs->opt.max_read; /* as the mount option; both must be told */
	/* Content changes through this mount only, so a changed time is no
	 * reason to drop pages; and it is the kernel that clears suid bits. */
	conn->want &= ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV);
	/* The kernel does not drop the pages that were read during an
	 * asynchronous direct write: they would stay as they were. */
	conn->want &= ~(unsigned)FUSE_CAP_ASYNC_DIO;
	/* It would look up "." and ".." of nodes that it has forgotten. */
	conn->want &= ~(unsigned)FUSE_CAP_EXPORT_SUPPORT;
}

/* Names that can change without the kernel's doing: those that a conflict gives
 * and takes, and that of a new file, which a failure of its first commit ends. */
static double entry_seconds(const struct node *node)
{
	bool settled = node_is_dir(node) || node->published;
	bool changes = node->alias || node->implied || strchr(node->name, '\\');
	return settled && !changes ? CACHE_FOREVER_SECONDS : 0;
}

int ops_find(struct fs *fs, fuse_ino_t ino, struct node **out)
{
	pthread_mutex_lock(&fs->lock);
	*out = tree_node(fs, ino);
	pthread_mutex_unlock(&fs->lock);
	return *out ? 0 : ESTALE;
}

int ops_fill_entry(struct fs *fs, struct node *node, struct fuse_entry_param *out)
{
	int r = tree_give_id(fs, node);

	if (r)
		return r;
	memset(out, 0, sizeof(*out));
	out->ino = tree_id(fs, node);
	out->generation = fs->ids.mount;
	out->attr_timeout = ops_attr_seconds(fs, node);
	out->entry_timeout = entry_seconds(node);
	nodeattr_stat(fs, node, &out->attr);
	node->lookups++;
	return 0;
}

/* What the kernel was told of a directory before a name in it came or went can
 * reach it afterwards, and it would believe that. So nothing is cached of one
 * that is being changed, and little of one that may be. */
static double dir_attr_seconds(const struct fs *fs, const struct node *dir)
{
	struct timespec now;
	struct stat st;

	nodeattr_stat(fs, dir, &st);
	now = fs_now();
	return now.tv_sec - st.st_ctim.tv_sec < 2 ? 0 : 1;
}

double ops_attr_seconds(const struct fs *fs, const struct node *node)
{
	if (node_is_dir(node) && !fs->opt.read_only)
		return dir_attr_seconds(fs, node);
	/* What is staged can be dropped, and then the old value shows again. */
	return node->stage ? 0 : CACHE_FOREVER_SECONDS;
}

void ops_forget_node(struct fs *fs, fuse_ino_t ino, uint64_t lookups)
{
	struct node *node;

	if (logdir_owns(ino)) {
		logdir_forget(fs, ino, lookups);
		return;
	}
	pthread_mutex_lock(&fs->lock);
	node = tree_node(fs, ino);
	if (node) {
		tree_hold(node);
		tree_forget(fs, node, lookups);
		stage_forgotten(fs, node);
		tree_drop(fs, node);
	}
	pthread_mutex_unlock(&fs->lock);
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
	return r || !fs->opt.sync ? r : append_sync(fs);
}

int ops_may_change(struct fs *fs, fuse_ino_t dir)
{
	const struct node *node;
	int r = 0;

	if (logdir_owns(dir))
		return EROFS;
	pthread_mutex_lock(&fs->lock);
	node = tree_node(fs, dir);
	if (!node)
		r = ESTALE;
	else if (!node_has_place(fs, node))
		r = ENOENT;
	pthread_mutex_unlock(&fs->lock);
	return r ? r : fs_refuses(fs);
}

static int rotate_do(struct fs *fs, fuse_ino_t ino, const struct fuse_ctx *ctx, uint32_t *active)
{
	int r;

	if (ino != FUSE_ROOT_ID)
		return ENOTTY;
	if (ctx->uid != fs->opt.uid && ctx->uid != 0)
		return EPERM;
	r = errno_of(dwal_kv_rotate(fs->kv));
	*active = dwal_kv_active_segment(fs->kv);
	return r;
}

static void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_size,
		      size_t out_size)
{
	uint32_t active = 0;
	int r = cmd == MOUNTCTL_ROTATE ? rotate_do(req_fs(req), ino, fuse_req_ctx(req), &active)
				       : ENOTTY;
	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_ioctl(req, 0, &active, sizeof(active));
}

static void destroy(void *userdata)
{
	ops_free_dirs(userdata);
}

const struct fuse_lowlevel_ops fs_ops = {
	.init = init,
	.destroy = destroy,
	.lookup = ops_lookup,
	.forget = ops_forget,
	.forget_multi = ops_forget_multi,
	.getattr = ops_getattr,
	.setattr = ops_setattr,
	.readlink = ops_readlink,
	.statfs = ops_statfs,
	.mkdir = ops_mkdir,
	.mknod = ops_mknod,
	.symlink = ops_symlink,
	.link = ops_link,
	.unlink = ops_unlink,
	.rmdir = ops_rmdir,
	.rename = ops_rename,
	.setxattr = ops_setxattr,
	.getxattr = ops_getxattr,
	.listxattr = ops_listxattr,
	.removexattr = ops_removexattr,
	.create = ops_create,
	.open = ops_open,
	.read = ops_read,
	.write = ops_write,
	.flush = ops_flush,
	.release = ops_release,
	.fsync = ops_fsync,
	.fallocate = ops_fallocate,
	.opendir = ops_opendir,
	.readdir = ops_readdir,
	.readdirplus = ops_readdirplus,
	.releasedir = ops_releasedir,
	.fsyncdir = ops_fsyncdir,
	.ioctl = ops_ioctl,
};
