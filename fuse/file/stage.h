/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The content of open files: what the log has of it, and the bytes that were
 * written since. There is one stage for each file that is open or has an
 * unpublished change; it belongs to the node, not to a handle. Here is its
 * life and its memory; content.h changes the bytes, publish.h makes them a Put.
 *
 * Content outlives its name. Who ends a name holds the node's stage from
 * before the append until the tree says so too; then the key leads elsewhere,
 * and the stage stays as long as the kernel knows the node. Of what the log
 * has, that is a place, not the bytes.
 *
 * A change begins a *staging*, which ends with one Put, or is dropped. A
 * staging that began with nothing (create, O_TRUNC, a size of 0) is *fresh*:
 * after a failed write in it nothing of it is published, and the old value
 * shows again. In any other what succeeded is published.
 *
 * What the log does not have yet is counted against the limit. What it has may
 * stay in memory, for reading and for the next change, while there is room: it
 * is dropped, never refused.
 *
 * Functions of this room return 0 or a positive errno, and take the locks that
 * they need themselves (fs.h), unless they say otherwise.
 */
#ifndef FILE_STAGE_H
#define FILE_STAGE_H

#include "file/whole.h"
#include "fs.h"

struct stage {
	struct stage *prev, *next; /* fs->stages; protected by the tree's lock */
	struct node *node;         /* constant; held */
	uint32_t users;            /* handles and running operations; by the tree's lock */
	uint32_t writers;          /* handles open for writing; by the tree's lock */
	struct timespec base_mtime, base_ctime; /* of what the log has; by the tree's lock */

	/* May be read without the lock that protects the rest: */
	atomic_bool dirty; /* not what the log has; implies loaded */
	atomic_int failed; /* errno of the write that spoilt a fresh staging, or by which the file
			      went */
	atomic_int retry;  /* errno of the commit that is to be tried again */

	pthread_mutex_t lock; /* protects the rest */
	dwal_value *base;     /* the published content, or NULL */
	struct bytes bytes;   /* the content, once loaded */
	size_t size;
	size_t touched;          /* of the capacity: bytes that ever held something */
	size_t counted;          /* in fs->staged_bytes */
	atomic_size_t clean;     /* in fs->clean_bytes: may be dropped */
	bool loaded;             /* bytes hold the content, else base does */
	struct whole *whole;     /* the content, not loaded but read to be handed out; or NULL */
	size_t unread;           /* of that, what was not handed out yet */
	bool fresh;              /* the staging began with nothing of the old content */
	bool any_close;          /* changed by path: any writer's close publishes */
	uint64_t generation;     /* number of the staging */
	struct timespec written; /* last write call */
};

/* A stage for node, made when it has none; to be put. With have_write_lock
 * the caller holds the write lock. ESTALE: the node is no more. */
int stage_get(struct fs *fs, struct node *node, bool have_write_lock, struct stage **out);
void stage_put(struct fs *fs, struct stage *stage);

/* The same for who has the tree's lock. EAGAIN: the tree and the store are
 * between two states, by somebody who has the write lock. */
int stage_use(struct fs *fs, struct node *node, struct stage **out);
void stage_unuse(struct fs *fs, struct stage *stage);

/* The handle that keeps the published content readable, whatever becomes of
 * the key. Wants the tree's lock. EAGAIN as above. */
int stage_open_base(struct fs *fs, const struct node *node, dwal_value **out);

/* The times of the node are those of what the log has. Wants the tree's lock. */
void stage_note_times(struct stage *stage);

/* The kernel knows the node no longer: nor does anybody need what was staged
 * in a file without a place. Wants the tree's lock. */
void stage_forgotten(struct fs *fs, struct node *node);

/* At the end of the mount. */
void stage_free_all(struct fs *fs);

/* The memory of a stage; these want stage->lock only. */

/* Before the content changes: has its first bytes (keep) in memory, and room
 * for so many in all (need), counted as not in the log. 0; ENOSPC beyond the
 * limit, or why the log could not be read: then all is as it was. */
int stage_prepare(struct fs *fs, struct stage *stage, size_t keep, size_t need);

/* Counts what the stage holds as what it is now: when it is no longer dirty,
 * its bytes may be dropped. */
void stage_settle(struct fs *fs, struct stage *stage);

/* Has the whole content in memory until all of it was handed out once: before any of it
 * is, all must be read, and need not be read again then. 0, also where there is no room
 * for that and nothing has changed, or why the log could not be read. */
int stage_read_whole(struct fs *fs, struct stage *stage);

/* Hands out a piece of stage->whole. */
void stage_hand_out(struct fs *fs, struct stage *stage, uint64_t offset, struct piece *piece);

/* Frees the bytes: the content is what the log has. */
void stage_release_memory(struct fs *fs, struct stage *stage);

/* The first n bytes of what the log has. */
int stage_read_base(struct fs *fs, const struct stage *stage, void *buffer, size_t n);

#endif
