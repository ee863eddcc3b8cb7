/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Renaming a directory: many keys, one write. The library takes a write back
 * as a whole when it fails, so nothing has to be undone by hand.
 *
 * A large one has two turns. In the first it is only found out what is to be written.
 * Without a lock the contents are read then, and of one that is larger still all is
 * written ahead. In the second one, if the log holds what it held, that is what is
 * written, or becomes the log's; if it does not, all is read and written in this turn.
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

/* From so many bytes on it is written ahead: others would wait for them. Creates by 4
 * others waited 1 to 2 s, the 99th percentile, for 200 MiB in files of 1 MiB, 32 KiB or 4 KiB,
 * and wait 5 ms (the longest 33, 290 and 690 ms: the rest is what is no large payload); for
 * 8 MiB 14 ms and 5. The rename itself takes 0.5 to 2 of the time, of 8 MiB 90 ms for 13. */
#define AHEAD_FROM ((uint64_t)8 << 20)

/* From so many on the contents are read ahead, half of the time that others wait: the same
 * percentile was 14 to 25 ms for just under 8 MiB in files of 1 MiB and 41 to 50 in files of
 * 4 KiB, and is 4 to 9 and 6 to 25. The rename takes no longer, but that others go on. */
#define READ_FROM ((uint64_t)1 << 20)

/* One file or directory that moves. */
struct move {
	struct node *node; /* stays in this turn: names change under the write lock only */
	bool is_dir;
	char *old_key, *new_key;
	size_t old_len, new_len;
	void *content; /* of a file */
	size_t size;
	uint64_t txid;  /* of its Put, where it is written ahead */
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
	bool borrows; /* the contents */
};

struct rename_ahead {
	struct moves moves;
	struct txn txn; /* of what is written ahead; else zero, which txn_end() takes */
	bool was_tried, is_read;
	dwal_ahead *written; /* NULL: not so large, or that has failed */
};

