/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The low-level operations. Each has two parts: x_do() does it and returns 0
 * or a positive errno; x() unpacks the request and replies exactly once.
 */
#ifndef OPS_H
#define OPS_H

#include <fuse_lowlevel.h>
#include <string.h>

#include "fs.h"
#include "log/logdir.h"
#include "tree/beside.h"

/* This mount is the only one that changes what it shows, and it changes it
 * only at the kernel's request: what the kernel has cached stays right. The
 * exceptions get less, 0, or are told by the keeper. */
#define CACHE_FOREVER_SECONDS  86400.0
#define CACHE_NEW_SECONDS      60.0 /* the name of a file that is not in the log yet */
#define CACHE_ABSENT_SECONDS   1    /* that there is no such name */
#define CACHE_DIR_SECONDS      1.0  /* attributes of a directory */
#define CACHE_CHANGING_SECONDS 0.05 /* of one that has just been changed; see there */

static inline struct fs *req_fs(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* The node of an id, or NULL: it is no more, or has gone without the kernel's
 * doing. Then whoever comes to it has done so by a name that the kernel remembers,
 * and is to look that up again. Of what was removed while open the descriptors go
 * on; those of a file that was given up do not, as they cannot be told from the
 * name. Wants the tree's lock. */
struct node *ops_node(const struct fs *fs, fuse_ino_t ino);

/* The same: 0 or ESTALE. Wants no lock; the node stays until the kernel gives its
 * lookups back. */
int ops_find(struct fs *fs, fuse_ino_t ino, struct node **out);

/* Fills in an entry reply for a child and counts the lookup. 0 or ENOMEM.
 * Wants the tree's lock. */
int ops_fill_entry(struct fs *fs, struct node *node, struct fuse_entry_param *out);

/* The attributes, and for how many seconds they may be cached. Wants the tree's lock. */
double ops_stat(const struct fs *fs, const struct node *node, struct stat *out);

/* The kernel gives lookups of a node back. */
void ops_forget_node(struct fs *fs, fuse_ino_t ino, uint64_t lookups);

/* The kernel forgets the attributes of a file, and what it was told of them on
 * requests that still run. To be called before the reply of
 *
 *   a request that failed and may have taken back what it, or another, had shown:
 *   later, what is read meanwhile would be filled up with zeros to the staged size;
 *
 *   one that changed what the kernel sees of the file without being told: a page of
 *   a mapping, an extended attribute, an allocation, another name. By itself the
 *   kernel then asks anew, but believes an older answer that arrives later, for as
 *   long as that may be cached. Other changes it counts (attr_version in Linux'
 *   fs/fuse), and drops older answers.
 *
 * Attributes alone can be forgotten from within a request: the kernel waits for
 * nobody. Wants no lock. */
void ops_forget_attr(struct fs *fs, fuse_ino_t ino);

/* Replies with an entry; when the kernel no longer wants it, the lookup is
 * taken back. */
void ops_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry);

/* Makes a rename, unlink ... durable where the mount is asked to. */
int ops_synced(struct fs *fs, int r);

/* The directory with this id, if it may be changed: EROFS under .log, ENOENT when
 * it was removed itself, ESTALE, or what fs_refuses() says. Wants the tree's lock. */
int ops_find_to_change(const struct fs *fs, fuse_ino_t ino, struct node **dir);

/* The same, without the lock. */
int ops_may_change(struct fs *fs, fuse_ino_t ino, struct node **dir);

/* Is this .log, or in it? */
static inline bool ops_is_logdir(fuse_ino_t parent, const char *name)
{
	return logdir_owns(parent) || (parent == FUSE_ROOT_ID && strcmp(name, LOGDIR_NAME) == 0);
}

/* Who asks. */
static inline struct maker ops_maker(const struct fuse_ctx *ctx)
{
	return (struct maker){ctx->uid, ctx->gid, ctx->pid, ctx->umask};
}

/* Takes a file's node out of the tree, once the log has taken its key back or
 * given it to another. The caller has its stage. Wants the tree's lock. */
void ops_lose(struct fs *fs, struct node *node, struct timespec when);

#endif
