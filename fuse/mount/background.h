/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The daemon in a process of its own, and the one that started it, which ends
 * when the mount answers. Knows nothing of what the daemon does.
 */
#ifndef BACKGROUND_H
#define BACKGROUND_H

#include <sys/types.h>

struct background {
	const char *mountpoint;
	dev_t device_below; /* of the mountpoint, before */
	pid_t daemon;       /* 0: this is the daemon */
	int ready_fd;       /* the daemon writes to it, the parent waits there */
};

/* Forks; before any thread is started. The daemon is in a session of its own,
 * and in the root directory. 0 or -errno: then nothing was started. */
int background_fork(struct background *background, const char *mountpoint);

/* In the daemon: stderr leads nowhere from here on, and the parent is told to
 * try the mount. -1 when the parent is gone: it was interrupted, and the mount
 * is not wanted. Closes ready_fd. */
int background_announce(int ready_fd);

/* In the parent: waits until the mount answers, or its daemon is dead. 0, or -1
 * when the daemon or one line on stderr has said what is wrong. */
int background_await(const struct background *background);

#endif
