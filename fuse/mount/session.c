/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is said to libfuse: options, the loop, and an unmount that hits no other
 * mount.
 */
#include "mount/session.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "complain.h"
#include "mount/confine.h"
#include "mount/loop.h"
#include "mount/messages.h"
#include "mount/refusal.h"
#include "ops/table.h"

/* Does the kernel check permissions? Then it asks for the attributes of a directory
 * before each operation in it, since it drops them after each change: without,
 * unlink is 1 request, not 2. Who mounts is the only one who gets in, unless others
 * are let in; and no mode is anything to him if he is root. */
static bool needs_permissions(const struct request *request)
{
	return request->permissions || request->others || !confine_is_above_modes();
}

/* Our own come first: what the user says of the same wins. */
static int add_arguments(const struct fs *fs, const struct request *request, struct fuse_args *args)
{
	cleanup_free char *options = NULL, *fsname = NULL;
	bool checks = needs_permissions(request), failed;
	char max_read[32];

	(void)snprintf(max_read, sizeof(max_read), "max_read=%" PRIu32, fs->opt.max_read);
	if (asprintf(&fsname, "fsname=%s", fs->opt.log_dir) < 0) {
		fsname = NULL; /* undefined otherwise */
		return -1;
	}
	failed = fuse_opt_add_opt_escaped(&options, fsname) ||
		 fuse_opt_add_opt(&options, "subtype=datawalfs") ||
		 (checks && fuse_opt_add_opt(&options, "default_permissions")) ||
		 (fs->opt.max_read && fuse_opt_add_opt(&options, max_read)) ||
		 (request->passed && fuse_opt_add_opt(&options, request->passed)) ||
		 (request->debug && fuse_opt_add_opt(&options, "debug")) ||
		 fuse_opt_add_arg(args, "datawalfs") || fuse_opt_add_arg(args, "-o") ||
		 fuse_opt_add_arg(args, options);
	return failed ? -1 : 0;
}

static int make_session(struct session *session, struct fs *fs, const struct request *request)
{
	const struct fuse_lowlevel_ops ops = ops_of(&fs->opt);
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);

	if (add_arguments(fs, request, &args) == 0)
		session->fuse = fuse_session_new(&args, &ops, sizeof(ops), fs);
	fuse_opt_free_args(&args);
	return session->fuse ? fuse_session_mount(session->fuse, session->mountpoint) : -1;
}

int session_mount(struct session *session, struct fs *fs, const struct request *request)
{
	struct refusal refusal;

	session->mountpoint = fs->opt.mountpoint;
	refusal_listen(&refusal);
	if (make_session(session, fs, request) != 0) {
		cleanup_free char *why = refusal_text(&refusal);

		complain("%s cannot be mounted on %s%s%s", fs->opt.log_dir, session->mountpoint,
			 why ? ": " : "", why ? why : "");
		return -1;
	}
	refusal_none(&refusal);
	session->device = session_device_on(session->mountpoint);
	fs->session = session->fuse;
	messages_of_libfuse_plain();
	return 0;
}

int session_loop(struct session *session, bool single_thread)
{
	if (single_thread)
		return fuse_session_loop(session->fuse);
	return loop_run(session->fuse);
}

void session_end_loop(struct session *session)
{
	fuse_session_exit(session->fuse);
}

dev_t session_device_on(const char *path)
{
	struct statx found;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, 0, &found) != 0)
		return 0;
	return makedev(found.stx_dev_major, found.stx_dev_minor);
}

bool session_is_mounted(const struct session *session)
{
	return session->device && session_device_on(session->mountpoint) == session->device;
}

/* In the child, with neither /dev/fuse nor the lock on the log. */
static int sync_mount(const char *path)
{
	int fd = close_range(STDERR_FILENO + 1, ~0U, 0) == 0 ? open(path, O_RDONLY | O_DIRECTORY)
							     : -1;

	return fd >= 0 && syncfs(fd) == 0 ? 0 : 1;
}

int session_write_back(const struct session *session)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(sync_mount(session->mountpoint));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid < 0 || status != 0 ? -1 : 0;
}

/* For the kernel the daemon is gone then, for libfuse the mount is. */
static bool hang_up(struct session *session, int spare_fd)
{
	return dup3(spare_fd, fuse_session_fd(session->fuse), O_CLOEXEC) >= 0;
}

/* libfuse unmounts by the path: only if the mount is there still, or when it has
 * been made to believe that it is not. */
void session_unmount(struct session *session, int spare_fd)
{
	if (session->fuse && (session_is_mounted(session) || hang_up(session, spare_fd)))
		fuse_session_unmount(session->fuse);
}

void session_release(struct session *session)
{
	if (session->fuse)
		fuse_session_destroy(session->fuse);
	session->fuse = NULL;
}
