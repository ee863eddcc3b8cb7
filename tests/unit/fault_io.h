/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A table of system calls that writes down what is called, fails the n-th
 * call, cuts writes short, and stops everything like a killed process.
 */
#ifndef FAULT_IO_H
#define FAULT_IO_H

#include "io.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#define FAULT_FDS 1024

struct fault_io {
	struct io io; /* first: a struct io * is cast back */
	pthread_mutex_t lock;
	unsigned calls;      /* that change or sync something, so far */
	unsigned fail_at;    /* the call of this number fails; 0: none */
	int fail_with;       /* with this -errno */
	bool dead;           /* every call from fail_at on fails */
	unsigned every;      /* calls of any kind, reads too */
	unsigned fail_every; /* the one of this number fails; 0: none */
	unsigned interrupt;  /* each so manieth call that may be interrupted is; 0: none */
	unsigned interruptible;
	size_t short_read;     /* read no more than so many bytes a call; 0: all */
	size_t short_write;    /* write no more than so many bytes a call; 0: all */
	bool no_sync;          /* do not really sync: for speed */
	const char *fail_name; /* fail only calls on names that contain this */
	char names[FAULT_FDS][40];
	char trace[1 << 16];
	void (*synced)(struct fault_io *fault, int fd, const char *name); /* a sync succeeded */
	void (*sync_failed)(struct fault_io *fault, int fd, const char *name);
	void (*created)(struct fault_io *fault, int fd, const char *name);
	void *hook_ctx;
};

static inline struct fault_io *fault_of(const struct io *io)
{
	return (struct fault_io *)(uintptr_t)io;
}

static inline void fault_note(struct fault_io *fault, const char *what, const char *name)
{
	size_t n = strlen(fault->trace);

	if (n + 128 < sizeof(fault->trace))
		snprintf(fault->trace + n, sizeof(fault->trace) - n, "%s %s\n", what, name);
}

/* These calls came in this order, whatever came between them. NULL ends them. */
static inline void fault_check_order(const struct fault_io *fault, const char *const *calls)
{
	const char *at = fault->trace;

	for (; *calls; calls++) {
		at = strstr(at, *calls);
		if (!at)
			fprintf(stderr, "missing: %s\ngot:\n%s", *calls, fault->trace);
		CHECK(at);
		at += strlen(*calls);
	}
}

/* Counts a call: 0, or the error it is to fail with. */
static inline int fault_enter(struct fault_io *fault, const char *what, const char *name)
{
	int rc;

	pthread_mutex_lock(&fault->lock);
	rc = ++fault->every == fault->fail_every ? fault->fail_with : 0;
	fault->calls++;
	fault_note(fault, what, name);
	if (fault->fail_at &&
	    (fault->calls == fault->fail_at || (fault->dead && fault->calls > fault->fail_at)))
		rc = fault->fail_with;
	if (fault->fail_name && strstr(name, fault->fail_name))
		rc = fault->fail_with;
	pthread_mutex_unlock(&fault->lock);
	return rc;
}

/* The same for a call that only looks: it is not in the trace, nor among calls. */
static inline int fault_look(struct fault_io *fault)
{
	int rc;

	pthread_mutex_lock(&fault->lock);
	rc = ++fault->every == fault->fail_every ? fault->fail_with : 0;
	pthread_mutex_unlock(&fault->lock);
	return rc;
}

static inline bool fault_interrupts(struct fault_io *fault)
{
	bool now;

	pthread_mutex_lock(&fault->lock);
	now = fault->interrupt && ++fault->interruptible % fault->interrupt == 0;
	pthread_mutex_unlock(&fault->lock);
	return now;
}

static inline int fault_open(const struct io *io, int dirfd, const char *name, int flags,
			     mode_t mode)
{
	struct fault_io *fault = fault_of(io);
	const char *shown = flags & O_DIRECTORY && name[0] != '.' ? "dir" : name;
	int rc;

	if (fault_interrupts(fault))
		return -EINTR;
	rc = fault_enter(fault, flags & O_CREAT ? "create" : "open", shown);
	if (!rc)
		rc = io_system.open(&io_system, dirfd, name, flags, mode);
	if (rc >= 0) {
		CHECK(rc < FAULT_FDS);
		snprintf(fault->names[rc], sizeof(fault->names[rc]), "%.39s", shown);
		if (flags & O_CREAT && fault->created)
			fault->created(fault, rc, name);
	}
	return rc;
}

