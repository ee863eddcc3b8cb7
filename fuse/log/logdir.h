/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Everything under .log: the raw segments, the recovery report, statistics.
 * Read-only; its inodes are numbers of its own, not nodes of the tree.
 * Functions take node ids, return 0 or a positive errno (ESTALE for an id that
 * has no file any more) and never reply to a request.
 *
 * Nothing here may be cached by the kernel longer than a request: entries and
 * attributes are to be answered with timeouts of 0. Each lookup of a generated
 * file makes a new text, which stays as it is and has an inode of its own for
 * the kernel; so its pages, and its size, are never those of another.
 */
#ifndef LOGDIR_H
#define LOGDIR_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "fs.h"
#include "tree/listing.h"

#define LOGDIR_NAME ".log"
/* What stat(2) shows as the directory's inode number; all that belongs to it
 * has a higher one, below twice that. The node id has a bit more, which no node of
 * the tree has. None of these numbers ever stands for another file in the same
 * mount. */
#define LOGDIR_INO INO_FOREIGN
#define LOGDIR_ID  (LOGDIR_INO | NODEID_FOREIGN)

static inline bool logdir_owns(fuse_ino_t id)
{
	return id & NODEID_FOREIGN;
}

/* What .log remembers: the numbers it gave to side files, the texts that the
 * kernel knows, the open handles. Set as fs->logdir before the first request,
 * and freed after the last. NULL: out of memory. */
struct logdir *logdir_new(void);
void logdir_free(struct logdir *logdir);

/* name in directory parent (LOGDIR_ID); fills in ino and attr, and counts the
 * lookup until logdir_forget(). */
int logdir_lookup(struct fs *fs, fuse_ino_t parent, const char *name, struct fuse_entry_param *out);
void logdir_forget(struct fs *fs, fuse_ino_t id, uint64_t lookups);

int logdir_getattr(struct fs *fs, fuse_ino_t id, struct stat *out);

/* Opens for reading: EROFS for anything else. Sets fi->fh, to be released. */
int logdir_open(struct fs *fs, fuse_ino_t id, struct fuse_file_info *fi);

/* Up to size bytes at offset into buffer; *got is less only at the end. */
int logdir_read(struct fs *fs, struct fuse_file_info *fi, off_t offset, char *buffer, size_t size,
		size_t *got);
void logdir_release(struct fs *fs, struct fuse_file_info *fi);

/* Adds the entries of the directory to listing ("." and ".." are there). */
int logdir_list(struct fs *fs, fuse_ino_t id, struct listing *listing);

#endif
