/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Loaded before datawalfs: lets a test stop it at a known place, so that a race
 * is not left to chance. tests/lib/gates.py is the other side.
 *
 * A place is a file in the directory GATES: `open` and other requests, before
 * anything is done for them; `append`, before records are written; `appended`,
 * when the records are written and the key leads to them, and nobody else
 * knows; `sync`, before a segment is synced; `rename`, before a file of the log
 * gets its name; `attr`, before attributes are told; `forget`, before the kernel
 * is told to forget them; `interrupt`, when the kernel has said that somebody waits no
 * more; `get`, before a value is read. Whoever comes to a place whose file is there writes its
 * name to the fifo `events` and waits while the test holds a lock on the file. With
 * a file `full` there is no room for records; with `broken` no segment can be
 * synced; with `itself` what is renamed is renamed onto itself, which the kernel
 * asks nobody for.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "environment.h"

static struct fuse_lowlevel_ops real;
static _Thread_local int has_appended;

static int open_in(const char *directory, const char *name, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open(path, flags | O_CLOEXEC);
}

static void pass(const char *place)
{
	const char *directory = given("GATES");
	int fd = directory ? open_in(directory, place, O_RDWR) : -1;
	int events;
	char line[32];

	if (fd < 0)
		return;
	events = open_in(directory, "events", O_RDWR | O_NONBLOCK); /* waits for nobody */
	snprintf(line, sizeof(line), "%s\n", place);
	if (write(events, line, strlen(line)) < 0 || flock(fd, LOCK_SH))
		abort();
	close(events);
	close(fd);
}

static int is_there(const char *name)
{
	const char *directory = given("GATES");
	int fd = directory ? open_in(directory, name, O_RDONLY) : -1;

	return fd >= 0 && close(fd) == 0;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	ssize_t (*write_all)(int, const struct iovec *, int, off64_t) = next("pwritev64");

	pass("append");
	if (is_there("full")) {
		errno = ENOSPC;
		return -1;
	}
	has_appended = 1;
	return write_all(fd, iov, n, offset);
}

/* What is one piece. */
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	struct iovec iov = {(void *)(uintptr_t)data, size};

	return pwritev64(fd, &iov, 1, offset);
}

int fdatasync(int fd)
{
	int (*sync)(int) = next("fdatasync");

	pass("sync");
	if (is_there("broken")) {
		errno = EIO;
		return -1;
	}
	return sync(fd);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	int (*rename)(int, const char *, int, const char *, unsigned) = next("renameat2");

	pass("rename");
	return rename(from_dir, from, to_dir, to, flags);
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
	ssize_t (*read_all)(int, const struct iovec *, int, off64_t, int) = next("preadv64v2");

	pass("get");
	return read_all(fd, iov, n, offset, flags);
}

/* The one that ends the change of the index is the first behind the write. */
int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	int (*unlock)(pthread_rwlock_t *) = next("pthread_rwlock_unlock");
	int error = unlock(lock);

	if (has_appended) {
		has_appended = 0;
		pass("appended");
	}
	return error;
}

static void gated_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	pass("open");
	real.open(req, ino, fi);
}

static void gated_readlink(fuse_req_t req, fuse_ino_t ino)
{
	pass("readlink");
	real.readlink(req, ino);
}

static void gated_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	pass("read");
	real.read(req, ino, size, offset, fi);
}

static void gated_write(fuse_req_t req, fuse_ino_t ino, const char *buffer, size_t size,
			off_t offset, struct fuse_file_info *fi)
{
	pass("write");
	real.write(req, ino, buffer, size, offset, fi);
}

static void gated_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
			 const char *newname, unsigned int flags)
{
	int itself = is_there("itself");

	real.rename(req, parent, name, itself ? parent : newparent, itself ? name : newname, flags);
}

int fuse_reply_attr(fuse_req_t req, const struct stat *attr, double seconds)
{
	int (*reply)(fuse_req_t, const struct stat *, double) = next("fuse_reply_attr");

	pass("attr");
	return reply(req, attr, seconds);
}

int fuse_lowlevel_notify_inval_inode(struct fuse_session *session, fuse_ino_t ino, off_t offset,
				     off_t length)
{
	int (*notify)(struct fuse_session *, fuse_ino_t, off_t, off_t) =
		next("fuse_lowlevel_notify_inval_inode");

	pass("forget");
	return notify(session, ino, offset, length);
}

int fuse_session_receive_buf(struct fuse_session *session, struct fuse_buf *request)
{
	int (*receive)(struct fuse_session *, struct fuse_buf *) = next("fuse_session_receive_buf");
	int r = receive(session, request);

	if (r > 0 && ((struct fuse_in_header *)request->mem)->opcode == FUSE_INTERRUPT)
		pass("interrupt");
	return r;
}

struct fuse_session *fuse_session_new(struct fuse_args *args, const struct fuse_lowlevel_ops *ops,
				      size_t size, void *userdata)
{
	struct fuse_session *(*session_new)(struct fuse_args *, const struct fuse_lowlevel_ops *,
					    size_t, void *) = next("fuse_session_new");
	struct fuse_lowlevel_ops gated = *ops;

	real = *ops;
	gated.open = gated_open;
	gated.readlink = gated_readlink;
	gated.read = gated_read;
	gated.write = gated_write;
	gated.rename = gated_rename;
	return session_new(args, &gated, size, userdata);
}
