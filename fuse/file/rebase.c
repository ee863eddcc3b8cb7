/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The stages one by one, a few under the tree's lock at a time. What is let go
 * is closed without it: that can end a file of a segment.
 */
#include "file/rebase.h"

#include <stdlib.h>
#include <utlist.h>

#include "file/stage.h"
#include "tree/tree.h"

#define AT_ONCE 64

struct rebase {
	struct fs *fs;
	dwal_value *let_go[AT_ONCE];
	size_t let_go_count;
	uint64_t *held; /* old files of segments: id and generation; with doubles */
	size_t held_count, held_capacity;
};

/* The content of the same record, wherever that stands by now. Wants the tree's
 * lock and stage->lock. */
static void rebase(struct rebase *rebase, struct stage *stage)
{
	dwal_value *now = NULL;

	if (stage_open_base(rebase->fs, stage->node, &now) != 0 || !now)
		return;
	if (dwal_value_place(now).txid == dwal_value_place(stage->base).txid) {
		dwal_value *old = stage->base;

		stage->base = now;
		now = old;
	}
	rebase->let_go[rebase->let_go_count++] = now;
}

static bool is_old(struct fs *fs, const struct dwal_place *place)
{
	dwal_value *value;
	int r = dwal_kv_value_at(fs->kv, "", 0, place, &value);

	if (!r)
		dwal_value_close(value);
	return r == DWAL_EGONE;
}

/* Without memory the number is too small; it is looked at again. */
static void note_held(struct rebase *rebase, const struct dwal_place *place)
{
	if (rebase->held_count == rebase->held_capacity) {
		size_t more = rebase->held_capacity ? 2 * rebase->held_capacity : AT_ONCE;
		uint64_t *grown = reallocarray(rebase->held, more, sizeof(*grown));

		if (!grown)
			return;
		rebase->held = grown;
		rebase->held_capacity = more;
	}
	rebase->held[rebase->held_count++] = (uint64_t)place->segment << 32 | place->generation;
}

/* Wants the tree's lock. One that is busy is passed over, for this time. */
static void look_at(struct rebase *run, struct stage *stage)
{
	struct dwal_place place;

	if (pthread_mutex_trylock(&stage->lock) != 0)
		return;
	if (stage->base && stage->node->parent)
		rebase(run, stage);
	if (stage->base) {
		place = dwal_value_place(stage->base);
		if (is_old(run->fs, &place))
			note_held(run, &place);
	}
	pthread_mutex_unlock(&stage->lock);
}

/* The next few from this stage on, of which a use is given back: none for NULL,
 * the first. Returns where to go on, with a use. */
static struct stage *look_at_some(struct rebase *run, struct stage *from)
{
	struct fs *fs = run->fs;
	struct stage *stage;
	int seen = 0;

	tree_lock(&fs->tree);
	for (stage = from ? from : fs->stages; stage && seen < AT_ONCE; stage = stage->next, seen++)
		look_at(run, stage);
	if (stage)
		stage->users++;
	if (from)
		stage_unuse(fs, from);
	tree_unlock(&fs->tree);
	while (run->let_go_count)
		dwal_value_close(run->let_go[--run->let_go_count]);
	return stage;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static size_t count_different(uint64_t *all, size_t n)
{
	size_t different = 0;

	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; i < n; i++)
		different += i == 0 || all[i] != all[i - 1];
	return different;
}

size_t rebase_all(struct fs *fs)
{
	struct rebase run = {.fs = fs};
	struct stage *at = NULL;
	size_t held = 0;

	do {
		at = look_at_some(&run, at);
	} while (at);
	if (run.held_count)
		held = count_different(run.held, run.held_count);
	free(run.held);
	return held;
}
