/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The writer's lock of a log directory.
 */
#ifndef DWAL_LOCK_H
#define DWAL_LOCK_H

#include "datawal.h"
#include "io.h"

#define LOCK_NAME ".lock"

struct lock {
	int fd;
	bool created; /* by this lock_acquire(): there was no such file */
};

/* Takes the lock of the directory, waiting up to wait_ms for another holder.
 * 0, DWAL_ELOCKED (the message names the holder where the system tells), or
 * -errno. dir is for messages. */
int lock_acquire(const struct io *io, int dirfd, const char *dir, uint32_t wait_ms,
		 struct lock *out, struct dwal_error *error);

/* Removes the lock's file again if this holder made it, for an open that is
 * refused and shall leave no trace. The lock itself is still held. */
void lock_remove_trace(const struct io *io, int dirfd, const struct lock *lock);

int lock_release(const struct io *io, struct lock *lock);

#endif
