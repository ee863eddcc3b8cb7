/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes: made, called, ended.
 */
#include "tree/node.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "xattr.h"

static _Thread_local char me; /* has an address that no other thread's has */

void tree_lock(struct tree *tree)
{
	pthread_mutex_lock(&tree->lock);
	atomic_store_explicit(&tree->holder, &me, memory_order_relaxed);
}

void tree_unlock(struct tree *tree)
{
	atomic_store_explicit(&tree->holder, NULL, memory_order_relaxed);
	pthread_mutex_unlock(&tree->lock);
}

void tree_wants_lock(const struct tree *tree)
{
	assert(!tree->replayed || atomic_load_explicit(&tree->holder, memory_order_relaxed) == &me);
}

void place_release(struct place *place)
{
	free(place->name);
	*place = (struct place){0};
}

/* Takes the name over, wherever its bytes are then. */
static void set_name(struct node *node, const struct place *place, char *name)
{
	node->name = name;
	node->is_long = place->is_long;
	node->value = place->value;
	node->aliased = place->aliased;
}

static void free_name(struct node *node)
{
	if (node->name != node->first_name)
		free(node->name);
}

struct node *node_new(mode_t type, struct place place)
{
	size_t with_name = offsetof(struct node, first_name) + place.size;
	struct node *node = calloc(1, with_name < sizeof(*node) ? sizeof(*node) : with_name);

	if (node) {
		if (place.size)
			memcpy(node->first_name, place.name, place.size);
		set_name(node, &place, node->first_name);
		node->type = type & S_IFMT;
		node->mtime = tree_now();
	}
	place_release(&place);
	return node;
}

void node_end_id(struct tree *tree, struct node *node)
{
	tree_wants_lock(tree);
	if (node->slot != NODEID_NONE)
		nodeid_give_back(&tree->ids, node->slot);
	node->slot = NODEID_NONE;
}

struct extra *node_extra(struct node *node)
{
	if (!node->extra)
		node->extra = calloc(1, sizeof(*node->extra));
	return node->extra;
}

void node_free_extra(struct node *node)
{
	if (node->extra)
		xattr_free(node->extra->xattrs);
	free(node->extra);
	node->extra = NULL;
}

void node_free(struct tree *tree, struct node *node)
{
	node_end_id(tree, node);
	inos_give_back(&tree->inos, node->ino);
	node_free_extra(node);
	free_name(node);
	free(node);
}

struct node *node_next(const struct node *top, struct node *node)
{
	if (node->children)
		return node->children;
	while (node != top && !node->next)
		node = node->parent;
	return node == top ? NULL : node->next;
}

void node_call(struct node *node, struct place place)
{
	free_name(node);
	set_name(node, &place, place.name);
}
