/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes and their places. Iterative throughout: a key can be 32,768 components
 * deep.
 *
 * The conflict of a key with a directory of the same path is solved here:
 * while directory `a` exists, the file of key `a` is the node `a\value` beside
 * it. Only leave_place() ends such a conflict. The log begins one, and so does
 * who makes `a\value`; no directory can be made where a file is.
 */
#include "tree/nodeattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tree_init(struct fs *fs)
{
	int r = nodeid_init(&fs->ids);

	if (r)
		return -r;
	fs->next_ino = 1;
	fs->root = calloc(1, sizeof(*fs->root));
	if (!fs->root)
		return -ENOMEM;
	fs->root->ino = fs->next_ino++;
	fs->root->type = S_IFDIR;
	fs->root->mtime = fs->started;
	return 0;
}

static void end_id(struct fs *fs, struct node *node)
{
	if (node->slot != NODEID_NONE)
		nodeid_give_back(&fs->ids, node->slot);
	node->slot = NODEID_NONE;
}

static void free_node(struct fs *fs, struct node *node)
{
	end_id(fs, node);
	nodeattr_free(node);
	free(node->name);
	free(node->alias);
	free(node);
}

void tree_release(struct fs *fs)
{
	struct node *dir = fs->root, *lost;
	uint32_t slot = NODEID_NONE;

	while (dir) {
		struct node *child = dir->children;
		if (child && node_is_dir(child) && child->children) {
			dir = child;
		} else if (child) {
			HASH_DEL(dir->children, child);
			free_node(fs, child);
		} else {
			struct node *parent = dir->parent;
			if (parent)
				HASH_DEL(parent->children, dir);
			free_node(fs, dir);
			dir = parent;
		}
	}
	fs->root = NULL;
	/* What has lost its place is there only because the kernel knows it. */
	while ((lost = nodeid_next(&fs->ids, &slot)))
		free_node(fs, lost);
	nodeid_release(&fs->ids);
}

int tree_give_id(struct fs *fs, struct node *node)
{
	if (node == fs->root || node->slot != NODEID_NONE)
		return 0;
	return nodeid_take(&fs->ids, node, &node->slot);
}

uint64_t tree_id(const struct fs *fs, const struct node *node)
{
	if (node == fs->root)
		return TREE_ROOT_ID;
	return node->slot != NODEID_NONE ? nodeid_of(&fs->ids, node->slot) : 0;
}

struct node *tree_node(const struct fs *fs, uint64_t id)
{
	return id == TREE_ROOT_ID ? fs->root : nodeid_find(&fs->ids, id);
}

struct node *tree_child(const struct node *dir, const char *name)
{
	struct node *child;
	HASH_FIND_STR(dir->children, name, child);
	return child;
}

static int give_place(struct node *dir, struct node *node)
{
	HASH_ADD_KEYPTR(hh, dir->children, node->name, strlen(node->name), node);
	if (!node->hh.tbl)
		return ENOMEM; /* what uthash leaves when it has no memory */
	node->parent = dir;
	dir->subdirs += node_is_dir(node);
	return 0;
}

static void take_place(struct node *node)
{
	HASH_DEL(node->parent->children, node);
	node->parent->subdirs -= node_is_dir(node);
	node->parent = NULL;
}

/* Takes the place over. */
static void set_place(struct node *node, struct place place)
{
	free(node->name);
	free(node->alias);
	node->name = place.name;
	node->alias = place.alias;
	node->is_long = place.is_long;
	node->value = place.value;
}

int tree_add(struct fs *fs, struct node *dir, struct place place, mode_t type, struct node **out)
{
	struct node *node = calloc(1, sizeof(*node));
	if (!node) {
		place_release(&place);
		return ENOMEM;
	}
	set_place(node, place);
	node->ino = fs->next_ino++;
	node->type = type & S_IFMT;
	node->mtime = fs_now();
	if (!node->name || give_place(dir, node)) {
		free_node(fs, node);
		return ENOMEM;
	}
	*out = node;
	return 0;
}

void tree_call(struct node *node, struct place place)
{
	struct node *dir = node->parent;

	take_place(node);
	set_place(node, place);
	(void)give_place(dir, node); /* has the memory that take_place() freed */
}

static void free_if_unused(struct fs *fs, struct node *node)
{
	if (!node_has_place(fs, node) && !node->holds && !node->lookups)
		free_node(fs, node);
}

/* The directory has lost its place in parent: the file that had to stand aside
 * for it shows under its own name. Who knows it by the other one, from a
 * listing, still finds it by that. */
static void end_conflict(struct fs *fs, struct node *parent, const struct name_part *part)
{
	struct node *file = tree_find_part(fs, parent, part, true);
	struct place own = {0};

	if (file)
		own = tree_free_place(fs, parent, part, false);
	if (!own.name)
		return;
	if (fs->replayed) {
		own.alias = strdup(file->name);
		fs->aliases = true;
	}
	tree_call(file, own);
}

static void leave_place(struct fs *fs, struct node *node)
{
	char raw[NAME_SIZE];
	struct node *parent = node->parent;
	struct name_part part = tree_part(fs, node, raw);

	take_place(node);
	if (node_is_dir(node))
		end_conflict(fs, parent, &part);
}

void tree_give_way(struct fs *fs, struct node *dir)
{
	take_place(dir);
	free_if_unused(fs, dir);
}

void tree_detach(struct fs *fs, struct node *node)
{
	leave_place(fs, node);
	free_if_unused(fs, node);
}

int tree_move(struct fs *fs, struct node *node, struct node *dir, struct place place)
{
	leave_place(fs, node);
	set_place(node, place);
	return give_place(dir, node);
}

void tree_hold(struct node *node)
{
	node->holds++;
}

void tree_drop(struct fs *fs, struct node *node)
{
	node->holds--;
	free_if_unused(fs, node);
}

void tree_forget(struct fs *fs, struct node *node, uint64_t lookups)
{
	if (node == fs->root)
		return;
	node->lookups -= lookups < node->lookups ? lookups : node->lookups;
	if (!node->lookups) {
		end_id(fs, node);
		node->cache_stale = false;
	}
	free_if_unused(fs, node);
}

int tree_list(const struct node *dir, struct listing *listing)
{
	for (struct node *n = dir->children; n; n = n->hh.next) {
		int r = listing_add(listing, n->name, n->ino, n->type);
		if (r)
			return r;
	}
	return 0;
}
