/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The public file-system primitives: all or nothing, and nothing left behind.
 */
#include "atomic.h"
#include "datawal.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct unit_dir dir;

static char trace[256]; /* names of what was synced, and renames, as they came */

static void note(const char *call)
{
	size_t n = strlen(trace);

	(void)snprintf(trace + n, sizeof(trace) - n, "%s ", call); /* cut if long */
}

/* In the place of libc's: the primitives take no table of system calls. */
int fsync(int fd)
{
	char link[32], path[128];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	CHECK(n > 0);
	path[n] = '\0';
	note(strcmp(path, dir.path) == 0 ? "." : strrchr(path, '/') + 1);
	return (int)syscall(SYS_fsync, fd);
}

int renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags)
{
	note("rename");
	return (int)syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, flags);
}

static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir.path, name);
	return path;
}

static int count_names(void)
{
	DIR *stream = opendir(dir.path);
	int n = -2; /* "." and ".." */

	CHECK(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n;
}

static void check_content(const char *name, const char *wanted)
{
	char buffer[64];
	int fd = open(in_dir(name), O_RDONLY);
	ssize_t got = read(fd, buffer, sizeof(buffer));

	CHECK_INT(got, strlen(wanted));
	CHECK(memcmp(buffer, wanted, (size_t)got) == 0);
	close(fd);
}

static void write_atomic_replaces(void)
{
	dir = unit_dir_make();
	CHECK_INT(dwal_write_atomic(in_dir("a"), "one", 3), 0);
	check_content("a", "one");
	CHECK_INT(dwal_write_atomic(in_dir("a"), NULL, 0), 0);
	check_content("a", "");
	CHECK_INT(count_names(), 1);
	unit_dir_remove(&dir);
}

static void mode_of_a_new_file_is_by_umask(void)
{
	mode_t old = umask(027);
	struct stat st;

	dir = unit_dir_make();
	CHECK_INT(dwal_write_atomic(in_dir("a"), "x", 1), 0);
	CHECK_INT(dwal_write_once(in_dir("b"), "x", 1), 0);
	CHECK_INT(dwal_write_append_fsync(in_dir("c"), "x", 1), 0);
	for (const char *name = "abc"; *name; name++) {
		CHECK(stat(in_dir((char[]){*name, 0}), &st) == 0);
		CHECK_INT(st.st_mode & 0777, 0640);
	}
	umask(old);
	unit_dir_remove(&dir);
}

static void write_atomic_replaces_a_link_and_not_its_target(void)
{
	struct stat st;

	dir = unit_dir_make();
	CHECK_INT(dwal_write_once(in_dir("target"), "old", 3), 0);
	CHECK(symlink("target", in_dir("link")) == 0);
	CHECK_INT(dwal_write_atomic(in_dir("link"), "new", 3), 0);
	check_content("target", "old");
	check_content("link", "new");
	CHECK(lstat(in_dir("link"), &st) == 0 && S_ISREG(st.st_mode));
	unit_dir_remove(&dir);
}

static void failed_write_atomic_keeps_the_old_content_and_leaves_nothing(void)
{
	static char big[1 << 16];
	struct rlimit old, small;

	dir = unit_dir_make();
	CHECK_INT(dwal_write_atomic(in_dir("a"), "old", 3), 0);
	CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
	small = (struct rlimit){4096, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	CHECK_INT(dwal_write_atomic(in_dir("a"), big, sizeof(big)), -EFBIG);
	CHECK_INT(dwal_write_once(in_dir("b"), big, sizeof(big)), -EFBIG);
	CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	check_content("a", "old");
	CHECK_INT(count_names(), 1);
	unit_dir_remove(&dir);
}

/* Writes down what makes a file durable and gives it its name. */
struct recorder {
	struct io io;
	int dirfd;
	char calls[16];
	bool fail_file_sync;
};

static void record(const struct io *io, char call)
{
	char *calls = ((struct recorder *)(uintptr_t)io)->calls;

	calls[strlen(calls)] = call;
}

static int record_fsync(const struct io *io, int fd)
{
	const struct recorder *recorder = (const struct recorder *)io;

	record(io, fd == recorder->dirfd ? 'D' : 'F');
	if (recorder->fail_file_sync && fd != recorder->dirfd)
		return -EIO;
	return io_system.fsync(io, fd);
}

static int record_rename(const struct io *io, int from_dirfd, const char *from, int to_dirfd,
			 const char *to, unsigned flags)
{
	record(io, 'R');
	return io_system.renameat2(io, from_dirfd, from, to_dirfd, to, flags);
}

static void commit_syncs_the_file_then_renames_then_syncs_the_directory(void)
{
	struct recorder recorder = {.io = io_system};
	struct atomic_file file;

	dir = unit_dir_make();
	recorder.io.fsync = record_fsync;
	recorder.io.renameat2 = record_rename;
	for (int replace = 0; replace < 2; replace++) {
		memset(recorder.calls, 0, sizeof(recorder.calls));
		CHECK_INT(atomic_begin(&recorder.io, in_dir("a"), 0666, &file), 0);
		recorder.dirfd = file.dirfd;
		CHECK_INT(atomic_commit(&file, replace), 0);
		CHECK(strcmp(recorder.calls, "FRD") == 0);
		atomic_release(&file);
	}
	recorder.fail_file_sync = true;
	CHECK_INT(atomic_begin(&recorder.io, in_dir("b"), 0666, &file), 0);
	CHECK_INT(atomic_commit(&file, true), -EIO);
	atomic_release(&file);
	CHECK_INT(count_names(), 1);
	unit_dir_remove(&dir);
}

static void write_once_never_replaces_and_leaves_nothing_behind(void)
{
	dir = unit_dir_make();
	CHECK_INT(dwal_write_once(in_dir("a"), "one", 3), 0);
	CHECK_INT(dwal_write_once(in_dir("a"), "two", 3), -EEXIST);
	check_content("a", "one");
	CHECK_INT(count_names(), 1);
	CHECK(symlink("nowhere", in_dir("link")) == 0);
	CHECK_INT(dwal_write_once(in_dir("link"), "two", 3), -EEXIST);
	CHECK_INT(count_names(), 2);
	CHECK(access(in_dir("nowhere"), F_OK) != 0);
	unit_dir_remove(&dir);
}

static void append_creates_and_appends(void)
{
	dir = unit_dir_make();
	CHECK_INT(dwal_write_append_fsync(in_dir("a"), "one", 3), 0);
	CHECK_INT(dwal_write_append_fsync(in_dir("a"), "two", 3), 0);
	check_content("a", "onetwo");
	unit_dir_remove(&dir);
}

static void rename_replaces_and_crosses_directories(void)
{
	dir = unit_dir_make();
	CHECK(mkdir(in_dir("sub"), 0777) == 0);
	CHECK_INT(dwal_write_once(in_dir("a"), "one", 3), 0);
	CHECK_INT(dwal_write_once(in_dir("sub/b"), "two", 3), 0);
	CHECK_INT(dwal_rename_atomic(in_dir("a"), in_dir("sub/b")), 0);
	check_content("sub/b", "one");
	CHECK_INT(dwal_rename_atomic(in_dir("a"), in_dir("b")), -ENOENT);
	CHECK_INT(dwal_rename_atomic(in_dir("sub/b"), in_dir("none/b")), -ENOENT);
	check_content("sub/b", "one");
	CHECK_INT(dwal_fsync_dir(in_dir("sub")), 0);
	CHECK_INT(dwal_fsync_dir(in_dir("none")), -ENOENT);
	CHECK_INT(dwal_fsync_dir(in_dir("sub/b")), -ENOTDIR);
	unit_dir_remove(&dir);
}

static void check_trace(const char *wanted)
{
	if (strcmp(trace, wanted) != 0)
		fprintf(stderr, "wanted: %s\ngot:    %s\n", wanted, trace);
	CHECK(strcmp(trace, wanted) == 0);
	trace[0] = '\0';
}

static void append_rename_and_directory_are_durable_on_return(void)
{
	dir = unit_dir_make();
	CHECK(mkdir(in_dir("sub"), 0777) == 0);
	trace[0] = '\0';
	CHECK_INT(dwal_write_append_fsync(in_dir("a"), "one", 3), 0);
	check_trace("a . ");
	CHECK_INT(dwal_rename_atomic(in_dir("a"), in_dir("sub/b")), 0);
	check_trace("a rename sub . ");
	CHECK_INT(dwal_fsync_dir(in_dir("sub")), 0);
	check_trace("sub ");
	unit_dir_remove(&dir);
}

static void path_that_cannot_be_a_file_is_an_error(void)
{
	dir = unit_dir_make();
	CHECK_INT(dwal_write_atomic("", "x", 1), -ENOENT);
	CHECK_INT(dwal_write_atomic(in_dir("a/"), "x", 1), -EISDIR);
	CHECK_INT(dwal_write_once(dir.path, "x", 1), -EEXIST);
	CHECK_INT(dwal_write_atomic(in_dir("none/a"), "x", 1), -ENOENT);
	CHECK_INT(count_names(), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(write_atomic_replaces), UNIT(mode_of_a_new_file_is_by_umask),
	  UNIT(write_atomic_replaces_a_link_and_not_its_target),
	  UNIT(failed_write_atomic_keeps_the_old_content_and_leaves_nothing),
	  UNIT(write_once_never_replaces_and_leaves_nothing_behind),
	  UNIT(commit_syncs_the_file_then_renames_then_syncs_the_directory),
	  UNIT(append_creates_and_appends), UNIT(rename_replaces_and_crosses_directories),
	  UNIT(append_rename_and_directory_are_durable_on_return),
	  UNIT(path_that_cannot_be_a_file_is_an_error))
