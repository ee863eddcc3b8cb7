/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Renaming a directory: many keys, one write. The library takes a write back
 * as a whole when it fails, so nothing has to be undone by hand.
 */
#include "file/rename_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/nodeattr.h"
#include "tree/number.h"
#include "tree/treename.h"
#include "txn.h"
#include "clock.h"
#include "file/damage.h"
#include "file/publish.h"

/* One file or directory that moves. */
struct move {
	struct node *node; /* stays: names change under the write lock only */
	char *old_key, *new_key;
	size_t old_len, new_len;
	void *content; /* of a file */
	size_t size;
	bool with_attr; /* has an attribute record as well, or is one */
};

struct moves {
	struct move *list;
	size_t count, capacity;
	uint64_t bytes;
	struct dwal_bytes old_key, new_key; /* of the directory itself */
	struct timespec when;
	const struct node *top;
	bool replaces;
};

static void release(struct moves *moves)
{
	for (size_t i = 0; i < moves->count; i++) {
		free(moves->list[i].old_key);
		free(moves->list[i].new_key);
		free(moves->list[i].content);
	}
	free(moves->list);
}

/* ------------------------------------------------- what is staged, first */

/* A staged file below top that has not been seen to, with a use of its stage. */
static struct stage *next_staged(struct fs *fs, struct node *top, struct node **at)
{
	struct stage *stage = NULL;

	tree_lock(&fs->tree);
	while (!stage && *at) {
		struct node *node = *at;
		*at = node_next(top, node);
		if (node_stage(node) && node_stage(node)->dirty) {
			stage = node_stage(node);
			stage->users++;
		}
	}
	tree_unlock(&fs->tree);
	return stage;
}

/* Rename is a commit point. A spoilt staging is left to its close. New files
 * can appear meanwhile, but no node goes: that needs write_lock. */
static int commit_staged(struct fs *fs, struct node *top)
{
	struct node *at = top;
	struct stage *stage;
	int r = 0;

	while (!r && (stage = next_staged(fs, top, &at))) {
		pthread_mutex_lock(&stage->lock);
		if (!stage->failed)
			r = publish_commit(fs, stage);
		pthread_mutex_unlock(&stage->lock);
		stage_put(fs, stage);
	}
	return r;
}

/* ------------------------------------------------------------- collecting */

static struct move *new_move(struct moves *moves)
{
	if (moves->count == moves->capacity) {
		size_t more = moves->capacity ? 2 * moves->capacity : 64;
		struct move *larger = reallocarray(moves->list, more, sizeof(*larger));
		if (!larger)
			return NULL;
		moves->list = larger;
		moves->capacity = more;
	}
	moves->list[moves->count] = (struct move){0};
	return &moves->list[moves->count++];
}

static char *concat(struct dwal_bytes head, const char *tail, size_t tail_len)
{
	char *both = malloc(head.len + tail_len + 1); /* never of no size */

	if (both) {
		memcpy(both, head.data, head.len);
		memcpy(both + head.len, tail, tail_len);
	}
	return both;
}

static int set_keys(struct fs *fs, struct moves *moves, struct move *move)
{
	char key[DWAL_MAX_KEY];
	const char *tail = key + moves->old_key.len;
	size_t tail_len;
	int r = tree_key(&fs->tree, move->node, key, &move->old_len);

	if (r)
		return r;
	tail_len = move->old_len - moves->old_key.len;
	move->new_len = moves->new_key.len + tail_len;
	if (move->new_len > DWAL_MAX_KEY)
		return ENAMETOOLONG;
	move->old_key = concat(moves->old_key, tail, tail_len);
	move->new_key = concat(moves->new_key, tail, tail_len);
	return move->old_key && move->new_key ? 0 : ENOMEM;
}

/* Would the Put of its new name give it other times? */
static bool has_other_times(const struct moves *moves, const struct node *node)
{
	return !timespec_equal(node_mtime(node), moves->when) ||
	       !timespec_equal(nodeattr_ctime(node), moves->when);
}

/* A directory's number and times are told in any case: so it has a record from
 * then on. */
