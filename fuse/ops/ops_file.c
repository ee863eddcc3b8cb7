/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations on open files.
 */
#include "ops/ops_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "file/handle.h"
#include "ops/ops.h"
#include "tree/nodeattr.h"

static struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

static int open_do(struct fs *fs, fuse_ino_t ino, const struct fuse_ctx *ctx,
		   struct fuse_file_info *fi)
{
	/* O_RDONLY with O_TRUNC truncates as well. */
	bool truncates = fi->flags & O_TRUNC;
	bool writable = (fi->flags & O_ACCMODE) != O_RDONLY || truncates;
	struct handle *handle;
	struct node *node;
	int r;

	/* A log that takes nothing more says so where something is changed. */
	r = truncates ? fs_refuses(fs) : writable && fs->opt.read_only ? EROFS : 0;
	if (!r)
		r = ops_find(fs, ino, &node);
	if (!r)
		r = handle_open(fs, node, writable, truncates, &handle);
	if (r)
		return r;
	handle->read_before = fi->flags & O_NOATIME;
	fi->fh = (uintptr_t)handle;
	fi->noflush = !writable;
	tree_lock(&fs->tree);
	if (truncates && ctx->uid != 0)
		nodeattr_drop_set_id(node);
	/* From its cache the kernel reads without telling. */
	fi->keep_cache = !node_use(node)->cache_stale &&
			 (handle->read_before || (fi->flags & O_ACCMODE) == O_WRONLY ||
			  !nodeattr_read_is_due(&fs->tree, node));
	tree_unlock(&fs->tree);
	return 0;
}

static void release(struct fs *fs, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (logdir_owns(ino))
		logdir_release(fs, fi);
	else
		handle_close(fs, handle_of(fi));
}

void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	int r = logdir_owns(ino) ? logdir_open(fs, ino, fi)
				 : open_do(fs, ino, fuse_req_ctx(req), fi);

	if (r)
		fuse_reply_err(req, r);
	else if (fuse_reply_open(req, fi))
		release(fs, ino, fi); /* the program is gone: no RELEASE will come */
}

void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	char *buffer = malloc(size ? size : 1);
	struct piece piece = {.buffer = buffer, .n = size, .bytes = buffer};
	int r = ENOMEM;

	if (buffer)
		r = logdir_owns(ino) ? logdir_read(req_fs(req), fi, offset, buffer, size, &piece.n)
				     : handle_read(req_fs(req), handle_of(fi), offset, &piece);
	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_buf(req, piece.bytes, piece.n);
	whole_unref(piece.whole);
	free(buffer);
}

void ops_write(fuse_req_t req, fuse_ino_t ino, const char *buffer, size_t size, off_t offset,
	       struct fuse_file_info *fi)
{
	/* A page of a shared mapping goes where it belongs. */
	enum content_write how = fi->writepage          ? CONTENT_MAPPED
				 : fi->flags & O_APPEND ? CONTENT_APPEND
							: CONTENT_WRITE;
	size_t put = 0;
	int r = logdir_owns(ino) ? EROFS : fs_refuses(req_fs(req));

	if (!r)
		r = handle_write(req_fs(req), handle_of(fi), buffer, size, offset, how, &put);
	if (fi->writepage)
		ops_forget_attr(req_fs(req), ino);
	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_write(req, put);
}

void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	int r = logdir_owns(ino) ? 0 : handle_flush(fs, handle_of(fi));

	if (r)
		ops_forget_attr(fs, ino);
	fuse_reply_err(req, r);
}

void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	release(req_fs(req), ino, fi);
	fuse_reply_err(req, 0);
}

void ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	bool nothing = logdir_owns(ino) || fs->opt.read_only;
	fuse_reply_err(req, nothing ? 0 : handle_fsync(fs, handle_of(fi)));
}

void ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		   struct fuse_file_info *fi)
{
	int r = logdir_owns(ino) ? EROFS : fs_refuses(req_fs(req));

	if (!r)
		r = handle_allocate(req_fs(req), handle_of(fi), mode, offset, length);
	if (!r)
		ops_forget_attr(req_fs(req), ino);
	fuse_reply_err(req, r);
}
