/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A byte through a pipe says that there is something to try; its end, without
 * one, that the daemon is dead.
 */
#include "mount/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "complain.h"
#include "mount/session.h"

int background_fork(struct background *background, const char *mountpoint)
{
	dev_t device_below = session_device_on(mountpoint);
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	cleanup_fd int reading = fds[0], writing = fds[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	*background = (struct background){mountpoint, device_below, pid,
					  steal_fd(pid ? &reading : &writing)};
	if (pid)
		return 0;
	(void)setsid();    /* cannot fail in a new process */
	(void)!chdir("/"); /* all paths are absolute; if not, a directory stays busy */
	return 0;
}

int background_announce(int ready_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t told;

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null, fd); /* cannot fail for these */
	if (null > STDERR_FILENO)
		(void)close(null);
	told = write(ready_fd, "", 1);
	(void)close(ready_fd); /* a pipe */
	return told == 1 ? 0 : -1;
}

/* Did the daemon announce something to try? */
static bool is_announced(int ready_fd)
{
	ssize_t got;
	char byte;

	do {
		got = read(ready_fd, &byte, 1);
	} while (got < 0 && errno == EINTR);
	(void)close(ready_fd); /* a pipe */
	return got == 1;
}

static int try_mount(const struct background *background)
{
	struct stat st;

	if (stat(background->mountpoint, &st) == 0 && st.st_dev != background->device_below)
		return 0;
	complain("the mount on %s ended at once; the system log may tell why",
		 background->mountpoint);
	return -1;
}

/* It has said itself why, unless it was killed. */
static void bury(pid_t daemon)
{
	int status;

	while (waitpid(daemon, &status, 0) < 0)
		if (errno != EINTR)
			return;
	if (WIFSIGNALED(status))
		complain("the daemon died before the mount was there: %s",
			 strsignal(WTERMSIG(status)));
}

int background_await(const struct background *background)
{
	if (is_announced(background->ready_fd))
		return try_mount(background);
	bury(background->daemon);
	return -1;
}
