/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The table of names, with a chain for each hash, and the lists.
 */
#include "tree/children.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "keyed_hash.h"

#define FIRST_BITS 6

/* Memory that is needed so many names later is asked for now. */
#define AHEAD 8

int nametable_init(struct nametable *names)
{
	const size_t first = (size_t)1 << FIRST_BITS;

	*names = (struct nametable){.count = first, .capacity = first, .bits = FIRST_BITS};
	names->chains = calloc(first, sizeof(*names->chains));
	return names->chains ? 0 : ENOMEM;
}

void nametable_release(struct nametable *names)
{
	free(names->chains);
	names->chains = NULL;
}

/* ------------------------------------------------------------- the table */

static struct node *first_of(const struct tree *tree, const slab_ref *chain)
{
	return slab_at(tree->slab.base, *chain);
}

static struct node *next_of(const struct node *node)
{
	return slab_at(node, node->chain);
}

/* The chain of a name in dir. */
static slab_ref *chain_of(const struct tree *tree, const struct node *dir, const char *name)
{
	const struct nametable *names = &tree->names;
	slab_ref where = slab_ref_to(tree->slab.base, dir);
	uint64_t key = keyed_hash(tree->hash_key, &where, sizeof(where));
	uint64_t hash = keyed_hash(key, name, strlen(name));
	size_t all = ((size_t)1 << names->bits) - 1;
	size_t at = hash & (2 * all + 1);

	return &names->chains[at < names->count ? at : at & all];
}

static void chain_add(struct tree *tree, struct node *node)
{
	slab_ref *chain = chain_of(tree, node_parent(node), node_name(node));

	node->chain = slab_ref_to(node, first_of(tree, chain));
	*chain = slab_ref_to(tree->slab.base, node);
}

static void chain_remove(struct tree *tree, struct node *node)
{
	slab_ref *chain = chain_of(tree, node_parent(node), node_name(node));
	struct node *before = NULL, *at = first_of(tree, chain);

	for (; at != node; at = next_of(at))
		before = at;
	if (before)
		before->chain = slab_ref_to(before, next_of(node));
	else
		*chain = slab_ref_to(tree->slab.base, next_of(node));
}

/* False: no memory for another chain. */
static bool has_room(struct nametable *names)
{
	size_t more = names->capacity + names->capacity / 8;
	slab_ref *larger;

	if (names->count < names->capacity)
		return true;
	larger = reallocarray(names->chains, more, sizeof(*larger));
	if (!larger)
		return false;
	names->chains = larger;
	names->capacity = more;
	return true;
}

/* One more chain, with its share of what is in the one that it comes from. So the
 * table grows with each name, and nobody waits for all of it. Without memory the
 * chains become longer. */
static void grow(struct tree *tree)
{
	struct nametable *names = &tree->names;
	slab_ref *from = &names->chains[names->count - ((size_t)1 << names->bits)];
	struct node *node = first_of(tree, from), *next;

	if (!has_room(names))
		return;
	from = &names->chains[names->count - ((size_t)1 << names->bits)];
	names->chains[names->count++] = 0;
	*from = 0;
	__builtin_prefetch(first_of(tree, from + AHEAD)); /* the table has more than that */
	for (; node; node = next) {
		next = next_of(node);
		chain_add(tree, node);
	}
	if (names->count >> names->bits == 2)
		names->bits++;
}

struct node *node_child(const struct tree *tree, const struct node *dir, const char *name)
{
	struct node *node = node_first(dir);

	tree_wants_lock(tree);
	if (node)
		node = first_of(tree, chain_of(tree, dir, name));
	while (node && (node_parent(node) != dir || strcmp(node_name(node), name) != 0))
		node = next_of(node);
	return node;
}

void node_show(struct tree *tree, struct node *node)
{
	if (tree->names.names >= tree->names.count)
		grow(tree);
	chain_add(tree, node);
	tree->names.names++;
}

