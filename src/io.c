/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The only system calls on files. Must not know what is in them.
 */
#include "io.h"
#include "path.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == sizeof(uint64_t), "segments may be larger than 2 GiB");

/* A program without standard descriptors would get one of ours for them, and
 * write its messages into a segment. */
static int lift(int fd)
{
	int lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int err = lifted < 0 ? -errno : 0;

	(void)close(fd); /* nothing was written */
	return err ? err : lifted;
}

static int sys_open(const struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	int fd = openat(dirfd, name, flags, mode);

	return fd < 0 ? -errno : fd > STDERR_FILENO ? fd : lift(fd);
}

static int sys_dup(const struct io *io, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	return copy < 0 ? -errno : copy;
}

static int sys_close(const struct io *io, int fd)
{
	return close(fd) ? -errno : 0;
}

static ssize_t sys_pread(const struct io *io, int fd, void *buffer, size_t n, off_t offset)
{
	ssize_t got = pread(fd, buffer, n, offset);

	return got < 0 ? -errno : got;
}

static ssize_t sys_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
			   off_t offset)
{
	/* one buffer is a tenth cheaper without the vector: the kernel copies that as well */
	ssize_t put = n == 1 ? pwrite(fd, iov->iov_base, iov->iov_len, offset)
			     : pwritev(fd, iov, n, offset);

	return put < 0 ? -errno : put;
}

static ssize_t sys_write(const struct io *io, int fd, const void *data, size_t n)
{
	ssize_t put = write(fd, data, n);

	return put < 0 ? -errno : put;
}

static int sys_fsync(const struct io *io, int fd)
{
	return fsync(fd) ? -errno : 0;
}

static int sys_fdatasync(const struct io *io, int fd)
{
	return fdatasync(fd) ? -errno : 0;
}

static int sys_ftruncate(const struct io *io, int fd, off_t size)
{
	return ftruncate(fd, size) ? -errno : 0;
}

/* btrfs needs room to write into what it has set aside, and does not compress
 * what is written there. */
static int sys_allocate(const struct io *io, int fd, off_t offset, off_t n)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return -errno;
	if ((unsigned int)st.f_type == BTRFS_SUPER_MAGIC)
		return -EOPNOTSUPP;
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, n) ? -errno : 0;
}

static int sys_begin_write(const struct io *io, int fd, off_t offset, off_t n)
{
	return sync_file_range(fd, offset, n, SYNC_FILE_RANGE_WRITE) ? -errno : 0;
}

static int sys_fadvise(const struct io *io, int fd, off_t offset, off_t n, int advice)
{
	return -posix_fadvise(fd, offset, n, advice);
}

static int sys_fstat(const struct io *io, int fd, struct stat *st)
{
	return fstat(fd, st) ? -errno : 0;
}

static int sys_fstatat(const struct io *io, int dirfd, const char *name, struct stat *st, int flags)
{
	return fstatat(dirfd, name, st, flags) ? -errno : 0;
}

static int sys_mkdirat(const struct io *io, int dirfd, const char *name, mode_t mode)
{
	return mkdirat(dirfd, name, mode) ? -errno : 0;
}

static int sys_unlinkat(const struct io *io, int dirfd, const char *name, int flags)
{
	return unlinkat(dirfd, name, flags) ? -errno : 0;
}

static int sys_renameat2(const struct io *io, int from_dirfd, const char *from, int to_dirfd,
			 const char *to, unsigned int flags)
{
	return renameat2(from_dirfd, from, to_dirfd, to, flags) ? -errno : 0;
}

static int sys_flock(const struct io *io, int fd, int operation)
{
	return flock(fd, operation) ? -errno : 0;
}