static inline int fault_dup(const struct io *io, int fd)
{
	struct fault_io *fault = fault_of(io);
	int rc = fault_enter(fault, "dup", fault->names[fd]);

	if (!rc)
		rc = io_system.dup(&io_system, fd);
	if (rc >= 0) {
		CHECK(rc < FAULT_FDS);
		memcpy(fault->names[rc], fault->names[fd], sizeof(fault->names[rc]));
	}
	return rc;
}

/* Always closes, as Linux does; what it returns may still be an error. */
static inline int fault_close(const struct io *io, int fd)
{
	struct fault_io *fault = fault_of(io);
	int rc = fault_enter(fault, "close", fault->names[fd]);
	int real = io_system.close(&io_system, fd);

	return rc ? rc : real;
}

static inline ssize_t fault_pread(const struct io *io, int fd, void *buffer, size_t n, off_t offset)
{
	struct fault_io *fault = fault_of(io);
	int rc = fault_look(fault);

	if (fault_interrupts(fault))
		return -EINTR;
	if (fault->short_read && n > fault->short_read)
		n = fault->short_read;
	return rc ? rc : io_system.pread(&io_system, fd, buffer, n, offset);
}

static inline ssize_t fault_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
				    off_t offset)
{
	struct fault_io *fault = fault_of(io);
	struct iovec first = iov[0];
	int rc;

	if (fault_interrupts(fault))
		return -EINTR;
	rc = fault_enter(fault, "write", fault->names[fd]);
	if (rc && !fault->dead)
		return rc;
	if (!rc && !fault->short_write)
		return io_system.pwritev(&io_system, fd, iov, n, offset);
	/* A process that dies while writing may have written a part. */
	if (rc && fault->calls > fault->fail_at)
		return rc;
	if (fault->short_write && first.iov_len > fault->short_write)
		first.iov_len = fault->short_write;
	if (rc)
		first.iov_len /= 2;
	n = first.iov_len ? (int)io_system.pwritev(&io_system, fd, &first, 1, offset) : 0;
	return rc ? rc : n;
}

static inline ssize_t fault_write(const struct io *io, int fd, const void *data, size_t n)
{
	struct fault_io *fault = fault_of(io);
	int rc;

	if (fault_interrupts(fault))
		return -EINTR;
	rc = fault_enter(fault, "write", fault->names[fd]);
	return rc ? rc : io_system.write(&io_system, fd, data, n);
}

static inline int fault_sync(struct fault_io *fault, int fd, const char *what)
{
	int rc = fault_enter(fault, what, fault->names[fd]);

	if (!rc && !fault->no_sync)
		rc = io_system.fsync(&io_system, fd);
	if (!rc && fault->synced)
		fault->synced(fault, fd, fault->names[fd]);
	if (rc && fault->sync_failed)
		fault->sync_failed(fault, fd, fault->names[fd]);
	return rc;
}

static inline int fault_fsync(const struct io *io, int fd)
{
	return fault_sync(fault_of(io), fd, "fsync");
}

static inline int fault_fdatasync(const struct io *io, int fd)
{
	return fault_sync(fault_of(io), fd, "fdatasync");
}

static inline int fault_ftruncate(const struct io *io, int fd, off_t size)
{
	struct fault_io *fault = fault_of(io);
	int rc = fault_enter(fault, "ftruncate", fault->names[fd]);

	return rc ? rc : io_system.ftruncate(&io_system, fd, size);
}

static inline int fault_allocate(const struct io *io, int fd, off_t offset, off_t n)
{
	struct fault_io *fault = fault_of(io);
	int rc;

	if (fault_interrupts(fault))
		return -EINTR;
	rc = fault_enter(fault, "allocate", fault->names[fd]);
	return rc ? rc : io_system.allocate(&io_system, fd, offset, n);
}

/* No step of anything: nobody may rely on it. */
static inline int fault_begin_write(const struct io *io, int fd, off_t offset, off_t n)
{
	return -EIO;
}