static void release(struct moves *moves)
{
	for (size_t i = 0; i < moves->count; i++) {
		free(moves->list[i].old_key);
		free(moves->list[i].new_key);
		if (!moves->borrows)
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
	move->is_dir = node_is_dir(node);
	r = set_keys(fs, moves, move);
	if (r)
		return r;
	move->with_attr = needs_record(fs, moves, move);
	moves->bytes += move->old_len + move->new_len;
	if (!move->is_dir)
		moves->bytes += move->size = node_size(node);
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
		if (!move->is_dir)
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

static int make_txn(struct fs *fs, const struct moves *moves, struct txn *txn)
{
	txn_begin(txn, fs, "rename", moves->when);
	tree_lock(&fs->tree);
	gather(txn, moves);
	tree_unlock(&fs->tree);
	return moves->bytes + txn_attr_bytes(txn) > fs->opt.rename_limit ? EXDEV : 0;
}

static int write_moves(struct fs *fs, const struct moves *moves, dwal_ahead *written)
{
	cleanup_txn struct txn txn;
	int r = make_txn(fs, moves, &txn);

	txn.ahead = written;
	if (!r)
		r = txn_commit(&txn);
	if (r)
		return r;
	tree_lock(&fs->tree);
	txn_told(&txn);
	tree_unlock(&fs->tree);
	return 0;
}

/* ------------------------------------------------------------- two turns */

void rename_ahead_free(struct rename_ahead *ahead)
{
	if (!ahead)
		return;
	dwal_ahead_free(ahead->written);
	txn_end(&ahead->txn);
	release(&ahead->moves);
	free(ahead);
}

/* Which values they are. No one is put again under its txid. */
static int note_txids(struct fs *fs, struct moves *moves)
{
	int r = 0;

	for (size_t i = 0; i < moves->count && !r; i++) {
		struct move *move = &moves->list[i];
		struct dwal_place place;
		uint32_t size;

		if (!move->is_dir)
			r = errno_of(dwal_kv_ref_of(fs->kv, move->old_key, move->old_len, &place,
						    &size));
		if (!move->is_dir && !r)
			move->txid = place.txid;
	}
	return r;
}

/* The first turn: takes the moves over. Without memory there is but one. */
static int put_off(struct fs *fs, struct moves *moves, struct rename_ahead **out)
{
	struct rename_ahead *ahead = calloc(1, sizeof(*ahead));
	int r;

	if (!ahead)
		return 0;
	ahead->moves = *moves;
	moves->list = NULL;
	moves->count = 0;
	*out = ahead;
	if (ahead->moves.bytes < AHEAD_FROM)
		return FS_AGAIN;
	r = make_txn(fs, &ahead->moves, &ahead->txn);
	return r ? r : FS_PUT_OFF;
}

void rename_dir_write_ahead(struct fs *fs, struct rename_ahead *ahead)
{
	size_t at = 0;

	if (!ahead || ahead->was_tried)
		return;
	ahead->was_tried = true;
	if (read_contents(fs, &ahead->moves))
		return;
	ahead->is_read = true;
	if (ahead->moves.bytes < AHEAD_FROM)
		return;
	for (size_t i = 0; i < ahead->moves.count; i++) {
		const struct move *move = &ahead->moves.list[i];

		if (!move->is_dir)
			txn_fill(&ahead->txn, &at, (struct dwal_bytes){move->content, move->size});
	}
	if (txn_write_ahead(&ahead->txn, &ahead->written))
		ahead->written = NULL;
}

static bool is_same_key(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool is_same_move(const struct move *a, const struct move *b)
{
	return a->is_dir == b->is_dir && a->txid == b->txid &&
	       is_same_key(a->old_key, a->old_len, b->old_key, b->old_len) &&
	       is_same_key(a->new_key, a->new_len, b->new_key, b->new_len);
}

/* The second turn: has the log what it had in the first? */
static bool is_as_it_was(const struct moves *moves, const struct rename_ahead *ahead)
{
	bool is = ahead && ahead->is_read && ahead->moves.count == moves->count;

	for (size_t i = 0; is && i < moves->count; i++)
		is = is_same_move(&moves->list[i], &ahead->moves.list[i]);
	return is;
}

static void borrow_contents(struct moves *moves, const struct rename_ahead *ahead)
{
	moves->borrows = true;
	for (size_t i = 0; i < moves->count; i++) {
		moves->list[i].content = ahead->moves.list[i].content;
		moves->list[i].size = ahead->moves.list[i].size;
	}
}

static int write_now(struct fs *fs, struct moves *moves, const struct rename_ahead *ahead)
{
	bool is_read = is_as_it_was(moves, ahead);
	int r = 0;

	if (is_read)
		borrow_contents(moves, ahead);
	else
		r = read_contents(fs, moves);
	return r ? r : write_moves(fs, moves, is_read ? ahead->written : NULL);
}

/* In whichever turn. */
static int move_all(struct fs *fs, struct moves *moves, struct rename_ahead **ahead)
{
	int r = 0;

	if (ahead && moves->bytes >= READ_FROM)
		r = note_txids(fs, moves);
	if (!r && ahead && !*ahead && moves->bytes >= READ_FROM)
		r = put_off(fs, moves, ahead);
	return r ? r : write_now(fs, moves, ahead ? *ahead : NULL);
}

int rename_dir_keys(struct fs *fs, const struct rename_dir *what, struct rename_ahead **ahead)
{
	struct moves moves = {.new_key = what->new_key,
			      .old_key = what->old_key,
			      .when = what->when,
			      .top = what->dir,
			      .replaces = what->replaces};
	int r = commit_staged(fs, what->dir);

	if (!r) {
		tree_lock(&fs->tree);
		r = collect(fs, &moves, what->dir);
		tree_unlock(&fs->tree);
	}
	if (!r)
		r = move_all(fs, &moves, ahead);
	release(&moves);
	return r;
}
