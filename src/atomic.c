/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The file-system primitives: whole files or none, durable on return. Knows
 * nothing of logs.
 */
#include "atomic.h"

#include "file.h"
#include "path.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define TEMP_PREFIX ".datawal-"
#define TEMP_SUFFIX ".tmp"

/* Opens the directory that path is in. *name points into path; a path that
 * cannot be a file's is -EISDIR. The descriptor or -errno. */
static int open_parent(const struct io *io, const char *path, const char **name)
{
	cleanup_free char *parent = path_parent(path);
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	if (!parent)
		return -ENOMEM;
	if (!*path)
		return -ENOENT;
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return -EISDIR;
	*name = base;
	return io_open_dir(io, AT_FDCWD, parent);
}

/* False when an atomic_sweep() has taken it for left over. Where a file system
 * cannot lock, nothing is ever taken for that. */
static bool lock_temp(const struct atomic_file *file)
{
	int rc = file->io->flock(file->io, file->fd, LOCK_EX | LOCK_NB);

	return rc != -EWOULDBLOCK &&
	       file_is_named(file->io, file->dirfd, file->temp, file->fd) != 0;
}

/* The process id keeps names apart without waiting, O_EXCL makes it sure. */
static int create_temp(struct atomic_file *file, mode_t mode)
{
	for (unsigned n = 0;; n++) {
		snprintf(file->temp, sizeof(file->temp), TEMP_PREFIX "%ld-%u" TEMP_SUFFIX,
			 (long)getpid(), n);
		file->fd = io_open(file->io, file->dirfd, file->temp,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
		if (file->fd >= 0 && lock_temp(file))
			return 0;
		if (file->fd < 0 && file->fd != -EEXIST)
			return file->fd;
		(void)io_close(file->io, &file->fd); /* nothing was written */
	}
}

static void remove_left_over(const struct atomic_file *file, const char *name)
{
	const struct io *io = file->io;
	struct stat st;
	cleanup_io_fd struct io_fd left = {io, file_open(io, file->dirfd, name, O_RDONLY, &st)};

	if (left.fd >= 0 && st.st_uid == geteuid() &&
	    io->flock(io, left.fd, LOCK_EX | LOCK_NB) == 0 &&
	    file_is_named(io, file->dirfd, name, left.fd) == 1)
		(void)io->unlinkat(io, file->dirfd, name, 0); /* the next one tries again */
}

static int sweep_one(void *ctx, const char *name)
{
	const size_t len = strlen(name), prefix = strlen(TEMP_PREFIX), suffix = strlen(TEMP_SUFFIX);

	if (len > prefix + suffix && strncmp(name, TEMP_PREFIX, prefix) == 0 &&
	    strcmp(name + len - suffix, TEMP_SUFFIX) == 0)
		remove_left_over(ctx, name);
	return 0;
}

void atomic_sweep(const struct atomic_file *file)
{
	/* what cannot be listed is left as it is */
	(void)file->io->list(file->io, file->dirfd, sweep_one, (void *)(uintptr_t)file);
}

int atomic_begin(const struct io *io, const char *path, mode_t mode, struct atomic_file *out)
{
	struct atomic_file file = {.io = io, .fd = -1};
	int err;

	file.dirfd = open_parent(io, path, &file.name);
	if (file.dirfd < 0)
		return file.dirfd;
	err = create_temp(&file, mode);
	if (err) {
		(void)io_close(io, &file.dirfd); /* the first error is the one to tell */
		return err;
	}
	*out = file;
	return 0;
}

/* Two ways to never replace, neither of which every file system has. */
static int rename_to_new(struct atomic_file *file)
{
	int err = file->io->renameat2(file->io, file->dirfd, file->temp, file->dirfd, file->name,
				      RENAME_NOREPLACE);

	if (err != -EINVAL)
		return err;
	if (linkat(file->dirfd, file->temp, file->dirfd, file->name, 0))
		return -errno;
	return file->io->unlinkat(file->io, file->dirfd, file->temp, 0);
}

int atomic_commit(struct atomic_file *file, bool replace)
{
	const struct io *io = file->io;
	int err = io->fsync(io, file->fd);

	if (!err)
		err = replace ? io->renameat2(io, file->dirfd, file->temp, file->dirfd, file->name,
					      0)
			      : rename_to_new(file);
	if (err)
		return err;
	file->temp[0] = 0;
	err = io_close(io, &file->fd); /* not before: open, it is not taken for left over */
	return err ? err : io->fsync(io, file->dirfd);
}

void atomic_release(struct atomic_file *file)
{
	/* nothing of a file that goes away can be lost, nor is there a way to tell */
	if (file->temp[0])
		(void)file->io->unlinkat(file->io, file->dirfd, file->temp, 0);
	(void)io_close(file->io, &file->fd);
	(void)io_close(file->io, &file->dirfd);
}

static int write_whole(const char *path, const void *data, size_t len, bool replace)
{
	struct atomic_file file;
	int err = atomic_begin(&io_system, path, 0666, &file);

	if (err)
		return err;
	err = io_write_full(&io_system, file.fd, data, len);
	if (!err)
		err = atomic_commit(&file, replace);
	atomic_release(&file);
	return err;
}

int dwal_write_atomic(const char *path, const void *data, size_t len)
{
	return write_whole(path, data, len, true);
}

int dwal_write_once(const char *path, const void *data, size_t len)
{
	return write_whole(path, data, len, false);
}

static int append_and_sync(int fd, const void *data, size_t len)
{
	int err = io_write_full(&io_system, fd, data, len);
	int closed;

	if (!err)
		err = io_system.fsync(&io_system, fd);
	closed = io_close(&io_system, &fd);
	return err ? err : closed;
}

int dwal_write_append_fsync(const char *path, const void *data, size_t len)
{
	const char *name;
	cleanup_fd int dirfd = open_parent(&io_system, path, &name);
	int fd, err;

	if (dirfd < 0)
		return dirfd;
	fd = io_open(&io_system, dirfd, name, O_WRONLY | O_APPEND | O_CREAT, 0666);
	err = fd < 0 ? fd : append_and_sync(fd, data, len);
	return err ? err : io_system.fsync(&io_system, dirfd);
}

/* A symbolic link is itself what is renamed, and has no content to sync. */
static int sync_file(int dirfd, const char *name)
{
	cleanup_fd int fd = io_open(&io_system, dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0)
		return fd == -ELOOP ? 0 : fd;
	return io_system.fsync(&io_system, fd);
}

static int rename_between(int from_dir, const char *from, int to_dir, const char *to)
{
	int err = sync_file(from_dir, from);

	if (!err)
		err = io_system.renameat2(&io_system, from_dir, from, to_dir, to, 0);
	/* the new name first: a power cut may leave both, never none */
	if (!err)
		err = io_system.fsync(&io_system, to_dir);
	return err ? err : io_system.fsync(&io_system, from_dir);
}

int dwal_rename_atomic(const char *from, const char *to)
{
	const char *from_name, *to_name;
	cleanup_fd int from_dir = open_parent(&io_system, from, &from_name);
	cleanup_fd int to_dir = from_dir < 0 ? from_dir : open_parent(&io_system, to, &to_name);

	return to_dir < 0 ? to_dir : rename_between(from_dir, from_name, to_dir, to_name);
}

int dwal_fsync_dir(const char *path)
{
	return io_sync_dir(&io_system, AT_FDCWD, path);
}
