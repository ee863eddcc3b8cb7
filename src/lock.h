/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The writer's lock of a log directory.
 */
#ifndef DWAL_LOCK_H
#define DWAL_LOCK_H

#include "datawal.h"
#include "file.h"
#include "io.h"

struct lock {
	int fd;         /* of the lock's file */
	bool created;   /* by this lock_acquire(): there was no such file */
	bool directory; /* is locked as well: the file system can do that */
};

/* Takes the lock of the directory, waiting up to wait_ms for another holder:
 * the file's, and the one of the directory itself at dirfd, which lasts until
 * that and all copies of it are closed. A file that must be made is like that.
 * 0, DWAL_ELOCKED (the message names the holder where the system tells),
 * DWAL_ENOTFILE or -errno. dir is for messages. */
int lock_acquire(const struct io *io, int dirfd, const char *dir, uint32_t wait_ms,
		 const struct file_like *like, struct lock *out, struct dwal_error *error);

/* Makes and locks the file again, if its name is gone or leads to another one.
 * Not waiting. 0; DWAL_ELOCKED, -errno: it is not ours, and no other writer is
 * kept out unless the directory is locked. */
int lock_renew(const struct io *io, int dirfd, const struct file_like *like, struct lock *lock);

/* Removes the lock's file again if this holder made it, for an open that is
 * refused and shall leave no trace. The lock itself is still held. */
void lock_remove_trace(const struct io *io, int dirfd, const struct lock *lock);

int lock_release(const struct io *io, struct lock *lock);

#endif