static int list_stream(DIR *stream, io_name_fn each, void *ctx)
{
	struct dirent *entry;
	int rc = 0;

	while (!rc && (errno = 0, entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = each(ctx, entry->d_name);
	return rc ? rc : -errno;
}

static int sys_list(const struct io *io, int dirfd, io_name_fn each, void *ctx)
{
	/* A descriptor of its own: the position of dirfd is shared. */
	int rc, fd = io_open_dir(io, dirfd, ".");
	DIR *stream;

	if (fd < 0)
		return fd;
	stream = fdopendir(fd);
	if (!stream) {
		rc = -errno;
		(void)close(fd); /* nothing was written */
		return rc;
	}
	rc = list_stream(stream, each, ctx);
	(void)closedir(stream); /* nothing was written */
	return rc;
}

static int sys_fchown(const struct io *io, int fd, uid_t uid, gid_t gid)
{
	return fchown(fd, uid, gid) ? -errno : 0;
}

static int sys_futimens(const struct io *io, int fd, const struct timespec times[2])
{
	return futimens(fd, times) ? -errno : 0;
}

static int sys_fchmod(const struct io *io, int fd, mode_t mode)
{
	return fchmod(fd, mode) ? -errno : 0;
}

static int copy_xattr(const char *name, int from, int to)
{
	cleanup_free void *value = malloc(XATTR_SIZE_MAX);
	ssize_t size;
	int rc;

	if (!value)
		return -ENOMEM;
	size = fgetxattr(from, name, value, XATTR_SIZE_MAX);
	if (size < 0 && errno != ENODATA)
		return -errno;
	rc = size < 0 ? fremovexattr(to, name) : fsetxattr(to, name, value, (size_t)size, 0);
	return rc && !(size < 0 && errno == ENODATA) ? -errno : 0;
}

static int sys_copy_acl(const struct io *io, int from, int to)
{
	int rc = copy_xattr("system.posix_acl_access", from, to);

	if (!rc)
		rc = copy_xattr("system.posix_acl_default", from, to);
	return rc == -EOPNOTSUPP ? 0 : rc;
}

const struct io io_system = {
	.open = sys_open,
	.dup = sys_dup,
	.close = sys_close,
	.pread = sys_pread,
	.pwritev = sys_pwritev,
	.write = sys_write,
	.fsync = sys_fsync,
	.fdatasync = sys_fdatasync,
	.begin_write = sys_begin_write,
	.ftruncate = sys_ftruncate,
	.allocate = sys_allocate,
	.fadvise = sys_fadvise,
	.fstat = sys_fstat,
	.fstatat = sys_fstatat,
	.mkdirat = sys_mkdirat,
	.unlinkat = sys_unlinkat,
	.renameat2 = sys_renameat2,
	.flock = sys_flock,
	.list = sys_list,
	.fchown = sys_fchown,
	.fchmod = sys_fchmod,
	.futimens = sys_futimens,
	.copy_acl = sys_copy_acl,
};

int io_open(const struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	int fd;

	do
		fd = io->open(io, dirfd, name, flags | O_CLOEXEC, mode);
	while (fd == -EINTR);
	return fd;
}

int io_open_dir(const struct io *io, int dirfd, const char *name)
{
	return io_open(io, dirfd, name, O_RDONLY | O_DIRECTORY, 0);
}

int io_close(const struct io *io, int *fd)
{
	int rc = 0;

	if (*fd >= 0)
		rc = io->close(io, *fd); /* never again: Linux frees it also on EINTR */
	*fd = -1;
	return rc;
}

int io_pread_full(const struct io *io, int fd, void *buffer, size_t n, uint64_t offset, size_t *got)
{
	unsigned char *p = buffer;
	size_t done = 0;

	while (done < n) {
		ssize_t rc = io->pread(io, fd, p + done, n - done, (off_t)(offset + done));

		if (rc == -EINTR)
			continue;
		if (rc < 0)
			return (int)rc;
		if (rc == 0)
			break;
		done += (size_t)rc;
	}
	*got = done;
	return 0;
}

/* Takes the first `done` bytes off the front. */
static void iov_advance(struct iovec **iov, size_t *n, size_t done)
{
	while (*n && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		++*iov;
		--*n;
	}
	if (done) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

/* So many of the first ones go into one call: of a larger one a part does. */
static int first_call(const struct iovec *iov, size_t n)
{
	size_t count = 0, room = IO_WRITE_MOST;

	for (; count < n && count < IOV_MAX && iov[count].iov_len <= room; count++)
		room -= iov[count].iov_len;
	return count ? (int)count : 1;
}

int io_pwritev_full(const struct io *io, int fd, struct iovec *iov, size_t n, uint64_t offset)
{
	iov_advance(&iov, &n, 0); /* past empty ones */
	while (n) {
		const struct iovec part = {iov->iov_base, IO_WRITE_MOST};
		bool is_larger = iov->iov_len > IO_WRITE_MOST;
		ssize_t rc = io->pwritev(io, fd, is_larger ? &part : iov, first_call(iov, n),
					 (off_t)offset);

		if (rc == -EINTR)
			continue;
		if (rc < 0)
			return (int)rc;
		if (rc == 0)
			return -EIO; /* no error and no progress: not to be retried for ever */
		offset += (uint64_t)rc;
		iov_advance(&iov, &n, (size_t)rc);
	}
	return 0;
}

int io_pwrite_full(const struct io *io, int fd, const void *data, size_t n, uint64_t offset)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};

	return io_pwritev_full(io, fd, &iov, 1, offset);
}

int io_write_full(const struct io *io, int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t rc = io->write(io, fd, p, n);

		if (rc == -EINTR)
			continue;
		if (rc < 0)
			return (int)rc;
		if (rc == 0)
			return -EIO;
		p += rc;
		n -= (size_t)rc;
	}
	return 0;
}

