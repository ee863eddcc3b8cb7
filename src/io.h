/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The only system calls on files: a table of functions, so that a test can
 * record them, fail them and cut them short, and wrappers that finish what a
 * single call may leave half done. Knows nothing of records or segments.
 */
#ifndef DWAL_IO_H
#define DWAL_IO_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Called for each name in a directory but "." and "..". Nonzero stops the
 * listing and is returned by it. */
typedef int (*io_name_fn)(void *ctx, const char *name);

/* So many bytes at a time are on their way to the disk before a sync asks for them,
 * which finds less to wait for: a rotation's most of all. By turns, 6 values of
 * 64 MiB written to a mount on ext4 took 0.78 of the time (three runs each). */
#define IO_BEGIN_WRITE ((uint64_t)1 << 20)

/* One call writes so many bytes at most. For 2 MiB and more at once Linux takes huge pages
 * into its cache, and a virtual machine may have given those back to its host: 64 MiB
 * took 155 ms then, in pieces of 64 KiB to 2 MiB less 4 KiB 24 to 35 (ext4, medians of 6). */
#define IO_WRITE_MOST ((size_t)3 << 19)

/* One entry a call. Each returns what the call returns, but -errno for -1.
 * A test's table may be the first member of a larger struct of its own.
 * name is relative to dirfd, which may be AT_FDCWD. Use the wrappers below
 * where there is one. */
struct io {
	int (*open)(const struct io *io, int dirfd, const char *name, int flags, mode_t mode);
	int (*dup)(const struct io *io, int fd); /* of the same open file, with its locks */
	int (*close)(const struct io *io, int fd);
	ssize_t (*pread)(const struct io *io, int fd, void *buffer, size_t n, off_t offset);
	ssize_t (*pwritev)(const struct io *io, int fd, const struct iovec *iov, int n,
			   off_t offset);
	ssize_t (*write)(const struct io *io, int fd, const void *data, size_t n);
	int (*fsync)(const struct io *io, int fd);
	int (*fdatasync)(const struct io *io, int fd);
	/* No sync: says nothing of what is durable. Of IO_BEGIN_WRITE bytes or more. */
	int (*begin_write)(const struct io *io, int fd, off_t offset, off_t n);
	int (*ftruncate)(const struct io *io, int fd, off_t size);
	/* Blocks for n bytes from offset on, also behind the end of the file,
	 * which stays where it is. -EOPNOTSUPP also where that is of no use. */
	int (*allocate)(const struct io *io, int fd, off_t offset, off_t n);
	int (*fadvise)(const struct io *io, int fd, off_t offset, off_t n, int advice);
	int (*fstat)(const struct io *io, int fd, struct stat *st);
	int (*fstatat)(const struct io *io, int dirfd, const char *name, struct stat *st,
		       int flags);
	int (*mkdirat)(const struct io *io, int dirfd, const char *name, mode_t mode);
	int (*unlinkat)(const struct io *io, int dirfd, const char *name, int flags);
	int (*renameat2)(const struct io *io, int from_dirfd, const char *from, int to_dirfd,
			 const char *to, unsigned int flags);
	int (*flock)(const struct io *io, int fd, int operation);
	int (*list)(const struct io *io, int dirfd, io_name_fn each, void *ctx);
	int (*fchown)(const struct io *io, int fd, uid_t uid, gid_t gid);
	int (*fchmod)(const struct io *io, int fd, mode_t mode);
	int (*futimens)(const struct io *io, int fd, const struct timespec times[2]);
	/* The access lists of one to the other, also when it has none. 0 where
	 * the file system knows no such lists. */
	int (*copy_acl)(const struct io *io, int from, int to);
};

extern const struct io io_system;

/* Always adds O_CLOEXEC. The descriptor, or -errno. */
int io_open(const struct io *io, int dirfd, const char *name, int flags, mode_t mode);
int io_open_dir(const struct io *io, int dirfd, const char *name);

/* Closes *fd unless it is negative, and makes it -1. */
int io_close(const struct io *io, int *fd);

/* A descriptor that its table closes at the end of the scope, for one that
 * nothing can be lost with; base's cleanup_fd is for the system's alone. A
 * negative one is none; steal_fd() keeps it:
 *	cleanup_io_fd struct io_fd dir = {io, io_open_dir(io, AT_FDCWD, name)};
 */
struct io_fd {
	const struct io *io;
	int fd;
};

static inline void close_io_fd(struct io_fd *file)
{
	(void)io_close(file->io, &file->fd); /* nothing was written */
}
#define cleanup_io_fd __attribute__((cleanup(close_io_fd)))

/* Reads n bytes, or what there is before the end of the file. 0 or -errno. */
int io_pread_full(const struct io *io, int fd, void *buffer, size_t n, uint64_t offset,
		  size_t *got);

/* Writes it all: as one call where it fits into one (IO_WRITE_MOST). iov is used
 * up. 0 or -errno; then any part may have been written. */
int io_pwritev_full(const struct io *io, int fd, struct iovec *iov, size_t n, uint64_t offset);
int io_pwrite_full(const struct io *io, int fd, const void *data, size_t n, uint64_t offset);

/* Writes it all at the descriptor's own position (a pipe, stdout). */
int io_write_full(const struct io *io, int fd, const void *data, size_t n);

/* As the entry of the table. */
int io_allocate(const struct io *io, int fd, uint64_t offset, uint64_t n);

/* True: there was no room, on the disk or in what the user may have of it. */
bool io_is_full(int rc);

/* Once there are IO_BEGIN_WRITE bytes between *begun and end, their writing is begun, and
 * *begun is end. What fails is left to the sync, which tells. */
void io_begin_write(const struct io *io, int fd, uint64_t *begun, uint64_t end);

/* Opens, syncs and closes a directory. */
int io_sync_dir(const struct io *io, int dirfd, const char *name);

/* Renames within a directory; -EEXIST when the new name exists. The caller
 * holds what keeps others from making that name. */
int io_rename_noreplace(const struct io *io, int dirfd, const char *from, const char *to);

/* Makes a directory of that mode, and its missing parents (0777 less umask),
 * each synced into its own parent. 0 also when it is there already. */
int io_make_dirs(const struct io *io, const char *path, mode_t mode);

/* Copies n bytes from one file, from offset on, to the start of another.
 * -EIO when the source is shorter. */
int io_copy(const struct io *io, int from, uint64_t offset, uint64_t n, int to);

#endif