void node_hide(struct tree *tree, struct node *node)
{
	chain_remove(tree, node);
	tree->names.names--;
}

/* ------------------------------------------------------------- the lists */

static struct node *before_of(const struct node *node)
{
	return slab_at(node, node->prev);
}

/* Of one alone it is that itself, to which there is no reference. */
static struct node *last_of(const struct node *dir)
{
	struct node *first = node_first(dir);

	return first && first->prev ? before_of(first) : first;
}

static void join(struct node *node, struct node *behind)
{
	node->next = slab_ref_to(node, behind);
	behind->prev = slab_ref_to(behind, node);
}

static void set_first(struct node *dir, struct node *first, struct node *last)
{
	dir->children = slab_ref_to(dir, first);
	if (first)
		first->prev = slab_ref_to(first, last);
}

/* Behind one of its entries, or as the first when that is NULL. */
static void list_add(struct node *dir, struct node *node, struct node *before)
{
	struct node *first = node_first(dir), *behind = before ? node_behind(before) : NULL;

	node->next = 0;
	if (before)
		join(before, node);
	if (behind)
		join(node, behind);
	else
		set_first(dir, first ? first : node, node);
}

static void list_remove(struct node *dir, struct node *node)
{
	struct node *first = node_first(dir), *last = last_of(dir);
	struct node *before = before_of(node), *behind = node_behind(node);

	if (node == first)
		set_first(dir, behind, last);
	else if (behind)
		join(before, behind);
	if (node == last && node != first) {
		before->next = 0;
		set_first(dir, first, before);
	}
	node->prev = node->next = 0;
}

void node_enter(struct tree *tree, struct node *node, struct node *dir, struct node *replaced)
{
	tree_wants_lock(tree);
	node->parent = slab_ref_to(node, dir);
	node->seat = replaced ? replaced->seat : tree->next_seat++;
	node_count_subdir(dir, node_is_dir(node));
	list_add(dir, node, replaced ? replaced : last_of(dir));
	node_show(tree, node);
}

/* Who would come to this node next comes to the one behind it. */
static void pass_over(struct tree *tree, const struct node *node)
{
	struct node *dir = node_parent(node);
	struct cursor *cursor;
	bool is_read = false;

	DL_FOREACH(tree->cursors, cursor)
	{
		is_read |= cursor->dir == dir;
		if (cursor->at == node)
			cursor->at = node_behind(node);
	}
	dir->is_read = is_read;
}

void node_leave(struct tree *tree, struct node *node)
{
	struct node *dir = node_parent(node);

	tree_wants_lock(tree);
	node_hide(tree, node);
	if (dir->is_read)
		pass_over(tree, node);
	list_remove(dir, node);
	node_count_subdir(dir, -node_is_dir(node));
	node->parent = 0;
}

void node_rename(struct tree *tree, struct node *node, struct place place)
{
	node_hide(tree, node);
	node_call(node, place);
	node_show(tree, node);
}

/* ------------------------------------------------------------ the readers */

void cursor_start(struct tree *tree, struct cursor *cursor, struct node *dir)
{
	tree_wants_lock(tree);
	if (!cursor->dir)
		DL_APPEND(tree->cursors, cursor);
	cursor->dir = dir;
	cursor->at = node_first(dir);
	cursor->end = tree->next_seat;
	dir->is_read = true;
}

void cursor_stop(struct tree *tree, struct cursor *cursor)
{
	tree_wants_lock(tree);
	if (cursor->dir)
		DL_DELETE(tree->cursors, cursor);
	cursor->dir = NULL;
}

struct node *cursor_seek(struct cursor *cursor, uint64_t seat)
{
	struct node *first = node_first(cursor->dir), *at = cursor->at;

	if (!at && first)
		at = last_of(cursor->dir);
	while (at && at != first && before_of(at)->seat >= seat)
		at = before_of(at);
	while (at && at->seat < seat)
		at = node_behind(at);
	cursor->at = at;
	return at && at->seat < cursor->end ? at : NULL;
}
