/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Loaded before a program that writes a log: it dies, as by kill -9, at the call
 * number DIE_AT (from 1) that changes or syncs a file, so that no moment between
 * two calls is left to chance. DIE_HOW is `before` the call, `after` it, or `within`
 * it: then it is the first write of records from that call on, which is cut short,
 * as a kill can do it, by DIE_CUT bytes, or where that is all of it, by half.
 * Threads that would give way to all others do not, so that they are met as well.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h> /* renameat2() */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_ulong calls;
static unsigned long die_at, cut;
static char how; /* 'b', 'w' or 'a' */

__attribute__((constructor)) static void prepare(void)
{
	const char *at = getenv("DIE_AT"), *word = getenv("DIE_HOW"), *bytes = getenv("DIE_CUT");

	die_at = at ? strtoul(at, NULL, 10) : 0;
	cut = bytes ? strtoul(bytes, NULL, 10) : 0;
	how = word ? word[0] : 'b';
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Whether the process is to die behind this call. */
static int enter(void)
{
	int now = die_at && atomic_fetch_add(&calls, 1) + 1 == die_at;

	if (now && how == 'b')
		die();
	return now && how == 'a';
}

#define CALL(result, name, parameters, arguments)                   \
	result name parameters                                      \
	{                                                           \
		result(*real) parameters = dlsym(RTLD_NEXT, #name); \
		int last = enter();                                 \
		result value = real arguments;                      \
                                                                    \
		if (last)                                           \
			die();                                      \
		return value;                                       \
	}

CALL(int, fsync, (int fd), (fd))
CALL(int, fdatasync, (int fd), (fd))
CALL(int, ftruncate64, (int fd, off64_t size), (fd, size))
CALL(int, fallocate64, (int fd, int mode, off64_t offset, off64_t size), (fd, mode, offset, size))
CALL(int, unlinkat, (int dirfd, const char *name, int flags), (dirfd, name, flags))
CALL(int, mkdirat, (int dirfd, const char *name, mode_t mode), (dirfd, name, mode))
CALL(int, renameat2,
     (int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags),
     (from_dirfd, from, to_dirfd, to, flags))
CALL(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))

static size_t length(const struct iovec *iov, int n)
{
	size_t all = 0;

	for (int i = 0; i < n; i++)
		all += iov[i].iov_len;
	return all;
}

/* All but the end of it; then the end. */
static void write_short(int fd, const struct iovec *iov, int n, off64_t offset)
{
	ssize_t (*write_part)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
	size_t all = length(iov, n), left = cut < all ? all - cut : all / 2;

	for (int i = 0; i < n && left; i++) {
		size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

		if (write_part(fd, iov[i].iov_base, part, offset) != (ssize_t)part)
			break;
		offset += (off64_t)part;
		left -= part;
	}
	die();
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
	ssize_t (*real)(int, const struct iovec *, int, off64_t) = dlsym(RTLD_NEXT, "pwritev64");
	int last = enter();
	ssize_t value;

	if (how == 'w' && die_at && atomic_load(&calls) >= die_at)
		write_short(fd, iov, n, offset);
	value = real(fd, iov, n, offset);
	if (last)
		die();
	return value;
}

/* What is one piece. */
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	struct iovec iov = {(void *)(uintptr_t)data, size};

	return pwritev64(fd, &iov, 1, offset);
}

int openat64(int dirfd, const char *name, int flags, ...)
{
	int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, "openat64");
	mode_t mode = 0;
	__builtin_va_list list;
	int last, fd;

	if (flags & O_CREAT) {
		__builtin_va_start(list, flags);
		mode = __builtin_va_arg(list, mode_t);
		__builtin_va_end(list);
	}
	last = flags & O_CREAT ? enter() : 0;
	fd = real(dirfd, name, flags, mode);
	if (last)
		die();
	return fd;
}

int setpriority(__priority_which_t which, id_t who, int priority)
{
	return 0;
}
