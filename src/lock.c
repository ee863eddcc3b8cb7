/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The writer's lock: an exclusive flock on .lock, held by a descriptor. The
 * file's existence means nothing. Must not know what the lock protects.
 */
#include "lock.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 10

/* The pid that holds a flock on this file, by /proc/locks; 0 if that does not
 * tell. */
static int holder_pid(const struct stat *file)
{
	FILE *f = fopen("/proc/locks", "re");
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
	(void)fclose(f); /* only read */
	return found;
}

static void process_name(int pid, char *out, size_t size)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid); /* fits */
	f = fopen(path, "re");
	if (!f || !fgets(out, (int)size, f))
		(void)snprintf(out, size, "?");
	out[strcspn(out, "\n")] = '\0';
	if (f)
		(void)fclose(f); /* only read */
}

static int refuse(const struct io *io, int fd, const char *dir, struct dwal_error *error)
{
	struct stat st;
	char name[32];
	int pid = 0;

	if (io->fstat(io, fd, &st) == 0)
		pid = holder_pid(&st);
	if (pid <= 0)
		return error_set(error, DWAL_ELOCKED, "%s: locked by another writer", dir);
	process_name(pid, name, sizeof(name));
	(void)error_set(error, DWAL_ELOCKED, "%s: locked by another writer: pid %d (%s)%s", dir,
			pid, name, pid == getpid() ? ", this process" : "");
	if (error)
		error->holder_pid = pid;
	return DWAL_ELOCKED;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int flock_until(const struct io *io, int fd, uint64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	int rc;

	for (;;) {
		rc = io->flock(io, fd, LOCK_EX | LOCK_NB);
		if (rc != -EWOULDBLOCK && rc != -EINTR)
			return rc;
		if (rc == -EWOULDBLOCK && now_ms() >= deadline_ms)
			return rc;
		(void)nanosleep(&pause, NULL); /* sooner is fine */
	}
}

static int open_file(const struct io *io, int dirfd, struct lock *out)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW;

	out->created = true;
	out->fd = io_open(io, dirfd, LOCK_NAME, flags | O_EXCL, 0666);
	if (out->fd == -EEXIST) {
		out->created = false;
		out->fd = io_open(io, dirfd, LOCK_NAME, flags, 0666);
	}
	return out->fd < 0 ? out->fd : 0;
}

/* A refused open may have removed the file between our open and our flock:
 * then this is a lock on nothing. */
static bool is_current(const struct io *io, int dirfd, int fd)
{
	struct stat ours, named;
	int rc = io->fstatat(io, dirfd, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW);

	if (!rc)
		rc = io->fstat(io, fd, &ours);
	if (rc) /* without an answer it is taken as good: trying again would not help */
		return rc != -ENOENT;
	return ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

int lock_acquire(const struct io *io, int dirfd, const char *dir, uint32_t wait_ms,
		 struct lock *out, struct dwal_error *error)
{
	uint64_t deadline_ms = now_ms() + wait_ms;
	struct lock lock;
	int rc;

	for (;;) {
		rc = open_file(io, dirfd, &lock);
		if (rc)
			return error_set(error, rc, "%s: cannot open " LOCK_NAME ": %s", dir,
					 dwal_strerror(rc));
		rc = flock_until(io, lock.fd, deadline_ms);
		if (rc)
			break;
		if (is_current(io, dirfd, lock.fd)) {
			*out = lock;
			return 0;
		}
		(void)io_close(io, &lock.fd); /* nothing was written */
	}
	if (rc == -EWOULDBLOCK)
		rc = refuse(io, lock.fd, dir, error);
	else
		error_set(error, rc, "%s: cannot lock " LOCK_NAME ": %s", dir, dwal_strerror(rc));
	(void)io_close(io, &lock.fd); /* nothing was written */
	return rc;
}

void lock_remove_trace(const struct io *io, int dirfd, const struct lock *lock)
{
	if (lock->created)
		(void)io->unlinkat(io, dirfd, LOCK_NAME, 0); /* it means nothing, if it stays */
}

int lock_release(const struct io *io, struct lock *lock)
{
	return io_close(io, &lock->fd);
}
