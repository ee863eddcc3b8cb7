/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes, and the table of names that each directory has.
 */
#include "tree/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xattr.h"

void tree_lock(struct tree *tree)
{
	pthread_mutex_lock(&tree->lock);
}

void tree_unlock(struct tree *tree)
{
	pthread_mutex_unlock(&tree->lock);
}

void place_release(struct place *place)
{
	free(place->name);
	free(place->alias);
	*place = (struct place){0};
}

struct node *node_new(mode_t type)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->type = type & S_IFMT;
	node->mtime = tree_now();
	return node;
}

void node_end_id(struct tree *tree, struct node *node)
{
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
	free(node->name);
	free(node->alias);
	free(node);
}

struct node *node_next(const struct node *top, struct node *node)
{
	if (node->children)
		return node->children;
	while (node != top && !node->hh.next)
		node = node->parent;
	return node == top ? NULL : node->hh.next;
}

struct node *node_child(const struct node *dir, const char *name)
{
	struct node *child;
	HASH_FIND_STR(dir->children, name, child);
	return child;
}

void node_call(struct node *node, struct place place)
{
	free(node->name);
	free(node->alias);
	node->name = place.name;
	node->alias = place.alias;
	node->is_long = place.is_long;
	node->value = place.value;
}

int node_enter(struct node *node, struct node *dir)
{
	HASH_ADD_KEYPTR(hh, dir->children, node->name, strlen(node->name), node);
	if (!node->hh.tbl)
		return ENOMEM; /* what uthash leaves when it has no memory */
	node->parent = dir;
	dir->subdirs += node_is_dir(node);
	return 0;
}

void node_leave(struct node *node)
{
	HASH_DEL(node->parent->children, node);
	node->parent->subdirs -= node_is_dir(node);
	node->parent = NULL;
}

void node_rename(struct node *node, struct place place)
{
	struct node *dir = node->parent;

	node_leave(node);
	node_call(node, place);
	(void)node_enter(node, dir); /* has the memory that leaving freed */
}
