/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers of nodes.
 */
#include "tree/number.h"

#include <errno.h>

#include "tree/treename.h"

/* Nodes whose numbers are on their way from memory: half of the time of numbering. */
#define AHEAD 16

static uint64_t number_of_key(struct dwal_bytes key, bool is_dir)
{
	if (is_dir && !key.len)
		return INO_ROOT;
	return ino_of_hash(ino_hash(INO_HASH_START, key.data, key.len), is_dir);
}

int number_new(struct tree *tree, struct node *node)
{
	char key[DWAL_MAX_KEY];
	size_t len;
	int r = tree_key(tree, node, key, &len);

	if (r)
		return r;
	node->ino = number_of_key((struct dwal_bytes){key, len}, node_is_dir(node));
	r = inos_take(&tree->inos, &node->ino);
	if (r)
		node->ino = 0; /* whose it is stays so */
	return r;
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
	int r = tree->contested ? 0 : inos_add(&tree->inos, ino);

	node->ino = ino;
	tree->contested |= r == EEXIST;
	return r == EEXIST ? 0 : r;
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
	r = inos_take(&tree->inos, &node->ino);
	return r || node->ino == wanted ? r : owe_another(tree, node);
}

/* Goes on by one node, some way before the one that is numbered. */
static struct node *expect_next(const struct tree *tree, struct node *ahead)
{
	struct node *next = ahead ? node_next(tree->root, ahead) : NULL;

	if (next)
		inos_expect(&tree->inos, next->ino);
	return next;
}

int number_all(struct tree *tree)
{
	struct node *node, *ahead = tree->root;
	int r;

	inos_settle(&tree->inos);
	if (!tree->contested)
		return 0;
	inos_clear(&tree->inos);
	r = inos_reserve(&tree->inos, tree->names.n);
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
