/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reading and changing the bytes of a stage. When they become a Put is
 * publish.h's, and who has the file open is handle.h's business.
 *
 * Every function wants stage->lock and not the tree's, unless it says
 * otherwise. A change that succeeded shows in stat(2) at once.
 */
#ifndef FILE_CONTENT_H
#define FILE_CONTENT_H

#include "file/stage.h"

/* Less than is wanted only at the end. To piece->whole goes a reference, or NULL. */
int content_read(struct fs *fs, struct stage *stage, uint64_t offset, struct piece *piece);

enum content_write {
	CONTENT_WRITE,
	CONTENT_APPEND, /* at the end, whatever offset says */
	CONTENT_MAPPED, /* a page of a shared mapping comes back, stored into at any time before */
};

/* *put is less than n where the largest value ends. */
int content_write(struct fs *fs, struct stage *stage, const void *buffer, size_t n, uint64_t offset,
		  enum content_write how, size_t *put);

/* Bytes that are new are zero. EFBIG: beyond the largest value. */
int content_resize(struct fs *fs, struct stage *stage, uint64_t size);

/* fallocate(2): mode 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE. */
int content_allocate(struct fs *fs, struct stage *stage, int mode, off_t offset, off_t length);

/* Begins a fresh staging, with no bytes. Cannot fail. */
void content_start_fresh(struct fs *fs, struct stage *stage);

/* The same for the stage of a new node that nobody else has seen. Wants the
 * tree's lock alone. */
void content_start_new(struct fs *fs, struct stage *stage);

/* Goes back to the published content. The kernel believes the staged size until
 * it is told to forget the attributes. */
void content_drop_staging(struct fs *fs, struct stage *stage);

#endif
