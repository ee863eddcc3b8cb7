/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Which inode number each node has: the one of its key, or its own. Of its own
 * the log is told, in the node's attribute record. A number is in use as long
 * as its node is there, also without a place.
 *
 * Every function wants the tree's lock.
 */
#ifndef TREE_NUMBER_H
#define TREE_NUMBER_H

#include "tree/ino.h"
#include "tree/name.h"
#include "tree/node.h"

/* Numbers a new node in its place: by its key, unless that number is in use. 0
 * or ENOMEM. */
int number_new(struct tree *tree, struct node *node);

/* The number of a node that is to end is nobody's. */
void number_give_back(struct tree *tree, const struct node *node);

/* Where the table of numbers has this one. The log can tell any numbers. */
uint32_t number_hash(const struct tree *tree, uint64_t ino);

/* Somebody will soon be given this one: has the memory fetched. */
void number_expect(const struct tree *tree, uint64_t ino);

/* Would the node under this key have another number, were the log not told of
 * the one that it has? */
bool number_is_own(const struct node *node, struct dwal_bytes key);

/* Says so in what is to be the record of this key: or not. */
void number_tell(const struct node *node, struct dwal_bytes key, struct attr *attr);

/* While the log is replayed: the number of its key to a new node. When that is in use, and
 * as soon as a record tells a number, tree->contested is to be set, and it is for number_all()
 * to say who has which. 0 or ENOMEM. */
int number_early(struct tree *tree, struct node *node, uint64_t ino);

/* Once it was replayed: numbers all nodes where that was contested, first those of which a
 * record tells the number. A node whose number was in use has a node id until the log has
 * been told of its new one. 0 or ENOMEM. */
int number_all(struct tree *tree);

#endif