int io_allocate(const struct io *io, int fd, uint64_t offset, uint64_t n)
{
	int rc;

	do
		rc = io->allocate(io, fd, (off_t)offset, (off_t)n);
	while (rc == -EINTR);
	return rc;
}

bool io_is_full(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

int io_sync_dir(const struct io *io, int dirfd, const char *name)
{
	cleanup_io_fd struct io_fd dir = {io, io_open_dir(io, dirfd, name)};

	return dir.fd < 0 ? dir.fd : io->fsync(io, dir.fd);
}

int io_rename_noreplace(const struct io *io, int dirfd, const char *from, const char *to)
{
	struct stat st;
	int rc = io->renameat2(io, dirfd, from, dirfd, to, RENAME_NOREPLACE);

	if (rc != -EINVAL && rc != -ENOSYS)
		return rc;
	/* A file system that does not know the flag: look first. */
	rc = io->fstatat(io, dirfd, to, &st, AT_SYMLINK_NOFOLLOW);
	if (rc != -ENOENT)
		return rc ? rc : -EEXIST;
	return io->renameat2(io, dirfd, from, dirfd, to, 0);
}

int io_make_dirs(const struct io *io, const char *path, mode_t mode)
{
	cleanup_free char *parent = NULL;
	struct stat st;
	int rc = io->fstatat(io, AT_FDCWD, path, &st, 0);

	if (rc == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (rc != -ENOENT || !*path)
		return rc;
	parent = path_parent(path);
	if (!parent)
		return -ENOMEM;
	rc = io_make_dirs(io, parent, 0777);
	if (rc)
		return rc;
	rc = io->mkdirat(io, AT_FDCWD, path, mode);
	if (rc && rc != -EEXIST)
		return rc;
	return io_sync_dir(io, AT_FDCWD, parent);
}

void io_begin_write(const struct io *io, int fd, uint64_t *begun, uint64_t end)
{
	if (end - *begun < IO_BEGIN_WRITE)
		return;
	(void)io->begin_write(io, fd, (off_t)*begun, (off_t)(end - *begun));
	*begun = end;
}

int io_copy(const struct io *io, int from, uint64_t offset, uint64_t n, int to)
{
	const size_t chunk = 1 << 20;
	cleanup_free unsigned char *buffer = malloc(chunk);
	uint64_t done = 0;

	if (!buffer)
		return -ENOMEM;
	while (done < n) {
		size_t want = n - done < chunk ? (size_t)(n - done) : chunk, got = 0;
		int rc = io_pread_full(io, from, buffer, want, offset + done, &got);

		if (!rc && got < want)
			rc = -EIO;
		if (!rc)
			rc = io_pwrite_full(io, to, buffer, got, done);
		if (rc)
			return rc;
		done += got;
	}
	return 0;
}
