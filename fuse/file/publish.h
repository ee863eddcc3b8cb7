/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How staged bytes, attributes and the end of a name get into the log: one
 * transaction each (txn.h). When they do is the business of handle.h (close,
 * fsync), pending.h (deadlines, the end) and of the operations on names.
 *
 * Every function wants the write lock, and returns FS_PUT_OFF where it is to be
 * called again (txn_unlock()), unless it says otherwise.
 */
#ifndef FILE_PUBLISH_H
#define FILE_PUBLISH_H

#include "file/stage.h"

/* The Put that is owed, if any, under the key that the file has now; of a file
 * without a place nothing. A failure is noted and leaves all as it is. Wants
 * stage->lock. */
int publish_commit(struct fs *fs, struct stage *stage);

/* The same with its locks, again and again while it is put off. */
int publish_stage(struct fs *fs, struct stage *stage);

/* Tells the log of changed attributes: now, or with the Put that is owed. Takes
 * no stage's lock. */
int publish_attributes(struct fs *fs, struct node *node);

/* The same with the write lock, again and again while it is put off. is_asked:
 * somebody waits for it; else it can wait for room on a full disk. */
int publish_attributes_now(struct fs *fs, struct node *node, bool is_asked);

/* Tells the log of a new directory, whose own time its parent gets: or has got
 * already, and later ones since (is_beside). */
int publish_dir(struct fs *fs, struct node *dir, bool is_beside);

/* Takes a name back that the log has: the tombstone of a file, or the record of
 * a directory. The tree is left to the caller, at the same time. */
int publish_gone(struct fs *fs, const struct node *node, struct timespec when);

/* Another name for a file. */
struct publish_name {
	struct dwal_bytes new_key, old_key;
	const struct node *replaced; /* the node that has the new key now, or NULL */
	struct node *beside;         /* a directory of that key, new to the log, or NULL */
	struct timespec when;        /* of the change of names */
};

/* One write that makes node's content, staged or not, the value of the new key,
 * carrying its type and time, tells of the directory beside it, and takes the
 * old key back when it was published. The tree is left to the caller. */
int publish_as(struct fs *fs, struct node *node, const struct publish_name *name);

#endif
