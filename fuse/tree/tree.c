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
#include "tree/tree.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyed_hash.h"
#include "tree/children.h"
#include "tree/number.h"
#include "tree/treename.h"

int tree_init(struct tree *tree, const struct tree_options *options, struct timespec now)
{
	int r;

	*tree = (struct tree){
		.opt = *options, .hash_key = keyed_hash_key(), .next_seat = SEAT_FIRST};
	pthread_mutex_init(&tree->lock, NULL);
	r = nodeid_init(&tree->ids);
	if (!r)
		r = slab_init(&tree->slab);
	if (r)
		return r;
	/* nobody waits for a single name while the log is read */
	tree->names.is_patient = tree->slab.is_patient = tree->numbers.is_patient = true;
	tree->root = node_new(tree, S_IFDIR, (struct place){0});
	if (!tree->root || !node_make_use(tree, tree->root))
		return ENOMEM;
	tree->root->ino = INO_ROOT;
	node_set_mtime(tree, tree->root, now);
	return 0;
}

/* All nodes in the tree, a directory when its last child is gone. */
static void free_all(struct tree *tree)
{
	struct node *node = tree->root;

	while (node) {
		struct node *parent = node_parent(node), *first = node_first(node);

		if (first) {
			node = first;
			continue;
		}
		if (parent)
			parent->children = slab_ref_to(parent, node_behind(node));
		node_free(tree, node);
		node = parent;
	}
}

void tree_release(struct tree *tree)
{
	uint32_t slot = NODEID_NONE;
	struct node *lost;

	tree->replayed = false; /* there are no others any more */
	while ((lost = tree_take_owed(tree)))
		tree_drop(tree, lost);
	free_all(tree);
	/* What has lost its place is there only because the kernel knows it. */
	while ((lost = nodeid_next(&tree->ids, &slot)))
		node_free(tree, lost);
	assert(!tree->slab.live); /* nothing was lost */
	slab_release(&tree->slab);
	slots_release(&tree->names);
	slots_release(&tree->numbers);
	nodeid_release(&tree->ids);
	free(tree->owed);
	free(tree->known.path);
	pthread_mutex_destroy(&tree->lock);
}

int tree_give_id(struct tree *tree, struct node *node)
{
	tree_wants_lock(tree);
	return node == tree->root ? 0 : node_give_id(tree, node);
}

uint64_t tree_id(const struct tree *tree, const struct node *node)
{
	const struct use *use = node_use(node);

	tree_wants_lock(tree);
	if (node == tree->root)
		return TREE_ROOT_ID;
	return use && use->slot != NODEID_NONE ? nodeid_of(&tree->ids, use->slot) : 0;
}

struct node *tree_node(const struct tree *tree, uint64_t id)
{
	tree_wants_lock(tree);
	return id == TREE_ROOT_ID ? tree->root : nodeid_find(&tree->ids, id);
}

int tree_add(struct tree *tree, struct node *dir, struct place place, mode_t type,
	     struct node **out)
{
	struct node *node;
	uint32_t hash;

	if (!place.name || node_reserve(tree)) {
		place_release(&place);
		return ENOMEM;
	}
	hash = place.hash ? place.hash : node_hash(tree, dir, place.name);
	node = node_new(tree, type, place);
	if (!node)
		return ENOMEM;
	node_enter(tree, node, dir, hash, NULL);
	if (tree->replayed && number_new(tree, node)) {
		node_leave(tree, node);
		node_free(tree, node);
		return ENOMEM;
	}
	*out = node;
	return 0;
}

static bool is_used(const struct node *node)
{
	const struct use *use = node_use(node);

	return use && (use->holds || use->lookups);
}

static void free_if_unused(struct tree *tree, struct node *node)
{
	if (is_used(node))
		return;
	if (node_has_place(tree, node)) {
		node_end_use(tree, node);
		return;
	}
	number_give_back(tree, node);
	node_free(tree, node);
}

/* The directory has lost its place in parent: the file that had to stand aside
 * for it shows under its own name. Who knows it by the other one, from a
 * listing, still finds it by that. */
static void end_conflict(struct tree *tree, struct node *parent, const struct name_part *part)
{
	struct node *file = tree_find_part(tree, parent, part, true);
	struct place own = {0};

	if (file)
		own = tree_free_place(tree, parent, part, false);
	if (!own.name)
		return;
	if (tree->replayed) {
		place_add_alias(&own, node_name(file));
		tree->aliases = true;
	}
	node_rename(tree, file, own);
}

/* Out of its directory, or with its place in the listing kept. */
static void leave_place(struct tree *tree, struct node *node, bool stays)
{
	char raw[NAME_SIZE];
	struct node *parent = node_parent(node);
	struct name_part part = tree_part(tree, node, raw);

	(stays ? node_hide : node_leave)(tree, node);
	if (node_is_dir(node))
		end_conflict(tree, parent, &part);
}

void tree_give_way(struct tree *tree, struct node *dir)
{
	node_leave(tree, dir);
	free_if_unused(tree, dir);
}

void tree_detach(struct tree *tree, struct node *node)
{
	leave_place(tree, node, false);
	free_if_unused(tree, node);
}

void tree_move(struct tree *tree, struct node *node, struct node *dir, struct place place,
	       struct node *replaced)
{
	bool stays = node_parent(node) == dir && !replaced;

	leave_place(tree, node, stays);
	node_call(node, place);
	if (stays)
		node_show(tree, node);
	else
		node_enter(tree, node, dir, node_hash(tree, dir, node_name(node)), replaced);
}

void tree_hold(struct node *node)
{
	node_use(node)->holds++;
}

void tree_drop(struct tree *tree, struct node *node)
{
	tree_wants_lock(tree);
	node_use(node)->holds--;
	free_if_unused(tree, node);
}

void tree_forget(struct tree *tree, struct node *node, uint64_t lookups)
{
	struct use *use = node_use(node);

	tree_wants_lock(tree);
	if (node == tree->root || !use)
		return;
	use->lookups -= lookups < use->lookups ? lookups : use->lookups;
	if (!use->lookups) {
		node_end_id(tree, node);
		use->cache_stale = false;
	}
	free_if_unused(tree, node);
}

/* False: no memory. */
static bool note_owed(struct tree *tree, struct node *dir)
{
	if (tree->owed_count == tree->owed_capacity) {
		size_t more = tree->owed_capacity ? 2 * tree->owed_capacity : 64;
		struct node **larger = reallocarray(tree->owed, more, sizeof(struct node *));
		if (!larger)
			return false;
		tree->owed = larger;
		tree->owed_capacity = more;
	}
	tree->owed[tree->owed_count++] = dir;
	return true;
}

void tree_owe_times(struct tree *tree, struct node *dir)
{
	struct extra *extra = node_make_extra(tree, dir);

	tree_wants_lock(tree);
	if (!extra || extra->owed || !node_make_use(tree, dir) || !note_owed(tree, dir))
		return;
	extra->owed = true;
	tree_hold(dir);
}

struct node *tree_take_owed(struct tree *tree)
{
	tree_wants_lock(tree);
	return tree->owed_count ? tree->owed[--tree->owed_count] : NULL;
}
