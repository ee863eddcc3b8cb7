/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The mount's background thread: syncs and retries every commit= seconds, and
 * does the errands of whoever holds locks and so cannot tell the kernel
 * himself (errands.h; ops_forget_attr() does it at once).
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "fs.h"

struct keeper;

/* Once fs->session is mounted. 0 or a positive errno. */
int keeper_start(struct fs *fs, struct keeper **out);

/* Before the session is destroyed: ends the thread. Takes NULL. Does not sync. */
void keeper_stop(struct keeper *keeper);

#endif
