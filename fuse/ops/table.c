/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The table of operations, what is agreed with the kernel, and the control of
 * a live mount.
 */
#include "ops/table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "mountctl.h"
#include "ops/ops.h"
#include "ops/ops_attr.h"
#include "ops/ops_dir.h"
#include "ops/ops_file.h"
#include "ops/ops_name.h"
#include "ops/ops_rename.h"
#include "ops/ops_xattr.h"
#include "tagname.h"
#include "tree/tree.h"
#include "txn.h"

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

/* ---- the control of a live mount: mountctl.h ---- */

static int rotate_do(struct fs *fs, uint32_t *active)
{
	int r = errno_of(dwal_kv_rotate(fs->kv));

	*active = dwal_kv_active_segment(fs->kv);
	return r;
}

static int compact_do(struct fs *fs, const struct mountctl_compact *order)
{
	int r = fs_refuses(fs);

	return r ? r : compaction_order(&fs->compaction, order);
}

/* As rotating, it is not for long; a segment that is full is synced first. */
static int tag_do(struct fs *fs, const struct mountctl_tag *order, struct mountctl_tag *answer)
{
	const bool removes = order->flags & MOUNTCTL_TAG_REMOVE;
	int r = fs_refuses(fs);

	*answer = *order;
	if (!r && !memchr(order->name, 0, sizeof(order->name)))
		r = EILSEQ;
	if (!r && !removes && tagname_wrong(order->name))
		r = EILSEQ;
	if (r)
		return r;
	if (!answer->txid)
		answer->txid = dwal_kv_last_txid(fs->kv);
	if (!answer->txid || answer->txid > dwal_kv_last_txid(fs->kv))
		return ERANGE;
	do {
		txn_lock(fs);
		r = errno_of(dwal_kv_tag(fs->kv, order->name, removes ? 0 : answer->txid));
	} while (txn_unlock(fs, r));
	return !r && order->flags & MOUNTCTL_TAG_SYNC ? errno_of(dwal_kv_sync(fs->kv)) : r;
}

static int check_control(const struct fs *fs, fuse_ino_t ino, const struct fuse_ctx *ctx)
{
	if (ino != FUSE_ROOT_ID)
		return ENOTTY;
	return ctx->uid == fs->opt.uid || ctx->uid == 0 ? 0 : EPERM;
}

/* What is answered, beside 0. */
union answer {
	uint32_t active;
	struct mountctl_compact_state state;
	struct mountctl_tag tag;
};

static int control(struct fs *fs, unsigned int cmd, const void *in, union answer *answer)
{
	switch (cmd) {
	case MOUNTCTL_ROTATE:
		return rotate_do(fs, &answer->active);
	case MOUNTCTL_COMPACT:
		return compact_do(fs, in);
	case MOUNTCTL_TAG:
		return tag_do(fs, in, &answer->tag);
	case MOUNTCTL_COMPACT_STATE:
		answer->state = compaction_state(&fs->compaction);
		return 0;
	case MOUNTCTL_COMPACT_STOP:
		compaction_stop(&fs->compaction);
		return 0;
	default:
		return ENOTTY;
	}
}

/* The kernel brings and takes as many bytes as the number of a command says. */
static void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_size,
		      size_t out_size)
{
	union answer answer = {0};
	int r = check_control(req_fs(req), ino, fuse_req_ctx(req));

	if (!r && (in_size < (cmd & IOC_IN ? _IOC_SIZE(cmd) : 0) || out_size > sizeof(answer)))
		r = ENOTTY; /* none of ours */
	if (!r)
		r = control(req_fs(req), cmd, in_buf, &answer);
	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_ioctl(req, 0, &answer, out_size);
}

static void destroy(void *userdata)
{
	ops_free_dirs(userdata);
}

static const struct fuse_lowlevel_ops all_ops = {
	.init = init,
	.destroy = destroy,
	.lookup = ops_lookup,
	.forget = ops_forget,
	.forget_multi = ops_forget_multi,
	.getattr = ops_getattr,
	.access = ops_access,
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

struct fuse_lowlevel_ops ops_of(const struct fs_options *options)
{
	struct fuse_lowlevel_ops ops = all_ops;

	if (options->noxattr) { /* libfuse says ENOSYS, and the kernel asks no more */
		ops.setxattr = NULL;
		ops.getxattr = NULL;
		ops.listxattr = NULL;
		ops.removexattr = NULL;
	}
	return ops;
}
