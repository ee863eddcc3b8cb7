/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the calls of a disk in memory share.
 */
#ifndef POWER_DISK_CALLS_H
#define POWER_DISK_CALLS_H

#include "disk.h"
#include "unit.h"

#include <errno.h>

static inline struct disk *disk_of(const struct io *io)
{
	return (struct disk *)(uintptr_t)io;
}

static inline bool is_look(const char *what)
{
	static const char *const looks[] = {"open",  "close", "dup", "read",
					    "fstat", "stat",  "list"};

	for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++)
		if (strcmp(what, looks[i]) == 0)
			return true;
	return false;
}

/* Counts a call; true: it is the one that is to fail. */
static inline bool strikes(struct disk *disk, const char *what)
{
	disk->calls++;
	if (disk->fault == DISK_SOUND || !disk->fail_at)
		return false;
	if (disk->failed && disk->dies && disk->calls > disk->fail_at)
		return !is_look(what);
	if (disk->failed && disk->goes_on && disk->calls > disk->fail_at)
		return strcmp(what, disk->failed) == 0;
	if (disk->calls != disk->fail_at)
		return false;
	disk->failed = what;
	return true;
}

/* The same for a call that cannot be cut short. 0 or the error. */
static inline int enter(struct disk *disk, const char *what)
{
	return strikes(disk, what) && disk->fault != DISK_SHORT ? disk->fail_with : 0;
}

static inline void tell(struct disk *disk, const char *what, const char *name)
{
	if (disk->before)
		disk->before(disk, what, name);
}

static inline struct disk_open *open_of(struct disk *disk, int fd)
{
	CHECK(fd >= DISK_FD0 && fd < DISK_FD0 + DISK_FDS && disk->fds[fd - DISK_FD0].used);
	return &disk->fds[fd - DISK_FD0];
}

static inline struct disk_file *file_of(struct disk *disk, int fd)
{
	return &disk->files[open_of(disk, fd)->ino];
}

/* For messages. */
static inline const char *name_of(const struct disk *disk, unsigned ino)
{
	for (size_t i = 0; i < disk->now.n; i++)
		if (disk->now.list[i].ino == ino)
			return disk->now.list[i].name;
	return ino == DISK_ROOT ? "/" : "?";
}

static inline const char *fd_name(struct disk *disk, int fd)
{
	return name_of(disk, open_of(disk, fd)->ino);
}

/* disk_bytes.c */
void disk_truncate(struct disk *disk, struct disk_file *file, size_t size);

/* disk_names.c: into the table */
int sim_open(const struct io *io, int dirfd, const char *path, int flags, mode_t mode);
int sim_dup(const struct io *io, int fd);
int sim_close(const struct io *io, int fd);
int sim_fstat(const struct io *io, int fd, struct stat *st);
int sim_fstatat(const struct io *io, int dirfd, const char *path, struct stat *st, int flags);
int sim_mkdirat(const struct io *io, int dirfd, const char *path, mode_t mode);
int sim_unlinkat(const struct io *io, int dirfd, const char *path, int flags);
int sim_renameat2(const struct io *io, int from_dirfd, const char *from, int to_dirfd,
		  const char *to, unsigned int flags);
int sim_flock(const struct io *io, int fd, int operation);
int sim_list(const struct io *io, int dirfd, io_name_fn each, void *ctx);
int sim_fchown(const struct io *io, int fd, uid_t uid, gid_t gid);
int sim_fchmod(const struct io *io, int fd, mode_t mode);
int sim_futimens(const struct io *io, int fd, const struct timespec times[2]);
int sim_copy_acl(const struct io *io, int from, int to);

/* disk_bytes.c */
ssize_t sim_pread(const struct io *io, int fd, void *buffer, size_t n, off_t offset);
ssize_t sim_pwritev(const struct io *io, int fd, const struct iovec *iov, int n, off_t offset);
ssize_t sim_write(const struct io *io, int fd, const void *data, size_t n);
int sim_fsync(const struct io *io, int fd);
int sim_fdatasync(const struct io *io, int fd);
int sim_ftruncate(const struct io *io, int fd, off_t size);
int sim_allocate(const struct io *io, int fd, off_t offset, off_t n);
int sim_begin_write(const struct io *io, int fd, off_t offset, off_t n);
int sim_fadvise(const struct io *io, int fd, off_t offset, off_t n, int advice);

#endif
