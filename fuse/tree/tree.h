/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The tree of a log: one node for each live key and each directory, by name.
 * Knows keys and names, neither the log nor requests; never does I/O.
 *
 * What identifies a file here. Five things do, for different people, and live
 * for different times:
 *
 *   key         what the log calls the file: bytes in its records. It lives as
 *               long as the log. A directory's key is its path; the records of
 *               its attributes bear it.
 *   name        what a directory calls it. From the components of the key
 *               (name.h) and from what else is in the directory (treename.h):
 *               a file whose key is a directory's too is called X\value, and of
 *               two long names that collide the later is called otherwise. So
 *               tree_key() gives the key of a node, at any time; the name that
 *               a key will have can be told only by looking.
 *   node        what the daemon calls it: a struct node. It lives while it has
 *               a place in the tree, the kernel remembers it (lookups) or
 *               somebody in here holds it (holds). One that has lost its place
 *               (unlinked, replaced, removed) has neither parent nor key; what
 *               is open goes on with the node alone. A rename moves the node:
 *               key and name change, all else stays.
 *   node id     what the kernel calls it in requests (nodeid.h): a slot of a
 *               table and that slot's generation. Given at the first lookup,
 *               void when the kernel gives the last lookup back; the slot is
 *               used again under the next generation, so an id finds its own
 *               node or none (ESTALE), also one of an earlier mount.
 *   inode number what stat(2) shows programs (node->ino): a hash of the key, or
 *               another that the log tells, since the node was renamed or met a
 *               number in use (number.h). It stays as long as the file, in
 *               every mount; no two nodes have one, also without a place.
 *
 * The generation that the kernel is told with an id (fuse_entry_param) is one
 * random number a mount.
 *
 * From a node the others can be had: tree_key(), node_name(), tree_id(),
 * node->ino. To a node lead its id, tree_node(), and its name in a directory,
 * tree_lookup(); the replay of the log comes by keys (replay.h). No map leads
 * from inode numbers to nodes, which nobody asks for: only which are in use is
 * known (ino.h).
 *
 * Every function wants the tree's lock unless it says otherwise.
 */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include "tree/node.h"

/* The root directory, whose time is now, and nothing in it. No lock. 0 or a
 * positive errno; to be released in both cases. */
int tree_init(struct tree *tree, const struct tree_options *options, struct timespec now);

/* The end of all nodes; takes one that is all zero. No lock. */
void tree_release(struct tree *tree);

/* What the kernel calls the root: FUSE_ROOT_ID. */
#define TREE_ROOT_ID 1

/* Gives a node its id, unless it has one, until the kernel forgets it. 0 or
 * ENOMEM. */
int tree_give_id(struct tree *tree, struct node *node);

/* The id that a node has, or 0. */
uint64_t tree_id(const struct tree *tree, const struct node *node);

/* The node that has this id; NULL: none, and none will. */
struct node *tree_node(const struct tree *tree, uint64_t id);

/* A new node in a place that is free, of this S_IFMT type, with default
 * attributes and now as its time. The place is taken over, also on failure. 0
 * or ENOMEM, also when the place has no name. */
int tree_add(struct tree *tree, struct node *dir, struct place place, mode_t type,
	     struct node **out);

/* Takes a node out of the tree. A directory must be empty; if a key of its
 * name waits under NAME\value, that file now shows under the name itself. */
void tree_detach(struct tree *tree, struct node *node);

/* Takes an empty directory out of the tree that another one has replaced: what
 * stands aside for the one stands aside for the other. */
void tree_give_way(struct tree *tree, struct node *dir);

/* Moves a node to a place that is free, as tree_detach() and tree_add() would, or
 * to that of one that it replaces, which must be taken out of the tree at once.
 * Takes the place, which has a name, over. */
void tree_move(struct tree *tree, struct node *node, struct node *dir, struct place place,
	       struct node *replaced);

/* Holds and drops a node; the last of holds, lookups and place frees it. What is
 * held has a use: it was given an id, or node_make_use() was called. */
void tree_hold(struct node *node);
void tree_drop(struct tree *tree, struct node *node);
void tree_forget(struct tree *tree, struct node *node, uint64_t lookups);

/* The times of a directory have changed by what no record tells: notes it for
 * tree_take_owed(). Without memory the log will not be told. */
void tree_owe_times(struct tree *tree, struct node *dir);

/* A directory that was noted so, held; NULL: there is no other one. */
struct node *tree_take_owed(struct tree *tree);

#endif
