/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Changes that are still to become Puts, over all files. Functions return 0 or
 * the first errno (positive); what failed stays staged and is tried again. They
 * take the locks they need themselves.
 */
#ifndef PENDING_H
#define PENDING_H

#include "fs.h"

/* How a mount ends. */
enum mount_end {
	MOUNT_END_NEAR,   /* requests are still served */
	MOUNT_END_CLOSED, /* unmounted, with every descriptor closed; not each end was told */
	MOUNT_END_CUT,    /* no request comes any more, whatever is open */
};

/* Publishes every staged change that has a name, then syncs. What was begun
 * over an existing value and is not finished is left alone while the end is
 * near, and then kept beside the value (unfinished.h). */
int pending_commit_all(struct fs *fs, enum mount_end end);

/* Tries again the commits that failed. */
int pending_retry(struct fs *fs);

/* fsync(2) of a directory: publishes the files in it that are empty and not in
 * the log yet, and tries again the commits that failed. */
int pending_commit_names(struct fs *fs, struct node *dir);

/* Is a file open for writing? */
bool pending_has_writers(struct fs *fs);

/* Changes whose commit failed and is retried: path (as in the mount, without a
 * leading slash), errno. Called under the tree's lock: must not call back. */
void pending_each_failed(struct fs *fs, void (*fn)(void *ctx, const char *path, int error),
			 void *ctx);

#endif