static inline int fault_fadvise(const struct io *io, int fd, off_t offset, off_t n, int advice)
{
	struct fault_io *fault = fault_of(io);
	int rc = fault_enter(fault, "fadvise", fault->names[fd]);

	return rc ? rc : io_system.fadvise(&io_system, fd, offset, n, advice);
}

static inline int fault_fstat(const struct io *io, int fd, struct stat *st)
{
	int rc = fault_look(fault_of(io));

	return rc ? rc : io_system.fstat(&io_system, fd, st);
}

static inline int fault_fstatat(const struct io *io, int dirfd, const char *name, struct stat *st,
				int flags)
{
	int rc = fault_look(fault_of(io));

	return rc ? rc : io_system.fstatat(&io_system, dirfd, name, st, flags);
}

static inline int fault_mkdirat(const struct io *io, int dirfd, const char *name, mode_t mode)
{
	int rc = fault_enter(fault_of(io), "mkdir", "dir");

	return rc ? rc : io_system.mkdirat(&io_system, dirfd, name, mode);
}

static inline int fault_unlinkat(const struct io *io, int dirfd, const char *name, int flags)
{
	int rc = fault_enter(fault_of(io), "unlink", name);

	return rc ? rc : io_system.unlinkat(&io_system, dirfd, name, flags);
}

static inline int fault_renameat2(const struct io *io, int from_dirfd, const char *from,
				  int to_dirfd, const char *to, unsigned int flags)
{
	int rc = fault_enter(fault_of(io), "rename", to);

	return rc ? rc : io_system.renameat2(&io_system, from_dirfd, from, to_dirfd, to, flags);
}

static inline int fault_flock(const struct io *io, int fd, int operation)
{
	int rc;

	if (fault_interrupts(fault_of(io)))
		return -EINTR;
	rc = fault_enter(fault_of(io), "flock", fault_of(io)->names[fd]);
	return rc ? rc : io_system.flock(&io_system, fd, operation);
}

static inline int fault_list(const struct io *io, int dirfd, io_name_fn each, void *ctx)
{
	int rc = fault_enter(fault_of(io), "list", "dir");

	return rc ? rc : io_system.list(&io_system, dirfd, each, ctx);
}

static inline int fault_fchown(const struct io *io, int fd, uid_t uid, gid_t gid)
{
	int rc = fault_enter(fault_of(io), "fchown", fault_of(io)->names[fd]);

	return rc ? rc : io_system.fchown(&io_system, fd, uid, gid);
}

static inline int fault_futimens(const struct io *io, int fd, const struct timespec times[2])
{
	int rc = fault_enter(fault_of(io), "futimens", fault_of(io)->names[fd]);

	return rc ? rc : io_system.futimens(&io_system, fd, times);
}

static inline int fault_fchmod(const struct io *io, int fd, mode_t mode)
{
	int rc = fault_enter(fault_of(io), "fchmod", fault_of(io)->names[fd]);

	return rc ? rc : io_system.fchmod(&io_system, fd, mode);
}

static inline int fault_copy_acl(const struct io *io, int from, int to)
{
	int rc = fault_enter(fault_of(io), "acl", fault_of(io)->names[to]);

	return rc ? rc : io_system.copy_acl(&io_system, from, to);
}

static inline void fault_init(struct fault_io *fault)
{
	memset(fault, 0, sizeof(*fault));
	pthread_mutex_init(&fault->lock, NULL);
	fault->fail_with = -EIO;
	fault->io = (struct io){
		.open = fault_open,
		.dup = fault_dup,
		.close = fault_close,
		.pread = fault_pread,
		.pwritev = fault_pwritev,
		.write = fault_write,
		.fsync = fault_fsync,
		.fdatasync = fault_fdatasync,
		.begin_write = fault_begin_write,
		.ftruncate = fault_ftruncate,
		.allocate = fault_allocate,
		.fadvise = fault_fadvise,
		.fstat = fault_fstat,
		.fstatat = fault_fstatat,
		.mkdirat = fault_mkdirat,
		.unlinkat = fault_unlinkat,
		.renameat2 = fault_renameat2,
		.flock = fault_flock,
		.list = fault_list,
		.fchown = fault_fchown,
		.fchmod = fault_fchmod,
		.futimens = fault_futimens,
		.copy_acl = fault_copy_acl,
	};
}

#endif
