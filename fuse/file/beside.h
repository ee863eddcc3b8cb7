/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The directory X that a value X\value stands beside, where it has to be made
 * for it.
 */
#ifndef BESIDE_H
#define BESIDE_H

#include <fuse_lowlevel.h>

#include "append.h"
#include "tree/tree.h"

/* A file is to be made in dir under this name: where that is X\value and nothing
 * is called X, makes the directory X, of which the log is yet to be told;
 * otherwise *made is NULL. Wants fs->lock.
 *
 * A program that fills a directory of its own making, as cp(1) does, knows that
 * no X is in it and ends in an error when it cannot make it. So for whoever made
 * dir the directory X is not there until they make it. */
int beside_make(struct fs *fs, struct node *dir, const char *name, const struct fuse_ctx *ctx,
		struct node **made);

/* Is this node not there for this process? Wants fs->lock. */
static inline bool beside_is_hidden(const struct node *node, const struct fuse_ctx *ctx)
{
	return node->implied && node->maker == ctx->pid;
}

/* Takes it back, unless the log has it. Takes NULL. Wants fs->lock. */
void beside_unmake(struct fs *fs, struct node *made);

/* The directory beside a file that the log is yet to be told of, or NULL. */
struct node *beside_untold(struct fs *fs, const struct node *file);

/* Adds what tells of it. Takes NULL. key: its own, and the file's. 0 or ENOMEM. */
int beside_append(struct append *append, struct fs *fs, const struct node *beside,
		  struct dwal_bytes key);

#endif
