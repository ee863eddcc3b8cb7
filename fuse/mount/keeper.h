/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The mount's background thread: syncs and retries every commit= seconds, and
 * tells the kernel to forget attributes that it has cached, for whoever holds
 * locks and so cannot (ops_forget_attr() does it at once). Pages and names are not taken from it in
 * this way: that can wait for a request in flight, and were the daemon killed then, it could not
 * die. Names that can go without the kernel's doing are not cached instead, nor are pages of a
 * dropped staging kept at the next open.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "fs.h"

struct fuse_session;
struct node;

/* 0 or a positive errno. */
int keeper_start(struct fs *fs, struct fuse_session *session);

/* Ends the thread; takes a mount without one. Does not sync. */
void keeper_stop(struct fs *fs);

/* The kernel's copy of a node's attributes, soon. Wants fs->lock. */
void keeper_forget_attr(struct fs *fs, const struct node *node);

#endif
