/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The low-level operations. Each has two parts: x_do() does it and returns 0
 * or a positive errno; x() unpacks the request and replies exactly once.
 */
#ifndef OPS_H
#define OPS_H

#include <fuse_lowlevel.h>

#include "log/logdir.h"
#include "tree/nodeattr.h"
#include "file/stage.h"
#include "tree/tree.h"

/* The table; the session's userdata is the struct fs. */
extern const struct fuse_lowlevel_ops fs_ops;

/* This mount is the only one that changes what it shows, and it changes it
 * only at the kernel's request: what the kernel has cached stays right. The
 * exceptions get 0 or are told by the keeper. */
#define CACHE_FOREVER_SECONDS 86400.0
#define CACHE_ABSENT_SECONDS  1 /* that there is no such name */

static inline struct fs *req_fs(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* The node of an id. 0, or ESTALE: it is no more. Wants no lock; the node
 * stays until the kernel gives its lookups back. */
int ops_find(struct fs *fs, fuse_ino_t ino, struct node **out);

/* Fills in an entry reply for a child and counts the lookup. 0 or ENOMEM.
 * Wants fs->lock. */
int ops_fill_entry(struct fs *fs, struct node *node, struct fuse_entry_param *out);

/* For how long may these attributes be cached? Wants fs->lock. */
double ops_attr_seconds(const struct fs *fs, const struct node *node);

/* The kernel gives lookups of a node back. */
void ops_forget_node(struct fs *fs, fuse_ino_t ino, uint64_t lookups);

/* After a request that failed and may have taken back what it, or another, had
 * shown, and before its reply: the kernel forgets the attributes. Later would be
 * too late: what is read meanwhile would be filled up with zeros to the staged
 * size. Attributes alone can be forgotten from within a request: the kernel
 * waits for nobody. Wants no lock. */
void ops_forget_attr(struct fs *fs, fuse_ino_t ino);

/* Replies with an entry; when the kernel no longer wants it, the lookup is
 * taken back. */
void ops_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry);

/* Makes a rename, unlink ... durable where the mount is asked to. */
int ops_synced(struct fs *fs, int r);

/* May dir be changed? EROFS under .log, ENOENT when dir itself was removed,
 * ESTALE, or what fs_refuses() says. Wants no lock. */
int ops_may_change(struct fs *fs, fuse_ino_t dir);

/* Is this .log, or in it? */
static inline bool ops_is_logdir(fuse_ino_t parent, const char *name)
{
	return logdir_owns(parent) || (parent == FUSE_ROOT_ID && strcmp(name, LOGDIR_NAME) == 0);
}

/* Takes a file's node out of the tree, once the log has taken its key back or
 * given it to another. The caller has its stage. Wants fs->lock. */
void ops_lose(struct fs *fs, struct node *node, struct timespec when);

/* ops_attr.c */
void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups);
void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		 struct fuse_file_info *fi);
void ops_readlink(fuse_req_t req, fuse_ino_t ino);
void ops_statfs(fuse_req_t req, fuse_ino_t ino);

/* ops_name.c */
void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);

/* ops_rename.c */
void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		const char *newname, unsigned int flags);

/* ops_xattr.c */
void ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		  int flags);
void ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ops_file.c */
void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		struct fuse_file_info *fi);
void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void ops_write(fuse_req_t req, fuse_ino_t ino, const char *buffer, size_t size, off_t offset,
	       struct fuse_file_info *fi);
void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		   struct fuse_file_info *fi);

/* ops_dir.c */
void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     struct fuse_file_info *fi);
void ops_free_dirs(struct fs *fs);
void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

#endif
