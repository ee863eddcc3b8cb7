/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The log's part of renaming a directory.
 */
#ifndef RENAME_DIR_H
#define RENAME_DIR_H

#include "fs.h"

/* Gives every key and directory below dir, and dir itself, its new key, in one
 * write: all Puts and records of the new names, then all tombstones of the old
 * ones. It succeeds as a whole or leaves the log as it was; a crash in it can
 * leave old and new names, never neither. Each directory has a record from
 * then on, for its inode number, so it stays without files. What has the new
 * key now is an empty directory, or nothing. The tree is left to the caller.
 * Wants the write lock. 0; EXDEV over the mount's limit for it, so that mv(1)
 * copies; ENAMETOOLONG when a key gets too long; ENOSPC, EIO ... */
int rename_dir_keys(struct fs *fs, struct node *dir, struct dwal_bytes new_key,
		    struct dwal_bytes old_key);

#endif
