/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The checks before a mount. Must not create anything, and must not open the
 * log: the lock belongs to the process that serves the mount.
 */
#include "mount/mounting.h"

#include "cleanup.h"
#include "complain.h"
#include "directory.h"
#include "mounttable.h"
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define STALE_MOUNTS_MOST 16 /* one above the other, on one mountpoint */

extern char **environ;

static bool is_stale(const char *path)
{
	struct statvfs st; /* stat(2) can be answered from the kernel's cache */

	return statvfs(path, &st) != 0 && errno == ENOTCONN;
}

/* What only root may do itself, fusermount3 does for the user who mounted. */
static int unmount_lazily(const char *path)
{
	const char *const argv[] = {"fusermount3", "-u", "-z", "--", path, NULL};
	char *args[6];
	int status;
	pid_t pid;

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	memcpy(args, argv, sizeof(args));
	if (posix_spawnp(&pid, "fusermount3", NULL, NULL, args, environ) != 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* Takes mounts without a daemon off path. 0, or -1 when one is still there. */
static int clear_stale(const char *path)
{
	for (int i = 0; i < STALE_MOUNTS_MOST && is_stale(path); i++)
		if (unmount_lazily(path) != 0)
			break;
	return is_stale(path) ? -1 : 0;
}

/* Replaces *path by what it resolves to. */
static int make_real(char **path, bool may_be_absent)
{
	char *real = may_be_absent ? path_resolve(*path) : realpath(*path, NULL);

	if (!real) {
		complain("%s: %s", *path, strerror(errno));
		return -1;
	}
	free(*path);
	*path = real;
	return 0;
}

static bool is_same_directory(const char *a, const char *b)
{
	struct stat sta, stb;

	return stat(a, &sta) == 0 && stat(b, &stb) == 0 && sta.st_dev == stb.st_dev &&
	       sta.st_ino == stb.st_ino;
}

static int check_apart(const char *dir, const char *mountpoint)
{
	if (strcmp(dir, mountpoint) == 0 || is_same_directory(dir, mountpoint))
		complain("%s cannot be mounted on itself", dir);
	else if (path_is_within(dir, mountpoint))
		complain("the log directory %s lies below the mountpoint %s", dir, mountpoint);
	else if (path_is_within(mountpoint, dir))
		complain("the mountpoint %s lies below the log directory %s", mountpoint, dir);
	else
		return 0;
	return -1;
}

static int check_mountpoint(const char *path)
{
	struct stat st;
	int error = stat(path, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;

	if (!error || error == ENOTCONN)
		return 0;
	complain("mountpoint %s: %s", path, strerror(error));
	return -1;
}

static int check_not_mounted(const char *path)
{
	struct mount_entry found;

	if (!mounttable_find(path, &found))
		return 0;
	complain("%s is mounted on %s already: unmount it first (fusermount3 -u %s)", found.source,
		 path, path);
	return -1;
}

/* A log, or empty and so about to become one? */
static int check_is_log(const char *path)
{
	struct directory_look found;
	int err = directory_look(path, &found);

	if (err) {
		complain("log directory %s: %s", path, strerror(-err));
		return -1;
	}
	if (found.segment || !found.other) /* a creation that was interrupted leaves the rest */
		return 0;
	complain("%s is not a log: it has files, but no segment such as 00000001.dwal", path);
	return -1;
}

static int check_log_dir(const struct fs_options *options)
{
	struct stat st;

	if (stat(options->log_dir, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return check_is_log(options->log_dir);
		complain("log directory %s: not a directory", options->log_dir);
		return -1;
	}
	if (errno == ENOENT && options->create && !options->read_only)
		return 0;
	if (errno == ENOENT)
		complain("log directory %s does not exist%s", options->log_dir,
			 options->read_only ? "" : " (-o create makes it)");
	else
		complain("log directory %s: %s", options->log_dir, strerror(errno));
	return -1;
}

static int check_fuse(void)
{
	if (access("/dev/fuse", R_OK | W_OK) == 0)
		return 0;
	complain("/dev/fuse: %s%s", strerror(errno),
		 errno == ENOENT ? ": this kernel has no FUSE (try: modprobe fuse)" : "");
	return -1;
}

static int check_is_empty(const char *path)
{
	int found = directory_has_entries(AT_FDCWD, path);

	if (found == 0)
		return 0;
	if (found < 0)
		complain("mountpoint %s: %s", path, strerror(-found));
	else
		complain("mountpoint %s is not empty (-o nonempty hides what is in it)", path);
	return -1;
}

int mounting_enter(const char *mount_namespace)
{
	cleanup_fd int fd = open(mount_namespace, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && setns(fd, CLONE_NEWNS) == 0)
		return 0;
	complain("mount namespace %s: %s", mount_namespace, strerror(errno));
	return -1;
}

int mounting_check(struct request *request)
{
	struct fs_options *options = &request->fs;

	if (check_log_dir(options) != 0 || check_mountpoint(options->mountpoint) != 0 ||
	    make_real(&options->log_dir, options->create) != 0 ||
	    make_real(&options->mountpoint, false) != 0 ||
	    check_apart(options->log_dir, options->mountpoint) != 0 || check_fuse() != 0)
		return -1;
	if (clear_stale(options->mountpoint) != 0) {
		complain("the stale mount on %s cannot be cleared: unmount it first",
			 options->mountpoint);
		return -1;
	}
	if (check_not_mounted(options->mountpoint) != 0)
		return -1;
	return request->nonempty ? 0 : check_is_empty(options->mountpoint);
}
