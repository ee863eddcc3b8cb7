/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The content of open files: what the log has of it, what was written since,
 * and how the one becomes the other. There is one stage for each file that is
 * open or has an unpublished change; it belongs to the node, not to a handle.
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
 * Functions return 0 or a positive errno and take the locks they need
 * themselves (fs.h), unless they say otherwise.
 */
#ifndef STAGE_H
#define STAGE_H

#include "append.h"
#include "tree/tree.h"

struct stage {
	struct stage *prev, *next; /* fs->stages; protected by fs->lock */
	struct node *node;         /* constant; held */
	uint32_t users;            /* handles and running operations; by fs->lock */
	uint32_t writers;          /* handles open for writing; by fs->lock */

	pthread_mutex_t lock; /* protects the rest */
	dwal_value *base;     /* the published content, or NULL */
	struct timespec base_mtime;
	unsigned char *data; /* the content, once loaded */
	size_t size, capacity;
	size_t touched;          /* of the capacity: bytes that ever held something */
	size_t counted;          /* in fs->staged_bytes */
	atomic_size_t clean;     /* in fs->clean_bytes: may be dropped */
	bool loaded;             /* data holds the content, else base does */
	atomic_bool dirty;       /* not what the log has; implies loaded */
	bool fresh;              /* the staging began with nothing of the old content */
	bool any_close;          /* changed by path: any writer's close publishes */
	int failed;              /* errno of the write that spoilt a fresh staging */
	atomic_int retry;        /* errno of the commit that is to be tried again; may be
				  * read without the lock */
	uint64_t generation;     /* number of the staging */
	struct timespec written; /* last write call */
};

/* An open file. */
struct handle {
	struct handle *prev, *next; /* fs->handles */
	struct node *node;
	struct stage *stage;
	bool writable;
	atomic_bool read_before; /* the access time was seen to, or is not wanted */
	uint64_t wrote;          /* generation of the last staging it wrote in, by stage->lock */
	bool flushed;            /* a descriptor was closed since it last wrote; by stage->lock */
};

enum stage_start {
	STAGE_AS_IT_IS,
	STAGE_CREATED,   /* the node is new */
	STAGE_TRUNCATED, /* O_TRUNC */
};

int stage_open(struct fs *fs, struct node *node, bool writable, enum stage_start start,
	       struct handle **out);

/* RELEASE: publishes what no close could, when this was the last writer. A
 * failure is kept and tried again. Frees the handle. */
void stage_close(struct fs *fs, struct handle *handle);

/* FLUSH, that is close(2) of one descriptor: one Put if this handle wrote in
 * the staging. */
int stage_flush(struct fs *fs, struct handle *handle);

/* fsync(2): publishes any change of the file, and syncs. */
int stage_fsync(struct fs *fs, struct handle *handle);

/* *got is less than n only at the end. */
int stage_read(struct fs *fs, struct handle *handle, void *buffer, size_t n, off_t offset,
	       size_t *got);

enum stage_write {
	STAGE_WRITE,
	STAGE_APPEND, /* at the end, whatever offset says */
	STAGE_MAPPED, /* a page of a shared mapping comes back, stored into at any time before */
};

/* *put is less than n where the largest value ends. */
int stage_write(struct fs *fs, struct handle *handle, const void *buffer, size_t n, off_t offset,
		enum stage_write how, size_t *put);

/* handle may be NULL: truncate(2) by path, published before the return unless
 * somebody has the file open for writing. */
int stage_truncate(struct fs *fs, struct node *node, struct handle *handle, off_t size);

/* fallocate(2): mode 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE. */
int stage_allocate(struct fs *fs, struct handle *handle, int mode, off_t offset, off_t length);

/* A new file that nobody opens (mknod, symlink): one Put, now. */
int stage_publish_new(struct fs *fs, struct node *node, struct dwal_bytes content);

/* Another name for a file. */
struct stage_name {
	struct dwal_bytes new_key, old_key;
	const struct node *replaced; /* the node that has the new key now, or NULL */
	struct node *beside;         /* a directory of that key, new to the log, or NULL */
};

/* One write that makes node's content, staged or not, the value of the new key,
 * carrying its type and time, tells of the directory beside it, and takes the
 * old key back when it was published. Wants fs->write_lock. */
int stage_publish_as(struct fs *fs, struct node *node, const struct stage_name *name);

/* For the parts of this module; they want stage->lock and fs->write_lock. */

/* The Put that is owed. A failure is noted and leaves all as it is. */
int stage_commit(struct fs *fs, struct stage *stage);

/* The staging has ended with a Put of key. */
void stage_published(struct fs *fs, struct stage *stage, struct dwal_bytes key);

/* What was stored through mappings so far has come: what comes from now on was
 * stored behind the time that was set, or may have been. */
void stage_end_set_time(struct fs *fs, struct node *node);

/* Goes back to the published content. The kernel believes the staged size until
 * it is told to forget the attributes. */
void stage_drop_staging(struct fs *fs, struct stage *stage);

/* The memory of a stage (stage_memory.c); these want stage->lock only. */

/* Before the content changes: has its first bytes (keep) in memory, and room
 * for so many in all (need), counted as not in the log. 0; ENOSPC beyond the
 * limit, or why the log could not be read: then all is as it was. */
int stage_prepare(struct fs *fs, struct stage *stage, size_t keep, size_t need);

/* Counts what the stage holds as what it is now: when it is no longer dirty,
 * its bytes may be dropped. */
void stage_settle(struct fs *fs, struct stage *stage);

/* Frees the bytes: the content is what the log has. */
void stage_memory_release(struct fs *fs, struct stage *stage);

/* The first n bytes of what the log has. */
int stage_read_base(const struct stage *stage, void *buffer, size_t n);

/* A stage for node, made when it has none; to be put. With have_write_lock
 * the caller holds fs->write_lock. */
int stage_get(struct fs *fs, struct node *node, bool have_write_lock, struct stage **out);
void stage_put(struct fs *fs, struct stage *stage);

/* The kernel knows the node no longer: nor does anybody need what was staged
 * in a file without a place. Wants fs->lock. */
void stage_forgotten(struct fs *fs, struct node *node);

/* At the end of the mount: handles that the kernel never released, it is gone,
 * and all stages. */
void stage_free_all(struct fs *fs);

/* Tells the log of changed attributes: now, or with the Put that is owed. Of
 * a new directory, that it is there. Wants fs->write_lock; never takes a
 * stage's lock. */
int publish_attributes(struct fs *fs, struct node *node);

/* The log has the node's attributes, or no record of them is in force. */
void publish_told(struct fs *fs, struct node *node, bool recorded);

/* Takes the record of a directory back. Wants fs->write_lock. */
int publish_dir_gone(struct fs *fs, struct node *dir);

/* stage_commit() with its locks, again and again while it is put off. */
int stage_publish(struct fs *fs, struct stage *stage);

#endif
