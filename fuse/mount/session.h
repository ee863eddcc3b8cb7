/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The connection to the kernel: made, served, looked at, and cut. Does not know
 * when, nor what a request means.
 *
 * No thread of this process ever touches a file of the mount. One that waits
 * for an answer of its own process keeps /dev/fuse open when that process is
 * killed: the kernel then never gives up on the mount, and the process, with
 * the lock on the log, is there for good. What must be done on the mount is done
 * by processes that do not have /dev/fuse open.
 */
#ifndef SESSION_H
#define SESSION_H

#include "fs.h"
#include "mount/options.h"

struct session {
	struct fuse_session *fuse; /* NULL: none was made */
	const char *mountpoint;
	dev_t device; /* the mount's; 0 while there is none */
};

/* Mounts fs as the request says, and sets fs->session. 0, or -1 when one line on
 * stderr has said what is wrong: then too there is a session to be ended. No
 * other thread may run. */
int session_mount(struct session *session, struct fs *fs, const struct request *request);

/* Serves requests until the mount is gone or session_end_loop() was called. 0
 * or -errno. */
int session_loop(struct session *session, bool single_thread);

/* Ends the loop when it comes back from its wait the next time. Any thread. */
void session_end_loop(struct session *session);

/* Not unmounted, also not lazily, and nothing mounted on top of it? Any thread. */
bool session_is_mounted(const struct session *session);

/* Has the kernel write back what was stored through shared mappings, while
 * requests are served. 0, or -1 when that did not succeed. */
int session_write_back(const struct session *session);

/* Cuts the connection and takes the mount away, if it is there. Where it is
 * not, spare_fd takes the place of /dev/fuse, if it is a descriptor: one that
 * nothing comes from. */
void session_unmount(struct session *session, int spare_fd);

/* Ends the session; nothing of it is served any more. */
void session_release(struct session *session);

/* The device of what is mounted on path, 0 when that cannot be told. Sends no
 * request to a mount there. */
dev_t session_device_on(const char *path);

#endif
