/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The mount's background thread: syncs and retries every commit= seconds, and
 * does the errands of whoever holds locks and so cannot tell the kernel
 * himself (errands.h; ops_forget_attr() does it at once).
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "fs.h"

struct fuse_session;

/* 0 or a positive errno. */
int keeper_start(struct fs *fs, struct fuse_session *session);

/* Ends the thread; takes a mount without one. Does not sync. */
void keeper_stop(struct fs *fs);

#endif
