/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Open files: what open(2), read(2), write(2), close(2) and their like do to
 * the content of a node, and which of them makes it a Put.
 *
 * Functions want no lock, unless they say otherwise.
 */
#ifndef FILE_HANDLE_H
#define FILE_HANDLE_H

#include "file/content.h"

/* An open file. */
struct handle {
	struct handle *prev, *next; /* fs->handles; protected by the tree's lock */
	struct node *node;
	struct stage *stage;
	bool writable;
	atomic_bool read_before; /* the access time was seen to, or is not wanted */
	uint64_t wrote;          /* generation of the last staging it wrote in, by stage->lock */
	bool flushed;            /* a descriptor was closed since it last wrote; by stage->lock */
};

/* truncates: O_TRUNC. */
int handle_open(struct fs *fs, struct node *node, bool writable, bool truncates,
		struct handle **out);

/* For writing, of a node that is new. Wants the tree's lock. */
int handle_create(struct fs *fs, struct node *node, struct handle **out);

/* RELEASE: publishes what no close could, when this was the last writer. A
 * failure is kept and tried again. Frees the handle. */
void handle_close(struct fs *fs, struct handle *handle);

/* FLUSH, that is close(2) of one descriptor: one Put if this handle wrote in
 * the staging. */
int handle_flush(struct fs *fs, struct handle *handle);

/* fsync(2): publishes any change of the file, and syncs. */
int handle_fsync(struct fs *fs, struct handle *handle);

/* As content_read(), content_write() and content_allocate(). */
int handle_read(struct fs *fs, struct handle *handle, off_t offset, struct piece *piece);
int handle_write(struct fs *fs, struct handle *handle, const void *buffer, size_t n, off_t offset,
		 enum content_write how, size_t *put);
int handle_allocate(struct fs *fs, struct handle *handle, int mode, off_t offset, off_t length);

/* handle may be NULL: truncate(2) by path, published before the return unless
 * somebody has the file open for writing. */
int handle_truncate(struct fs *fs, struct node *node, struct handle *handle, off_t size);

/* A new file that nobody opens (mknod, symlink): one Put, now. */
int handle_publish_new(struct fs *fs, struct node *node, struct dwal_bytes content);

/* At the end of the mount: those that the kernel never released. It is gone. */
void handle_free_all(struct fs *fs);

#endif
