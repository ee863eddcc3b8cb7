/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers of nodes.
 */
#include "tree/number.h"

#include <errno.h>

#include "keyed_hash.h"
#include "tree/treename.h"

/* Nodes whose numbers are on their way from memory: half of the time of numbering. */
#define AHEAD 16

static uint64_t number_of_key(struct dwal_bytes key, bool is_dir)
{
	if (is_dir && !key.len)
		return INO_ROOT;
	return ino_of_hash(ino_hash(INO_HASH_START, key.data, key.len), is_dir);
}

/* ------------------------------------------------------------- the table */

uint32_t number_hash(const struct tree *tree, uint64_t ino)
{
	return (uint32_t)keyed_hash(tree->hash_key, &ino, sizeof(ino));
}

struct search {
	const struct tree *tree;
	uint64_t ino;
};

static bool has_ino(void *ctx, uint32_t ref)
{
	const struct search *search = ctx;

	return node_at(search->tree, ref)->ino == search->ino;
}

static struct slot *find(const struct tree *tree, uint64_t ino, uint32_t hash)
{
	struct search search = {tree, ino};

	return slots_find(&tree->numbers, hash, has_ino, &search);
}

static int reserve(struct tree *tree, size_t n)
{
	return slots_reserve(&tree->numbers, n) ? ENOMEM : 0;
}

/* Its number, unless that is in use. Needs the room. */
static bool add(struct tree *tree, const struct node *node)
{
	uint32_t hash = number_hash(tree, node->ino);

	if (find(tree, node->ino, hash))
		return false;
	slots_add(&tree->numbers, hash, node_ref(tree, node));
	return true;
}

/* The node's, or when that is in use another, which is the node's from then on. */
static int take(struct tree *tree, struct node *node)
{
	const uint64_t wanted = node->ino;
	int r = reserve(tree, 1);

	if (r)
		return r;
	while (!add(tree, node))
		node->ino = ino_instead(wanted, ++tree->others);
	return 0;
}

/* While the log is read it can be another's as well: then all are numbered again. */
void number_give_back(struct tree *tree, const struct node *node)
{
	struct slot *slot = find(tree, node->ino, number_hash(tree, node->ino));

	if (slot)
		slots_remove(&tree->numbers, slot);
}

void number_expect(const struct tree *tree, uint64_t ino)
{
	slots_prefetch(&tree->numbers, number_hash(tree, ino));
}

/* ----------------------------------------------------------- who has which */

int number_new(struct tree *tree, struct node *node)
{
	char key[DWAL_MAX_KEY];
	size_t len;
	int r = tree_key(tree, node, key, &len);

	if (r)
		return r;
	node->ino = number_of_key((struct dwal_bytes){key, len}, node_is_dir(node));
	return take(tree, node);
}

bool number_is_own(const struct node *node, struct dwal_bytes key)
{
	return node->ino != number_of_key(key, node_is_dir(node));
}

void number_tell(const struct node *node, struct dwal_bytes key, struct attr *attr)
{
	attr->ino = node->ino;
	attr->present &= ~(unsigned)ATTR_HAS_INO;
	if (number_is_own(node, key))
		attr->present |= ATTR_HAS_INO;
}

int number_early(struct tree *tree, struct node *node, uint64_t ino)
{
	node->ino = ino;
	if (tree->contested)
		return 0;
	if (reserve(tree, 1))
		return ENOMEM;
	tree->contested = !add(tree, node);
	return 0;
}

static bool is_told(const struct node *node)
{
	return node->extra && node_extra(node)->attr.present & ATTR_HAS_INO;
}

/* It must not change at the next mount, so the log is to be told: who comes to
 * the node by its id does so. */
static int owe_another(struct tree *tree, struct node *node)
{
	struct extra *extra = node_make_extra(tree, node);

	if (!extra)
		return ENOMEM;
	extra->owed = true;
	return node_give_id(tree, node);
}

static int number_one(struct tree *tree, struct node *node, uint64_t wanted)
{
	int r;

	node->ino = wanted;
	r = take(tree, node);
	return r || node->ino == wanted ? r : owe_another(tree, node);
}

/* Goes on by one node, some way before the one that is numbered. */
static struct node *expect_next(const struct tree *tree, struct node *ahead)
{
	struct node *next = ahead ? node_next(tree->root, ahead) : NULL;

	if (next)
		number_expect(tree, next->ino);
	return next;
}

int number_all(struct tree *tree)
{
	struct node *node, *ahead = tree->root;
	int r;

	slots_settle(&tree->numbers);
	tree->numbers.is_patient = false;
	if (!tree->contested)
		return 0;
	slots_release(&tree->numbers);
	r = reserve(tree, tree->names.n);
	for (node = tree->root; !r && (node = node_next(tree->root, node));)
		if (is_told(node))
			r = number_one(tree, node, node_extra(node)->attr.ino);
	for (int i = 0; !r && i < AHEAD; i++)
		ahead = expect_next(tree, ahead);
	for (node = tree->root; !r && (node = node_next(tree->root, node));) {
		ahead = expect_next(tree, ahead);
		if (!is_told(node))
			r = number_one(tree, node, node->ino);
	}
	return r;
}