static bool needs_record(const struct fs *fs, const struct moves *moves, const struct move *move)
{
	const struct node *node = move->node;

	return node_is_dir(node) || nodeattr_needs_record(node) ||
	       (!fs->opt.noclock && has_other_times(moves, node)) ||
	       number_is_own(node, (struct dwal_bytes){move->new_key, move->new_len});
}

static int add_move(struct fs *fs, struct moves *moves, struct node *node)
{
	struct move *move = new_move(moves);
	int r;

	if (!move)
		return ENOMEM;
	move->node = node;
	r = set_keys(fs, moves, move);
	if (r)
		return r;
	move->with_attr = needs_record(fs, moves, move);
	moves->bytes += move->old_len + move->new_len;
	if (!node_is_dir(node))
		moves->bytes += node_size(node);
	return moves->bytes > fs->opt.rename_limit ? EXDEV : 0;
}

/* Wants the tree's lock. */
static int collect(struct fs *fs, struct moves *moves, struct node *top)
{
	int r = 0;

	for (struct node *n = top; n && !r; n = node_next(top, n))
		if (node_is_dir(n) || n->published)
			r = add_move(fs, moves, n);
	return r;
}

static int read_contents(struct fs *fs, struct moves *moves)
{
	int r = 0;

	for (size_t i = 0; i < moves->count && !r; i++) {
		struct move *move = &moves->list[i];
		if (!node_is_dir(move->node))
			r = damage_get(fs, (struct dwal_bytes){move->old_key, move->old_len},
				       &move->content, &move->size);
	}
	return r;
}

/* ----------------------------------------------------------------- writing */

static void add_new_name(struct txn *txn, const struct moves *moves, const struct move *move)
{
	struct dwal_bytes key = {move->new_key, move->new_len};

	if (!node_is_dir(move->node))
		txn_move(txn, move->node, key, (struct dwal_bytes){move->content, move->size});
	if (move->with_attr)
		(move->node == moves->top ? txn_attr_moved : txn_attr)(txn, key, move->node);
}

static void add_end_of_old(struct txn *txn, const struct move *move)
{
	struct dwal_bytes key = {move->old_key, move->old_len};

	if (!node_is_dir(move->node))
		txn_delete(txn, key);
	else if (move->node->recorded)
		txn_no_attr(txn, key);
}

/* Wants the tree's lock. */
static void gather(struct txn *txn, const struct moves *moves)
{
	for (size_t i = 0; i < moves->count; i++)
		if (!node_is_dir(moves->list[i].node))
			add_new_name(txn, moves, &moves->list[i]);
	/* A directory's record behind all of its entries: these change its time. */
	for (size_t i = moves->count; i-- > 0;)
		if (node_is_dir(moves->list[i].node))
			add_new_name(txn, moves, &moves->list[i]);
	for (size_t i = 0; i < moves->count; i++)
		add_end_of_old(txn, &moves->list[i]);
	if (moves->replaces)
		txn_enter(txn, moves->when);
}

static int write_moves(struct fs *fs, const struct moves *moves)
{
	cleanup_txn struct txn txn;
	int r;

	txn_begin(&txn, fs, "rename", moves->when);
	tree_lock(&fs->tree);
	gather(&txn, moves);
	tree_unlock(&fs->tree);
	r = moves->bytes + txn_attr_bytes(&txn) > fs->opt.rename_limit ? EXDEV : txn_commit(&txn);
	if (r)
		return r;
	tree_lock(&fs->tree);
	txn_told(&txn);
	tree_unlock(&fs->tree);
	return 0;
}

int rename_dir_keys(struct fs *fs, struct node *dir, struct dwal_bytes new_key,
		    struct dwal_bytes old_key, bool replaces, struct timespec when)
{
	struct moves moves = {.new_key = new_key,
			      .old_key = old_key,
			      .when = when,
			      .top = dir,
			      .replaces = replaces};
	int r = commit_staged(fs, dir);

	if (!r) {
		tree_lock(&fs->tree);
		r = collect(fs, &moves, dir);
		tree_unlock(&fs->tree);
	}
	if (!r)
		r = read_contents(fs, &moves);
	if (!r)
		r = write_moves(fs, &moves);
	release(&moves);
	return r;
}
