/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A file that gets its name only once it is complete and durable. Knows
 * nothing of logs.
 */
#ifndef DWAL_ATOMIC_H
#define DWAL_ATOMIC_H

#include "io.h"

struct atomic_file {
	const struct io *io;
	int fd;           /* write the content here */
	int dirfd;        /* of the directory the file will be in */
	const char *name; /* in that directory; points into the caller's path */
	char temp[40];    /* its name until then; "" once it has the real one */
};

/* Creates the temporary file beside path, which must stay as it is until the
 * release, with that mode less umask. A flock says that it is in use. 0 or
 * -errno. */
int atomic_begin(const struct io *io, const char *path, mode_t mode, struct atomic_file *out);

/* Removes the temporary files beside it that the same user's killed programs
 * have left. What cannot be removed stays. */
void atomic_sweep(const struct atomic_file *file);

/* Syncs the content, gives the file its name and syncs the directory.
 * replace: whatever bears that name goes, a symbolic link itself and not what
 * it points to; otherwise -EEXIST. */
int atomic_commit(struct atomic_file *file, bool replace);

/* Closes; removes the temporary file unless it was committed. */
void atomic_release(struct atomic_file *file);

#endif
