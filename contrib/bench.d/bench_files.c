/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bench_files OPERATION DIR N SIZE [CLIENTS]: does one thing with N files of SIZE bytes
 * in a directory, or with so many in each of several, a process for each, and prints
 * the nanoseconds of the clock for each file of all of them. In this order:
 *
 *   create      with its content, in pieces of 1 MiB
 *   list        reading the directory, and stat of each
 *   read        its content, which this mount has no copy of
 *   overwrite   emptied and written again
 *   rename      in the same directory
 *   unlink      what was renamed
 *   mkdir
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PIECE ((size_t)1 << 20)

struct job {
	int dir;
	unsigned n;
	size_t size;
	char *piece;
};

static void check(bool done, const char *what)
{
	if (!done)
		fail(what, strerror(errno));
}

struct name {
	char text[24];
};

static struct name name_of(const char *kind, unsigned number)
{
	struct name name;

	(void)snprintf(name.text, sizeof(name.text), "%.8s-%08u", kind, number);
	return name;
}

static void write_file(const struct job *job, unsigned i, int flags)
{
	struct name name = name_of("file", i);
	int fd = openat(job->dir, name.text, O_WRONLY | flags, 0666);

	check(fd >= 0, name.text);
	for (size_t left = job->size, n; left > 0; left -= n) {
		n = left < PIECE ? left : PIECE;
		check(write(fd, job->piece, n) == (ssize_t)n, name.text);
	}
	check(close(fd) == 0, name.text);
}

static void do_create(const struct job *job)
{
	for (unsigned i = 0; i < job->n; i++)
		write_file(job, i, O_CREAT | O_EXCL);
}

static void do_overwrite(const struct job *job)
{
	for (unsigned i = 0; i < job->n; i++)
		write_file(job, i, O_TRUNC);
}

static void do_list(const struct job *job)
{
	int fd = openat(job->dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	struct stat attr;
	unsigned n = 0;

	check(dir, "list");
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.') {
			check(fstatat(fd, entry->d_name, &attr, AT_SYMLINK_NOFOLLOW) == 0, "stat");
			n++;
		}
	closedir(dir);
	if (n != job->n)
		fail("list", "another number of files");
}

static void do_read(const struct job *job)
{
	for (unsigned i = 0; i < job->n; i++) {
		struct name name = name_of("file", i);
		int fd = openat(job->dir, name.text, O_RDONLY);
		size_t size = 0;
		ssize_t n = 0;

		check(fd >= 0, name.text);
		while (size < job->size && (n = read(fd, job->piece, PIECE)) > 0)
			size += (size_t)n;
		check(n >= 0 && close(fd) == 0, name.text);
		if (size != job->size)
			fail(name.text, "another size");
	}
}

static void do_rename(const struct job *job)
{
	for (unsigned i = 0; i < job->n; i++) {
		struct name old = name_of("file", i), new = name_of("renamed", i);

		check(renameat(job->dir, old.text, job->dir, new.text) == 0, new.text);
	}
}

static void do_unlink(const struct job *job)
{
	for (unsigned i = 0; i < job->n; i++) {
		struct name name = name_of("renamed", i);

		check(unlinkat(job->dir, name.text, 0) == 0, name.text);
	}
}

static void do_mkdir(const struct job *job)
{
	for (unsigned i = 0; i < job->n; i++) {
		struct name name = name_of("dir", i);

		check(mkdirat(job->dir, name.text, 0777) == 0, name.text);
	}
}

/* Before it is read: what was written may be in this mount's cache. What is below the
 * mount keeps its own, and so does a directory that is no mount of FUSE. */
static void drop_cache(const struct job *job)
{
	struct statfs found;

	check(fstatfs(job->dir, &found) == 0, "statfs");
	for (unsigned i = 0; found.f_type == FUSE_SUPER_MAGIC && i < job->n; i++) {
		struct name name = name_of("file", i);
		int fd = openat(job->dir, name.text, O_RDONLY);

		check(fd >= 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, name.text);
		check(close(fd) == 0, name.text);
	}
}

static const struct operation {
	const char *name;
	void (*run)(const struct job *job);
	void (*before)(const struct job *job);
} operations[] = {
	{.name = "create", .run = do_create},
	{.name = "list", .run = do_list},
	{.name = "read", .run = do_read, .before = drop_cache},
	{.name = "overwrite", .run = do_overwrite},
	{.name = "rename", .run = do_rename},
	{.name = "unlink", .run = do_unlink},
	{.name = "mkdir", .run = do_mkdir},
};

static const struct operation *operation_named(const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	fail(name, "no such operation");
}

/* ---- clients: processes that begin together ---- */

/* The directory of one, in that of all; made by the first operation. */
static int open_own(const char *all, unsigned client)
{
	struct name name = name_of("client", client);
	int dir = open(all, O_RDONLY | O_DIRECTORY), own;

	check(dir >= 0, all);
	check(mkdirat(dir, name.text, 0777) == 0 || errno == EEXIST, name.text);
	own = openat(dir, name.text, O_RDONLY | O_DIRECTORY);
	check(own >= 0 && close(dir) == 0, name.text);
	return own;
}

/* Says that it is ready by closing its end of one pipe, and waits for the end of another. */
static void be_client(const struct operation *operation, const struct job *job, int ready, int go)
{
	char byte;

	if (operation->before)
		operation->before(job);
	close(ready);
	(void)!read(go, &byte, 1);
	operation->run(job);
	_exit(0);
}

static void start(const struct operation *operation, const struct job *job, const int ready[2],
		  const int go[2])
{
	pid_t pid = fork();

	check(pid >= 0, "fork");
	if (pid > 0)
		return;
	close(go[1]);
	close(ready[0]);
	be_client(operation, job, ready[1], go[0]);
}

static int64_t run(const struct operation *operation, struct job *job, const char *dir,
		   unsigned clients)
{
	int ready[2], go[2], status, failed = 0;
	int64_t began;
	char byte;

	check(pipe(ready) == 0 && pipe(go) == 0, "pipe");
	for (unsigned i = 0; i < clients; i++) {
		job->dir = open_own(dir, i);
		start(operation, job, ready, go);
		close(job->dir);
	}
	close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	began = now_ns();
	close(go[1]);
	while (wait(&status) > 0)
		failed += status != 0;
	began = now_ns() - began;
	if (failed)
		exit(1);
	return began;
}

int main(int argc, char **argv)
{
	const struct operation *operation;
	struct job job;
	unsigned clients;

	if (argc != 5 && argc != 6)
		fail("usage", "bench_files OPERATION DIR N SIZE [CLIENTS]");
	operation = operation_named(argv[1]);
	job.n = (unsigned)number_of(argv[3]);
	job.size = (size_t)number_of(argv[4]);
	job.piece = bytes_of(PIECE);
	clients = argc == 6 ? (unsigned)number_of(argv[5]) : 1;
	if (job.n == 0 || clients == 0)
		fail("usage", "at least one file and one client");
	printf("%.2f\n", (double)run(operation, &job, argv[2], clients) / job.n / clients);
	free(job.piece);
	return 0;
}
