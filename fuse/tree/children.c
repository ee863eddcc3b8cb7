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

int nametable_init(struct nametable *names)
{
	*names = (struct nametable){.bits = FIRST_BITS};
	names->chains = calloc((size_t)1 << FIRST_BITS, sizeof(*names->chains));
	return names->chains ? 0 : ENOMEM;
}

void nametable_release(struct nametable *names)
{
	free(names->chains);
	names->chains = NULL;
}

/* Where the chain of a name in dir begins. */
static struct node **chain_of(const struct tree *tree, const struct node *dir, const char *name)
{
	uint64_t key = keyed_hash(tree->hash_key, &dir, sizeof(dir));
	uint64_t hash = keyed_hash(key, name, strlen(name));

	return &tree->names.chains[hash & (((uint64_t)1 << tree->names.bits) - 1)];
}

static void chain_add(struct tree *tree, struct node *node)
{
	struct node **chain = chain_of(tree, node->parent, node->name);

	node->chain = *chain;
	*chain = node;
}

/* Without memory for more chains they become longer. */
static void grow(struct tree *tree)
{
	struct nametable smaller = tree->names;
	size_t old = (size_t)1 << smaller.bits;
	struct node **chains = calloc(2 * old, sizeof(*chains));

	if (!chains)
		return;
	tree->names.chains = chains;
	tree->names.bits++;
	for (size_t i = 0; i < old; i++) {
		while (smaller.chains[i]) {
			struct node *node = smaller.chains[i];

			smaller.chains[i] = node->chain;
			chain_add(tree, node);
		}
	}
	free(smaller.chains);
}

struct node *node_child(const struct tree *tree, const struct node *dir, const char *name)
{
	struct node *node = dir->children ? *chain_of(tree, dir, name) : NULL;

	tree_wants_lock(tree);
	while (node && (node->parent != dir || strcmp(node->name, name) != 0))
		node = node->chain;
	return node;
}

void node_show(struct tree *tree, struct node *node)
{
	if (tree->names.count >> tree->names.bits)
		grow(tree);
	chain_add(tree, node);
	tree->names.count++;
}

void node_hide(struct tree *tree, struct node *node)
{
	struct node **at = chain_of(tree, node->parent, node->name);

	while (*at != node)
		at = &(*at)->chain;
	*at = node->chain;
	tree->names.count--;
}

void node_enter(struct tree *tree, struct node *node, struct node *dir, struct node *replaced)
{
	tree_wants_lock(tree);
	node->parent = dir;
	node->seat = replaced ? replaced->seat : tree->next_seat++;
	dir->subdirs += node_is_dir(node);
	if (replaced) {
		DL_APPEND_ELEM(dir->children, replaced, node);
	} else {
		DL_APPEND(dir->children, node);
	}
	node_show(tree, node);
}

/* Who would come to this node next comes to the one behind it. */
static void pass_over(struct tree *tree, const struct node *node)
{
	struct cursor *cursor;
	bool is_read = false;

	DL_FOREACH(tree->cursors, cursor)
	{
		is_read |= cursor->dir == node->parent;
		if (cursor->at == node)
			cursor->at = node->next;
	}
	node->parent->is_read = is_read;
}

void node_leave(struct tree *tree, struct node *node)
{
	struct node *dir = node->parent;

	tree_wants_lock(tree);
	node_hide(tree, node);
	if (dir->is_read)
		pass_over(tree, node);
	DL_DELETE(dir->children, node);
	dir->subdirs -= node_is_dir(node);
	node->parent = NULL;
}

void node_rename(struct tree *tree, struct node *node, struct place place)
{
	node_hide(tree, node);
	node_call(node, place);
	node_show(tree, node);
}

void cursor_start(struct tree *tree, struct cursor *cursor, struct node *dir)
{
	tree_wants_lock(tree);
	if (!cursor->dir)
		DL_APPEND(tree->cursors, cursor);
	cursor->dir = dir;
	cursor->at = dir->children;
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
	struct node *first = cursor->dir->children, *at = cursor->at;

	if (!at && first)
		at = first->prev; /* the last one */
	while (at && at != first && at->prev->seat >= seat)
		at = at->prev;
	while (at && at->seat < seat)
		at = at->next;
	cursor->at = at;
	return at && at->seat < cursor->end ? at : NULL;
}
