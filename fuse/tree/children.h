/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The children of directories: for each directory a list in the order in which
 * they came, and one table of all names. A directory has no table of its own, so
 * that one with a single child, of which a key can bring 32,768, costs no more
 * than a file.
 *
 * Who chooses names cannot make them meet in the table: its hash is keyed.
 *
 * Every function wants the tree's lock.
 */
#ifndef TREE_CHILDREN_H
#define TREE_CHILDREN_H

#include "tree/node.h"

/* An empty table. 0 or ENOMEM. */
int nametable_init(struct nametable *names);
void nametable_release(struct nametable *names);

/* What has this name in dir, or NULL. */
struct node *node_child(const struct tree *tree, const struct node *dir, const char *name);

/* Into dir under the name that it has: behind all others, or in the listing next
 * to the one that it replaces, which leaves it thereupon. */
void node_enter(struct tree *tree, struct node *node, struct node *dir, struct node *replaced);
void node_leave(struct tree *tree, struct node *node);

/* Another name in its directory; keeps its place in the listing. Takes the place
 * over. */
void node_rename(struct tree *tree, struct node *node, struct place place);

/* The same in two steps: between them it has no name, and node_call() gives it
 * another. */
void node_hide(struct tree *tree, struct node *node);
void node_show(struct tree *tree, struct node *node);

#endif
