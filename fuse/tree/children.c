/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The table of names, and the lists.
 */
#include "tree/children.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "keyed_hash.h"

/* ------------------------------------------------------------- the table */

uint32_t node_hash(const struct tree *tree, const struct node *dir, const char *name)
{
	slab_ref where = slab_ref_to(tree->slab.base, dir);
	uint64_t key = keyed_hash(tree->hash_key, &where, sizeof(where));

	return (uint32_t)keyed_hash(key, name, strlen(name));
}

struct search {
	const struct tree *tree;
	const struct node *dir;
	const char *name;
};

static bool has_name(void *ctx, uint32_t number)
{
	const struct search *search = ctx;
	const struct node *node = node_at(search->tree, number);

	return node_parent(node) == search->dir && strcmp(node_name(node), search->name) == 0;
}

static bool is_number(void *ctx, uint32_t number)
{
	return *(const uint32_t *)ctx == number;
}

struct node *node_child_by(const struct tree *tree, const struct node *dir, const char *name,
			   uint32_t hash)
{
	struct search search = {tree, dir, name};
	const struct slot *slot;

	tree_wants_lock(tree);
	slot = slots_find(&tree->names, hash, has_name, &search);
	return slot ? node_at(tree, slot->number) : NULL;
}

struct node *node_child(const struct tree *tree, const struct node *dir, const char *name)
{
	return node_first(dir) ? node_child_by(tree, dir, name, node_hash(tree, dir, name)) : NULL;
}

int node_reserve(struct tree *tree)
{
	return slots_reserve(&tree->names, 1) ? ENOMEM : 0;
}

static void show(struct tree *tree, const struct node *node, uint32_t hash)
{
	slots_add(&tree->names, hash, node_ref(tree, node));
}

void node_show(struct tree *tree, struct node *node)
{
	show(tree, node, node_hash(tree, node_parent(node), node_name(node)));
}

void node_hide(struct tree *tree, struct node *node)
{
	uint32_t number = node_ref(tree, node);
	uint32_t hash = node_hash(tree, node_parent(node), node_name(node));

	slots_remove(&tree->names, slots_find(&tree->names, hash, is_number, &number));
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

void node_expect(const struct tree *tree, const struct node *dir, uint32_t hash)
{
	slots_prefetch(&tree->names, hash);
	__builtin_prefetch(last_of(dir), 1);
}

void node_enter(struct tree *tree, struct node *node, struct node *dir, uint32_t hash,
		struct node *replaced)
{
	tree_wants_lock(tree);
	node->parent = slab_ref_to(node, dir);
	node->seat = replaced ? replaced->seat : tree->next_seat++;
	node_count_subdir(dir, node_is_dir(node));
	list_add(dir, node, replaced ? replaced : last_of(dir));
	show(tree, node, hash);
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
