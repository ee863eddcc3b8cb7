/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Opening and making the files of a log directory. Somebody else may have
 * write access to it: no name is trusted to be what it was, and nothing is
 * ever readable for more people than the log is. Must not know what the names
 * mean.
 */
#include "file.h"
#include "util.h"

#include <errno.h>

struct file_like file_like(const struct stat *st, int fd)
{
	return (struct file_like){
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mode = (st->st_mode & 0666) | 0600,
		.fd = fd,
	};
}

int file_like_fd(const struct io *io, int fd, struct file_like *out)
{
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	if (!rc)
		*out = file_like(&st, fd);
	return rc;
}

void file_like_release(const struct io *io, struct file_like *like)
{
	(void)io_close(io, &like->fd); /* only read */
}

/* What open says of a link, a directory, a socket or a fifo. */
static bool is_no_file(int rc)
{
	return rc == -ELOOP || rc == -EISDIR || rc == -ENXIO;
}

int file_open(const struct io *io, int dirfd, const char *name, int flags, struct stat *st)
{
	const int safe = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	cleanup_io_fd struct io_fd file = {io, io_open(io, dirfd, name, flags | safe, 0)};
	int rc;

	if (file.fd < 0)
		return is_no_file(file.fd) ? DWAL_ENOTFILE : file.fd;
	rc = io->fstat(io, file.fd, st);
	if (rc)
		return rc;
	return S_ISREG(st->st_mode) ? steal_fd(&file.fd) : DWAL_ENOTFILE;
}

/* The system, or a file system without owners and modes, does not let us. */
static bool is_not_ours_to_give(int rc)
{
	return rc == -EPERM || rc == -EACCES || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOSYS;
}

/* 0, or 1 when the group could not be given. */
static int give_owner(const struct io *io, int fd, const struct stat *st,
		      const struct file_like *like)
{
	int rc = 0;

	if (st->st_uid != like->uid || st->st_gid != like->gid)
		rc = io->fchown(io, fd, like->uid, like->gid);
	if (!is_not_ours_to_give(rc))
		return rc;
	if (st->st_gid == like->gid)
		return 0;
	rc = io->fchown(io, fd, (uid_t)-1, like->gid);
	return is_not_ours_to_give(rc) ? 1 : rc;
}

int file_make_like(const struct io *io, int fd, const struct file_like *like)
{
	mode_t mode = like->mode;
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	if (!rc)
		rc = give_owner(io, fd, &st, like);
	if (rc < 0)
		return rc;
	if (rc > 0) /* members of our own group are only others to the log */
		mode &= ~(mode_t)070 | (mode & 07) << 3;
	rc = like->fd >= 0 ? io->copy_acl(io, like->fd, fd) : 0;
	if (rc)
		return rc;
	rc = io->fchmod(io, fd, mode);
	return is_not_ours_to_give(rc) ? 0 : rc;
}

int file_create(const struct io *io, int dirfd, const char *name, int flags,
		const struct file_like *like)
{
	const int fresh = O_CREAT | O_EXCL | O_NOFOLLOW;
	cleanup_io_fd struct io_fd file = {io, io_open(io, dirfd, name, flags | fresh, 0600)};
	int rc;

	if (file.fd < 0)
		return file.fd;
	rc = file_make_like(io, file.fd, like);
	if (!rc)
		return steal_fd(&file.fd);
	return file_unmake(io, dirfd, name, rc);
}

int file_unmake(const struct io *io, int dirfd, const char *name, int rc)
{
	int undone = io->unlinkat(io, dirfd, name, 0);

	if (!undone)
		undone = io->fsync(io, dirfd);
	return undone ? -ENOTRECOVERABLE : rc;
}

void file_keep_time(const struct io *io, int fd, const struct stat *st)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};

	(void)io->futimens(io, fd, times); /* not the owner: a time and no byte */
}

int file_cut(const struct io *io, int fd, uint64_t size)
{
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	if (!rc)
		rc = io->ftruncate(io, fd, (off_t)size);
	if (!rc)
		file_keep_time(io, fd, &st);
	return rc;
}

int file_is_named(const struct io *io, int dirfd, const char *name, int fd)
{
	struct stat opened, named;
	int rc = io->fstatat(io, dirfd, name, &named, AT_SYMLINK_NOFOLLOW);

	if (rc == -ENOENT)
		return 0;
	if (!rc)
		rc = io->fstat(io, fd, &opened);
	if (rc)
		return rc;
	return opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}
