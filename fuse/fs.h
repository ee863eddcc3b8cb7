/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The mounted store: what all parts of datawalfs share, which lock guards
 * what, and in which order locks are taken. Knows nothing of requests.
 *
 * Locks, in the order in which they are taken (any may be left out):
 *
 *   write_lock   serialises everything that appends to the log, together with
 *                the change of the tree that belongs to it: a Put can never
 *                follow the tombstone of the name it was meant for. Held over
 *                the append (the log has one writer anyway), never over a
 *                sync but that of a failed write's cut back and of a new
 *                segment: an operation that needs another one gives the
 *                lock back, see txn_unlock(), and a large one is written
 *                ahead without it.
 *   stage->lock  the staged bytes of one file. Held over its commit.
 *   tree.lock    names, lookup counts, handle counts, attributes, the list of
 *                stages. Never held over I/O.
 *   errands.lock, compaction.lock  innermost of all (errands.h, compaction.h).
 *
 * No reply is sent under a lock, except that forget needs none.
 */
#ifndef FS_H
#define FS_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "compaction.h"
#include "datawal.h"
#include "errands.h"
#include "errmap.h"
#include "tree/node.h"

struct fuse_session;
struct damage;
struct dir_handle;
struct handle;
struct logdir;
struct stage;
struct unfinished;

/* How much of the history stays, by itself (history=). */
struct history_limit {
	enum { HISTORY_AUTO, HISTORY_ALL, HISTORY_NONE, HISTORY_BYTES, HISTORY_AGE } kind;
	uint64_t value; /* dead bytes, or seconds */
};

/* What a mount was asked for; zero is not always the default: see
 * fs_options_init(). */
struct fs_options {
	char *log_dir;    /* absolute path */
	char *mountpoint; /* absolute path */
	bool read_only;
	bool create;
	bool strict;
	bool degraded;           /* read_only: what is intact of a damaged log */
	enum dwal_verify verify; /* what of sealed segments is read when it is mounted */
	bool sync;               /* every close, unlink, rename durable before it returns */
	bool noclock;            /* write no times of operations */
	bool noxattr;            /* extended attributes are neither shown nor taken */
	bool showlog;            /* .log is listed at the root */
	uint32_t commit_seconds; /* sync by itself this often */
	uint32_t lock_wait_ms;   /* for another writer's lock */
	uint64_t segment_size;   /* bytes */
	bool noatime;            /* reading changes no access time */
	bool nodiratime;         /* the same for directories */
	uint64_t rename_limit;   /* bytes that one rename of a directory may write */
	uint64_t stage_limit;    /* bytes of content that is not in the log, mount-wide */
	struct history_limit history;
	uid_t uid; /* owner of everything unless told otherwise */
	gid_t gid;
	mode_t umask;
	uint32_t max_read; /* bytes; 0: as much as the kernel asks for */
};

#define FS_COMMIT_SECONDS 5u
#define FS_LOCK_WAIT_MS   3000u
#define FS_SEGMENT_SIZE   ((uint64_t)64 << 20)
#define FS_RENAME_LIMIT   ((uint64_t)256 << 20)
#define FS_STAGE_LIMIT    ((uint64_t)1 << 30)

struct fs {
	struct fs_options opt; /* constant once open */
	dwal_kv *kv;
	int dir_fd;                    /* the log directory, for .log and df */
	struct unfinished *unfinished; /* unfinished.c (uthash); constant once open */
	struct logdir *logdir;         /* log/logdir.h; constant once open */
	struct fuse_session *session;  /* set once it is mounted, before the first request */
	struct timespec started;

	pthread_mutex_t write_lock;
	struct timespec found; /* the active segment's own time, to be said; by write_lock */
	bool has_found;
	atomic_uint_fast64_t unsynced; /* bytes that were appended since the last sync */

	struct tree tree;        /* what is shown; its lock protects the lists as well */
	struct stage *stages;    /* all of them (DL list) */
	struct handle *handles;  /* open files (DL list) */
	struct dir_handle *dirs; /* open directories (DL list) */

	atomic_int_fast64_t absent_told;     /* monotonic ms: the kernel heard of an absent name */
	atomic_uint_fast64_t staged_bytes;   /* in memory and not in the log: at most the limit */
	atomic_uint_fast64_t clean_bytes;    /* in memory and in the log */
	atomic_uint_fast64_t failed_commits; /* since mount, not counting retries that worked */

	struct damage *damage; /* found while mounted (DL list); by the tree's lock, as the next */
	uint64_t damage_count;
	void (*tell)(void *ctx, const char *line); /* to who runs the mount; set before the first */
	void *tell_ctx;                            /* request. Any thread, no lock but a stage's */

	struct errands errands;       /* done by the background thread */
	struct compaction compaction; /* done by a thread of its own */
};

/* Sets the defaults above, and the calling process's user, group and umask. */
void fs_options_init(struct fs_options *options);
void fs_options_release(struct fs_options *options);

/* For mount/store.c. options is taken over, also when there is no memory: then
 * NULL. The tree is all zero. */
struct fs *fs_new(struct fs_options *options);
void fs_free(struct fs *fs);

/* Would a change of anything be written? 0, EROFS on a read-only mount, or the
 * errno of a log that takes nothing any more. Under any lock. */
int fs_refuses(const struct fs *fs);

#endif
