/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes: made, called, ended.
 */
#include "tree/node.h"

#include <assert.h>
#include <errno.h>
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
	if (!place->borrowed)
		free(place->name);
	*place = (struct place){0};
}

/* Where its name begins, or the address of one that is apart. */
static char *name_room(const struct node *node)
{
	size_t before = node_is_dir(node) ? sizeof(uint32_t) : 0;

	return (char *)(uintptr_t)node->rest + before;
}

static char *name_apart(const struct node *node)
{
	char *name;

	memcpy(&name, name_room(node), sizeof(name));
	return name;
}

const char *node_name(const struct node *node)
{
	return node->apart ? name_apart(node) : name_room(node);
}

static size_t bytes_of(const struct node *node)
{
	return (size_t)node->units * SLAB_UNIT;
}

static void free_name(struct node *node)
{
	if (node->apart)
		free(name_apart(node));
	node->apart = false;
}

void node_call(struct node *node, struct place place)
{
	size_t room = bytes_of(node) - (size_t)(name_room(node) - (char *)node);

	free_name(node);
	node->is_long = place.is_long;
	node->value = place.value;
	node->aliased = place.aliased;
	node->apart = place.size > room;
	assert(!node->apart || !place.borrowed);
	if (node->apart)
		memcpy(name_room(node), &place.name, sizeof(place.name));
	else if (place.size)
		memcpy(name_room(node), place.name, place.size);
	if (!node->apart)
		place_release(&place);
}

/* With the name in it, where that is of any usual length; at least there is room
 * for where it is. */
static size_t bytes_for(mode_t type, size_t name)
{
	size_t before = offsetof(struct node, rest) + (S_ISDIR(type) ? sizeof(uint32_t) : 0);

	if (name < sizeof(char *) || before + name > SLAB_MOST)
		name = sizeof(char *);
	return slab_room(before + name);
}

struct node *node_new(struct tree *tree, mode_t type, struct place place)
{
	size_t size = bytes_for(type, place.size);
	struct node *node = slab_take(&tree->slab, size);

	if (!node) {
		place_release(&place);
		return NULL;
	}
	node->units = (uint8_t)(size / SLAB_UNIT);
	node->kind = (uint8_t)((type & S_IFMT) >> 12);
	if (tree->replayed) /* before, the log tells it */
		node->mtime = shorttime_of(tree_now());
	node_call(node, place);
	return node;
}

uint32_t node_subdirs(const struct node *dir)
{
	uint32_t subdirs;

	memcpy(&subdirs, dir->rest, sizeof(subdirs));
	return subdirs;
}

void node_count_subdir(struct node *dir, int more)
{
	uint32_t subdirs = node_subdirs(dir) + (uint32_t)more;

	memcpy(dir->rest, &subdirs, sizeof(subdirs));
}

struct timespec node_mtime(const struct node *node)
{
	return node->mtime == SHORTTIME_NONE ? node_extra(node)->attr.mtime
					     : shorttime_time(node->mtime);
}

void node_set_mtime(struct tree *tree, struct node *node, struct timespec mtime)
{
	struct extra *extra = shorttime_holds(mtime) ? NULL : node_make_extra(tree, node);

	node->mtime = extra ? SHORTTIME_NONE : shorttime_of(mtime);
	if (extra)
		extra->attr.mtime = mtime;
}

int node_give_id(struct tree *tree, struct node *node)
{
	struct use *use = node_make_use(tree, node);

	tree_wants_lock(tree);
	if (!use)
		return ENOMEM;
	return use->slot == NODEID_NONE ? nodeid_take(&tree->ids, node, &use->slot) : 0;
}

void node_end_id(struct tree *tree, struct node *node)
{
	struct use *use = node_use(node);

	tree_wants_lock(tree);
	if (!use || use->slot == NODEID_NONE)
		return;
	nodeid_give_back(&tree->ids, use->slot);
	use->slot = NODEID_NONE;
}

struct extra *node_make_extra(struct tree *tree, struct node *node)
{
	tree_wants_lock(tree);
	if (!node->extra)
		node->extra = slab_ref_to(node, slab_take(&tree->slab, sizeof(struct extra)));
	return node_extra(node);
}

struct use *node_make_use(struct tree *tree, struct node *node)
{
	tree_wants_lock(tree);
	if (!node->use)
		node->use = slab_ref_to(node, slab_take(&tree->slab, sizeof(struct use)));
	return node_use(node);
}

static void free_extra(struct tree *tree, struct node *node)
{
	struct extra *extra = node_extra(node);

	node->extra = 0;
	if (!extra)
		return;
	xattr_free(extra->xattrs);
	slab_give_back(&tree->slab, extra, sizeof(*extra));
}

void node_free_extra(struct tree *tree, struct node *node)
{
	struct timespec mtime = node_mtime(node);

	free_extra(tree, node);
	node_set_mtime(tree, node, mtime);
}

static void free_use(struct tree *tree, struct node *node)
{
	struct use *use = node_use(node);

	node->use = 0;
	if (use)
		slab_give_back(&tree->slab, use, sizeof(*use));
}

void node_end_use(struct tree *tree, struct node *node)
{
	const struct use *use = node_use(node);

	if (use && !use->lookups && !use->holds && !use->stage && use->slot == NODEID_NONE &&
	    !use->maker && !use->read_at && node != tree->root)
		free_use(tree, node);
}

void node_free(struct tree *tree, struct node *node)
{
	node_end_id(tree, node);
	free_extra(tree, node);
	free_use(tree, node);
	free_name(node);
	slab_give_back(&tree->slab, node, bytes_of(node));
}

struct node *node_next(const struct node *top, struct node *node)
{
	struct node *first = node_first(node);

	if (first)
		return first;
	while (node != top && !node->next)
		node = node_parent(node);
	return node == top ? NULL : node_behind(node);
}
