/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The directory X that a value X\value stands beside, where it has to be made
 * for it. Every function wants the tree's lock.
 */
#ifndef TREE_BESIDE_H
#define TREE_BESIDE_H

#include "tree/node.h"

/* Who asks for something to be made. */
struct maker {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* 0: not told, as from another pid namespace */
	mode_t umask;
};

/* A file is to be made in dir under this name: where that is X\value and nothing
 * is called X, makes the directory X, of which the log is yet to be told;
 * otherwise *made is NULL. 0 or ENOMEM.
 *
 * A program that fills a directory of its own making, as cp(1) does, knows that
 * no X is in it and ends in an error when it cannot make it. So for whoever made
 * dir the directory X is not there until they make it. */
int beside_make(struct tree *tree, struct node *dir, const char *name, const struct maker *maker,
		struct node **made);

/* Is this node not there for this process? */
static inline bool beside_is_hidden(const struct node *node, pid_t pid)
{
	return node->implied && node_maker(node) == pid;
}

/* Takes it back, unless the log has it. Takes NULL. */
void beside_unmake(struct tree *tree, struct node *made);

/* The directory beside a file that the log is yet to be told of, or NULL. */
struct node *beside_untold(const struct tree *tree, const struct node *file);

#endif
