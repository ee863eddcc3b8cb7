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
#include "file/stage.h"

/* One file or directory record that moves. */
struct move {
	struct node *node; /* stays: names change under write_lock only */
	char *old_key, *new_key;
	size_t old_len, new_len;
	void *content; /* of a file */
	size_t size;
	char *attr; /* the record's text; NULL: none */
	size_t attr_len;
};

struct moves {
	struct move *list;
	size_t count, capacity;
	uint64_t bytes;
	struct dwal_bytes old_key, new_key; /* of the directory itself */
};

static void release(struct moves *moves)
{
	for (size_t i = 0; i < moves->count; i++) {
		free(moves->list[i].old_key);
		free(moves->list[i].new_key);
		free(moves->list[i].content);
		free(moves->list[i].attr);
	}
	free(moves->list);
}

/* The node after this one below top, parents first; NULL: that was the last. */
static struct node *next_below(const struct node *top, struct node *node)
{
	if (node->children)
		return node->children;
	while (node != top && !node->hh.next)
		node = node->parent;
	return node == top ? NULL : node->hh.next;
}

/* ------------------------------------------------- what is staged, first */

/* A staged file below top that has not been seen to, with a use of its stage. */
static struct stage *next_staged(struct fs *fs, struct node *top, struct node **at)
{
	struct stage *stage = NULL;

	pthread_mutex_lock(&fs->lock);
	while (!stage && *at) {
		struct node *node = *at;
		*at = next_below(top, node);
		if (node->stage && node->stage->dirty) {
			stage = node->stage;
			stage->users++;
		}
	}
	pthread_mutex_unlock(&fs->lock);
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
			r = stage_commit(fs, stage);
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
	int r = tree_key(fs, move->node, key, &move->old_len);

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

static int add_move(struct fs *fs, struct moves *moves, struct node *node, bool with_attr)
{
	struct move *move = new_move(moves);
	struct attr attr = nodeattr_snapshot(fs, node);
	int r;

	if (!move)
		return ENOMEM;
	move->node = node;
	r = set_keys(fs, moves, move);
	if (!r && with_attr)
		r = attr_format_full(&attr, nodeattr_xattrs(node), &move->attr, &move->attr_len);
	if (r)
		return r;
	moves->bytes += move->old_len + move->new_len + move->attr_len;
	if (!node_is_dir(node))
		moves->bytes += node->size;
	return moves->bytes > fs->opt.rename_limit ? EXDEV : 0;
}

/* Wants fs->lock. */
static int collect(struct fs *fs, struct moves *moves, struct node *top,
		   const struct node *replaced)
{
	int r = 0;

	for (struct node *n = top; n && !r; n = next_below(top, n)) {
		if (!node_is_dir(n) && n->published)
			r = add_move(fs, moves, n, nodeattr_needs_record(fs, n, fs->clock));
		else if (node_is_dir(n) && n->recorded)
			r = add_move(fs, moves, n, true);
	}
	/* A directory that nothing else would keep, or that would inherit the
	 * record of the replaced one. */
	if (!r && !top->recorded && (!moves->count || (replaced && replaced->recorded)))
		r = add_move(fs, moves, top, true);
	return r;
}

static int read_contents(struct fs *fs, struct moves *moves)
{
	int r = 0;

	for (size_t i = 0; i < moves->count && !r; i++) {
		struct move *move = &moves->list[i];
		if (!node_is_dir(move->node))
			r = errno_of(dwal_kv_get(fs->kv, move->old_key, move->old_len,
						 &move->content, &move->size, NULL));
	}
	return r;
}

/* ----------------------------------------------------------------- writing */

static size_t add_new_name(const struct move *move, struct dwal_op *ops)
{
	struct dwal_bytes key = {move->new_key, move->new_len};
	size_t n = 0;

	if (!node_is_dir(move->node))
		ops[n++] = (struct dwal_op){DWAL_PUT, key, {move->content, move->size}};
	if (move->attr)
		ops[n++] = (struct dwal_op){DWAL_RAW, key, {move->attr, move->attr_len}};
	return n;
}

static size_t add_end_of_old(const struct move *move, struct dwal_bytes none, struct dwal_op *ops)
{
	struct dwal_bytes key = {move->old_key, move->old_len};

	if (!node_is_dir(move->node))
		*ops = (struct dwal_op){DWAL_DELETE, key, {NULL, 0}};
	else if (move->node->recorded)
		*ops = (struct dwal_op){DWAL_RAW, key, none};
	else
		return 0;
	return 1;
}

static int write_moves(struct fs *fs, struct moves *moves)
{
	const struct attr gone = {.type = ATTR_NONE};
	struct dwal_op *ops = calloc(3 * moves->count, sizeof(*ops));
	struct dwal_bytes none;
	char *text = NULL;
	size_t n = 0;
	int r = ops ? attr_format_full(&gone, NULL, &text, &none.len) : ENOMEM;

	if (!r) {
		none.data = text;
		for (size_t i = 0; i < moves->count; i++)
			if (!node_is_dir(moves->list[i].node))
				n += add_new_name(&moves->list[i], ops + n);
		/* A directory's record behind all of its entries: these change
		 * its time. */
		for (size_t i = moves->count; i-- > 0;)
			if (node_is_dir(moves->list[i].node))
				n += add_new_name(&moves->list[i], ops + n);
		for (size_t i = 0; i < moves->count; i++)
			n += add_end_of_old(&moves->list[i], none, ops + n);
		r = errno_of(dwal_kv_batch(fs->kv, ops, n, NULL));
	}
	free(text);
	free(ops);
	return r;
}

static void tell_nodes(struct fs *fs, struct moves *moves)
{
	fs->unsynced = true;
	pthread_mutex_lock(&fs->lock);
	for (size_t i = 0; i < moves->count; i++)
		nodeattr_told(moves->list[i].node, moves->list[i].attr);
	pthread_mutex_unlock(&fs->lock);
}

int rename_dir_keys(struct fs *fs, struct node *dir, const struct node *replaced,
		    struct dwal_bytes new_key, struct dwal_bytes old_key)
{
	struct moves moves = {.new_key = new_key, .old_key = old_key};
	int r = commit_staged(fs, dir);

	if (!r) {
		pthread_mutex_lock(&fs->lock);
		r = collect(fs, &moves, dir, replaced);
		pthread_mutex_unlock(&fs->lock);
	}
	if (!r)
		r = read_contents(fs, &moves);
	if (!r)
		r = write_moves(fs, &moves);
	if (!r)
		tell_nodes(fs, &moves);
	release(&moves);
	return r;
}
