/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The memory of staged bytes. What the log does not have yet is counted
 * against the limit. What it has may stay in memory, for reading and for the
 * next change, while there is room: it is dropped, never refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "file/stage.h"

/* What memory is counted in: pages. That more is reserved costs nothing, as
 * long as it is not touched. */
static size_t pages(size_t bytes)
{
	return (bytes + 4095) & ~(size_t)4095;
}

/* A stage whose bytes are all in the log, with its lock and a use. One that is
 * busy right now is passed over. NULL: no other. */
static struct stage *take_clean(struct fs *fs, const struct stage *except)
{
	struct stage *stage;

	pthread_mutex_lock(&fs->lock);
	DL_FOREACH(fs->stages, stage)
	{
		if (stage != except && stage->clean && !pthread_mutex_trylock(&stage->lock)) {
			if (stage->clean)
				break;
			pthread_mutex_unlock(&stage->lock);
		}
	}
	if (stage)
		stage->users++;
	pthread_mutex_unlock(&fs->lock);
	return stage;
}

static void make_room(struct fs *fs, const struct stage *except)
{
	struct stage *stage;

	while (fs->clean_bytes && fs->staged_bytes + fs->clean_bytes > fs->opt.stage_limit &&
	       (stage = take_clean(fs, except))) {
		stage_memory_release(fs, stage);
		pthread_mutex_unlock(&stage->lock);
		stage_put(fs, stage);
	}
}

static void set_clean(struct fs *fs, struct stage *stage, size_t clean)
{
	fs->clean_bytes += (uint64_t)clean - stage->clean; /* modulo 2^64 */
	stage->clean = clean;
}

/* Counts so many bytes in all as not in the log. */
static int count(struct fs *fs, struct stage *stage, size_t bytes)
{
	uint64_t others, all = fs->staged_bytes;

	do {
		others = all - stage->counted;
		if (pages(bytes) > stage->counted && others + pages(bytes) > fs->opt.stage_limit)
			return ENOSPC;
	} while (!atomic_compare_exchange_weak(&fs->staged_bytes, &all, others + pages(bytes)));
	stage->counted = pages(bytes);
	return 0;
}

/* Room for so many bytes: powers of two, so that a growing file is copied a
 * bounded number of times (and large blocks are remapped, not copied). */
static int grow(struct stage *stage, size_t need)
{
	size_t capacity = stage->capacity ? stage->capacity : 4096;
	void *larger;

	if (need <= stage->capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	larger = realloc(stage->data, capacity);
	if (!larger)
		return ENOSPC;
	stage->data = larger;
	stage->capacity = capacity;
	return 0;
}

int stage_read_base(const struct stage *stage, void *buffer, size_t n)
{
	size_t got = 0;
	int r = 0;

	if (n && stage->base)
		r = errno_of(dwal_value_read(stage->base, 0, buffer, n, &got, NULL));
	return !r && got != n ? EIO : r;
}

int stage_prepare(struct fs *fs, struct stage *stage, size_t keep, size_t need)
{
	size_t most = need > keep ? need : keep;
	size_t touched = most > stage->touched ? most : stage->touched;
	int r = count(fs, stage, touched);

	if (!r) {
		set_clean(fs, stage, 0);
		make_room(fs, stage);
		r = grow(stage, most);
	}
	if (!r && !stage->loaded)
		r = stage_read_base(stage, stage->data, keep);
	if (r) {
		stage_settle(fs, stage);
		return r;
	}
	stage->loaded = true;
	stage->touched = touched;
	return 0;
}

void stage_settle(struct fs *fs, struct stage *stage)
{
	if (!stage->dirty && !stage->loaded) {
		stage_memory_release(fs, stage);
		return;
	}
	(void)count(fs, stage, stage->dirty ? stage->touched : 0); /* less never fails */
	/* Without a handle on what the log has, these bytes are all there is. */
	set_clean(fs, stage, stage->dirty || !stage->base ? 0 : pages(stage->touched));
}

void stage_memory_release(struct fs *fs, struct stage *stage)
{
	(void)count(fs, stage, 0);
	set_clean(fs, stage, 0);
	free(stage->data);
	stage->data = NULL;
	stage->capacity = 0;
	stage->touched = 0;
	stage->loaded = false;
}
