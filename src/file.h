/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The files of a log directory: the one place that opens and makes them.
 * Knows nothing of what their names mean.
 */
#ifndef DWAL_FILE_H
#define DWAL_FILE_H

#include "datawal.h"
#include "io.h"

/* Whose owner, group, mode and access list a new file takes. */
struct file_like {
	uid_t uid;
	gid_t gid;
	mode_t mode; /* permissions of the new file */
	int fd;      /* borrowed: its access list; -1: what the directory passes on */
};

/* A new file of a log takes after this one: (mode & 0666) | 0600. fd is open
 * on it, or -1 where it is the directory. */
struct file_like file_like(const struct stat *st, int fd);
int file_like_fd(const struct io *io, int fd, struct file_like *out);

/* Closes fd, where it was opened for this. */
void file_like_release(const struct io *io, struct file_like *like);

/* Opens a regular file in a directory: never through a link, never waiting
 * for anybody. flags: O_RDONLY or O_RDWR. The descriptor, *st filled in;
 * DWAL_ENOTFILE for anything else of that name, or -errno. */
int file_open(const struct io *io, int dirfd, const char *name, int flags, struct stat *st);

/* Makes a file that is not there (-EEXIST): nobody else's before it has the
 * owner, group and mode of like. What the process may not give it is left
 * out, and with the group the rights that only the group was to have. flags:
 * O_WRONLY or O_RDWR. The descriptor or -errno; then there is no file, nor will
 * a crash bring it back; -ENOTRECOVERABLE: it may be there. */
int file_create(const struct io *io, int dirfd, const char *name, int flags,
		const struct file_like *like);

/* Takes one that was made just now away again, for good. Gives rc, why, or
 * -ENOTRECOVERABLE. */
int file_unmake(const struct io *io, int dirfd, const char *name, int rc);

/* Gives what is open at fd that owner, group, access list and mode. */
int file_make_like(const struct io *io, int fd, const struct file_like *like);

/* Gives the file back the time of modification that it had. */
void file_keep_time(const struct io *io, int fd, const struct stat *st);

/* Cuts the file, or frees the blocks that it has behind its end, which size may
 * be; it keeps its time of modification. 0 or -errno. */
int file_cut(const struct io *io, int fd, uint64_t size);

/* 1 if the name leads to what is open at fd, 0 if to something else or
 * nothing, -errno. */
int file_is_named(const struct io *io, int dirfd, const char *name, int fd);

#endif
