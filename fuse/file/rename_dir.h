/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The log's part of renaming a directory.
 */
#ifndef RENAME_DIR_H
#define RENAME_DIR_H

#include "fs.h"

struct rename_ahead;

struct rename_dir {
	struct node *dir;
	struct dwal_bytes new_key, old_key;
	bool replaces; /* an empty directory has the new key now */
	struct timespec when;
};

/* Gives every key and directory below dir, and dir itself, its new key, in one
 * operation: all Puts and records of the new names, then all tombstones of the
 * old ones. Each directory has a record from then on, for its inode number and
 * its times, so it stays without files. The tree is left to the caller. Wants the
 * write lock. 0; EXDEV over the mount's limit for it, so that mv(1) copies;
 * ENAMETOOLONG when a key gets too long; ENOSPC, EIO ...; FS_PUT_OFF or FS_AGAIN,
 * for txn_unlock(): then rename_dir_write_ahead() comes before the next try. ahead:
 * where what that needs is kept, *ahead NULL at first; NULL: it is written at once. */
int rename_dir_keys(struct fs *fs, const struct rename_dir *what, struct rename_ahead **ahead);

/* Reads the contents, and writes much, while others change what they like: a large
 * directory takes its time. Does nothing where nothing is to be done; what fails is
 * tried again under the lock. Wants no lock. */
void rename_dir_write_ahead(struct fs *fs, struct rename_ahead *ahead);

void rename_ahead_free(struct rename_ahead *ahead);

#endif
