/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Staged bytes: reading and changing them.
 */
#include "file/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "file/damage.h"
#include "tree/nodeattr.h"

/* Lets stat(2) see the stage's size and time. Wants the tree's lock. */
static void show(struct fs *fs, struct stage *stage, struct timespec mtime)
{
	stage->node->size = (uint32_t)stage->size;
	nodeattr_touch(&fs->tree, stage->node, mtime);
}

static void changed(struct fs *fs, struct stage *stage)
{
	stage->dirty = true;
	stage->written = tree_now();
	tree_lock(&fs->tree);
	show(fs, stage, stage->written);
	tree_unlock(&fs->tree);
}

/* A time that was set after the bytes were stored stays. */
static void written_back(struct fs *fs, struct stage *stage)
{
	if (!node_use(stage->node)->time_set) {
		changed(fs, stage);
		return;
	}
	stage->dirty = true;
	tree_lock(&fs->tree);
	stage->node->size = (uint32_t)stage->size;
	nodeattr_written_back(stage->node);
	tree_unlock(&fs->tree);
}

/* Needs no memory: cannot fail. */
static void make_empty(struct fs *fs, struct stage *stage)
{
	stage_release_memory(fs, stage);
	stage->size = 0;
	stage->loaded = true;
}

static void begin_fresh(struct fs *fs, struct stage *stage)
{
	make_empty(fs, stage);
	stage->fresh = true;
	stage->failed = 0;
}

void content_start_fresh(struct fs *fs, struct stage *stage)
{
	begin_fresh(fs, stage);
	changed(fs, stage);
}

void content_start_new(struct fs *fs, struct stage *stage)
{
	begin_fresh(fs, stage);
	stage->dirty = true;
	stage->written = tree_now();
	show(fs, stage, stage->written);
}

void content_drop_staging(struct fs *fs, struct stage *stage)
{
	struct node *node = stage->node;

	stage_release_memory(fs, stage);
	stage->dirty = false;
	stage->fresh = false;
	stage->any_close = false;
	stage->retry = 0;
	stage->generation++;
	tree_lock(&fs->tree);
	if (!stage->base && node->parent) /* the last Put had no memory for it */
		(void)stage_open_base(fs, node, &stage->base);
	stage->size = stage->base ? dwal_value_size(stage->base) : 0;
	show(fs, stage, stage->base_mtime);
	(void)nodeattr_set_times(&fs->tree, node, stage->base_mtime,
				 stage->base_ctime); /* or almost so */
	node_use(node)->cache_stale = true;
	tree_unlock(&fs->tree);
}

static int read_staged(const struct stage *stage, uint64_t offset, struct piece *piece)
{
	memcpy(piece->buffer, stage->bytes.data + offset, piece->n);
	return 0;
}

/* A content that this piece is not all of is read as a whole, once. */
static int read_base(struct fs *fs, struct stage *stage, uint64_t offset, struct piece *piece)
{
	int r = 0;

	if (!stage->whole && piece->n < stage->size && !dwal_value_is_checked(stage->base))
		r = stage_read_whole(fs, stage);
	if (r)
		return r;
	if (!stage->whole)
		return damage_read(fs, stage->node, stage->base, offset, piece->buffer, piece->n,
				   &piece->n);
	stage_hand_out(fs, stage, offset, piece);
	return 0;
}

int content_read(struct fs *fs, struct stage *stage, uint64_t offset, struct piece *piece)
{
	uint64_t left = offset < stage->size ? stage->size - offset : 0;

	piece->bytes = piece->buffer;
	piece->whole = NULL;
	if (piece->n > left)
		piece->n = left;
	if (!piece->n)
		return 0;
	return stage->loaded ? read_staged(stage, offset, piece)
			     : read_base(fs, stage, offset, piece);
}

/* Zeros from the end to there. */
static void fill_up(struct stage *stage, size_t end)
{
	if (end > stage->size)
		memset(stage->bytes.data + stage->size, 0, end - stage->size);
}

static int resize(struct fs *fs, struct stage *stage, uint64_t size)
{
	int r;

	if (size > DWAL_MAX_PAYLOAD)
		return EFBIG;
	if (!size) {
		make_empty(fs, stage);
		stage->fresh |= !stage->dirty; /* begins with nothing, as with O_TRUNC */
		return 0;
	}
	r = stage_prepare(fs, stage, size < stage->size ? size : stage->size, size);
	if (r)
		return r;
	fill_up(stage, size);
	stage->size = size;
	return 0;
}

/* Notes what a failed write means for this staging. */
static int spoil(struct stage *stage, int r)
{
	if (r && stage->fresh)
		stage->failed = r;
	return r;
}

static int write_bytes(struct fs *fs, struct stage *stage, const void *buffer, size_t n,
		       uint64_t offset)
{
	uint64_t end = offset + n;
	int r = stage_prepare(fs, stage, stage->size, end);

	if (r)
		return r;
	fill_up(stage, offset);
	memcpy(stage->bytes.data + offset, buffer, n);
	if (end > stage->size)
		stage->size = end;
	return 0;
}

int content_write(struct fs *fs, struct stage *stage, const void *buffer, size_t n, uint64_t offset,
		  enum content_write how, size_t *put)
{
	int r = stage->failed;

	if (how == CONTENT_APPEND)
		offset = stage->size;
	if (!r && offset >= DWAL_MAX_PAYLOAD)
		r = spoil(stage, EFBIG);
	if (!r) {
		if (n > DWAL_MAX_PAYLOAD - offset)
			n = DWAL_MAX_PAYLOAD - offset;
		r = spoil(stage, write_bytes(fs, stage, buffer, n, offset));
	}
	if (r)
		return r;
	(how == CONTENT_MAPPED ? written_back : changed)(fs, stage);
	*put = n;
	return 0;
}

int content_resize(struct fs *fs, struct stage *stage, uint64_t size)
{
	int r = stage->failed;

	if (!r)
		r = spoil(stage, resize(fs, stage, size));
	if (!r)
		changed(fs, stage);
	return r;
}

/* Zeros where there is content; beyond its end nothing changes. */
static void clear_range(struct stage *stage, uint64_t offset, uint64_t end)
{
	if (end > stage->size)
		end = stage->size;
	if (offset < end)
		memset(stage->bytes.data + offset, 0, end - offset);
}

/* As on ext4 each success is a change, also one of nothing. */
int content_allocate(struct fs *fs, struct stage *stage, int mode, off_t offset, off_t length)
{
	uint64_t end = (uint64_t)offset + (uint64_t)length;
	bool grows = !(mode & FALLOC_FL_KEEP_SIZE);
	int r = stage->failed;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return EOPNOTSUPP;
	if (end > DWAL_MAX_PAYLOAD && !(mode & FALLOC_FL_PUNCH_HOLE))
		return EFBIG;
	if (!r)
		r = spoil(stage, stage_prepare(fs, stage, stage->size, grows ? end : 0));
	if (r)
		return r;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		clear_range(stage, (uint64_t)offset, end);
	if (grows && end > stage->size) {
		fill_up(stage, end);
		stage->size = end;
	}
	changed(fs, stage);
	return 0;
}
