/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The log's part of renaming a directory.
 */
#ifndef RENAME_DIR_H
#define RENAME_DIR_H

#include "fs.h"

/* Gives every key and directory below dir, and dir itself, its new key, in one
 * operation: all Puts and records of the new names, then all tombstones of the
 * old ones. Each directory has a record from then on, for its inode number and
 * its times, so it stays without files. replaces: an empty directory has the new
 * key now. The tree is left to the caller, at the time when. Wants the write
 * lock. 0; EXDEV over the mount's limit for it, so that mv(1) copies;
 * ENAMETOOLONG when a key gets too long; ENOSPC, EIO ... */
int rename_dir_keys(struct fs *fs, struct node *dir, struct dwal_bytes new_key,
		    struct dwal_bytes old_key, bool replaces, struct timespec when);

#endif
