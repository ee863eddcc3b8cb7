/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The writer's lock: an exclusive flock on .lock, then one on the directory,
 * so that removing .lock lets nobody in. Held by descriptors; the file's
 * existence means nothing. Must not know what the lock protects.
 */
#include "lock.h"
#include "clock.h"
#include "logname.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS      10
#define DIRECTORY_MS 1000 /* programs that tidy up lock directories for a moment */

/* The pid that holds a flock on this file, by /proc/locks; 0 if that does not
 * tell. */
static int holder_pid(const struct stat *file)
{
	cleanup_file FILE *f = fopen("/proc/locks", "re");
	char line[256];
	int found = 0;

	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned int major_no, minor_no;
		unsigned long inode;
		int pid;

		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major_no, &minor_no,
			   &inode) == 4 &&
		    inode == file->st_ino && major_no == major(file->st_dev) &&
		    minor_no == minor(file->st_dev))
			found = pid;
	}
	return found;
}

static int refuse(const struct io *io, int fd, const char *dir, struct dwal_error *error)
{
	struct stat st;
	char name[PROCESS_NAME_SIZE];
	int pid = 0;

	if (io->fstat(io, fd, &st) == 0)
		pid = holder_pid(&st);
	if (pid <= 0)
		return error_set(error, DWAL_ELOCKED, "%s: locked by another writer", dir);
	process_name(pid, name);
	(void)error_set(error, DWAL_ELOCKED, "%s: locked by another writer: pid %d (%s)%s", dir,
			pid, name, pid == getpid() ? ", this process" : "");
	if (error)
		error->holder_pid = pid;
	return DWAL_ELOCKED;
}

static int flock_until(const struct io *io, int fd, int64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	int rc;

	for (;;) {
		rc = io->flock(io, fd, LOCK_EX | LOCK_NB);
		if (rc != -EWOULDBLOCK && rc != -EINTR)
			return rc;
		if (rc == -EWOULDBLOCK && monotonic_ms() >= deadline_ms)
			return rc;
		(void)nanosleep(&pause, NULL); /* sooner is fine */
	}
}

static int open_file(const struct io *io, int dirfd, const struct file_like *like, struct lock *out)
{
	struct stat st;

	do {
		out->created = false;
		out->fd = file_open(io, dirfd, LOGNAME_LOCK, O_RDWR, &st);
		if (out->fd != -ENOENT)
			break;
		out->created = true;
		out->fd = file_create(io, dirfd, LOGNAME_LOCK, O_RDWR, like);
	} while (out->fd == -EEXIST);
	return out->fd < 0 ? out->fd : 0;
}

/* A refused open, or whoever tidies up, may have removed the file between our
 * open and our flock: then this is a lock on nothing. */
static bool is_current(const struct io *io, int dirfd, int fd)
{
	/* without an answer it is taken as good: trying again would not help */
	return file_is_named(io, dirfd, LOGNAME_LOCK, fd) != 0;
}

/* Opens and locks the file. On failure *out is closed, but for -EWOULDBLOCK:
 * it then leads to the holder. */
static int lock_file(const struct io *io, int dirfd, const struct file_like *like,
		     int64_t deadline_ms, struct lock *out)
{
	int rc;

	for (;;) {
		rc = open_file(io, dirfd, like, out);
		if (rc)
			return rc;
		rc = flock_until(io, out->fd, deadline_ms);
		if (rc == -EWOULDBLOCK || (!rc && is_current(io, dirfd, out->fd)))
			return rc;
		(void)io_close(io, &out->fd); /* nothing was written */
		if (rc)
			return rc;
	}
}

/* 0 also where the file system has no locks on directories. */
static int lock_directory(const struct io *io, int dirfd, int64_t deadline_ms, struct lock *lock)
{
	int rc = flock_until(io, dirfd, deadline_ms);

	lock->directory = !rc;
	return rc == -EWOULDBLOCK ? rc : 0;
}

int lock_acquire(const struct io *io, int dirfd, const char *dir, uint32_t wait_ms,
		 const struct file_like *like, struct lock *out, struct dwal_error *error)
{
	int64_t now = monotonic_ms();
	struct lock lock;
	int rc = lock_file(io, dirfd, like, now + wait_ms, &lock);

	if (!rc) {
		rc = lock_directory(io, dirfd,
				    now + (wait_ms > DIRECTORY_MS ? wait_ms : DIRECTORY_MS), &lock);
		if (!rc) {
			*out = lock;
			return 0;
		}
		rc = refuse(io, dirfd, dir, error);
		lock_remove_trace(io, dirfd, &lock);
	} else if (rc == -EWOULDBLOCK) {
		rc = refuse(io, lock.fd, dir, error);
	} else {
		(void)error_set(error, rc, "%s/" LOGNAME_LOCK ": cannot be locked: %s", dir,
				dwal_strerror(rc));
	}
	(void)io_close(io, &lock.fd); /* nothing was written */
	return rc;
}

int lock_renew(const struct io *io, int dirfd, const struct file_like *like, struct lock *lock)
{
	struct lock fresh = *lock;
	int rc = file_is_named(io, dirfd, LOGNAME_LOCK, lock->fd);

	if (rc)
		return rc > 0 ? 0 : rc;
	rc = lock_file(io, dirfd, like, 0, &fresh);
	if (rc) {
		(void)io_close(io, &fresh.fd); /* nothing was written */
		return rc == -EWOULDBLOCK ? DWAL_ELOCKED : rc;
	}
	(void)io_close(io, &lock->fd); /* a file without a name, or not ours */
	*lock = fresh;
	return 0;
}

void lock_remove_trace(const struct io *io, int dirfd, const struct lock *lock)
{
	if (lock->created)
		(void)io->unlinkat(io, dirfd, LOGNAME_LOCK, 0); /* it means nothing, if it stays */
}

int lock_release(const struct io *io, struct lock *lock)
{
	return io_close(io, &lock->fd);
}
