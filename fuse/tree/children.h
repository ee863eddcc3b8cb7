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

/* Where somebody is who goes over the entries of a directory. They stand in the
 * order of their seats: numbers that grow with each that comes, and of which none
 * is given twice. What comes after the start is not shown; what stays is, once. */
struct cursor {
	struct cursor *prev, *next; /* tree->cursors */
	struct node *dir;
	struct node *at; /* the entry that comes next; NULL: there is none */
	uint64_t end;    /* seats from here on are those of who came later */
};

/* The first seat. */
#define SEAT_FIRST 3

/* What has this name in dir, or NULL. */
struct node *node_child(const struct tree *tree, const struct node *dir, const char *name);

/* The same by what the table finds the name by. */
uint32_t node_hash(const struct tree *tree, const struct node *dir, const char *name);
struct node *node_child_by(const struct tree *tree, const struct node *dir, const char *name,
			   uint32_t hash);

/* It will be looked for soon, and may come: has the memory for that fetched. */
void node_expect(const struct tree *tree, const struct node *dir, uint32_t hash);

/* Room for one more name in all: 0 or ENOMEM. */
int node_reserve(struct tree *tree);

/* Into dir under the name that it has, whose hash there this is: behind all others, or in
 * the listing next to the one that it replaces, which leaves it thereupon. Needs the room; one
 * that has left a directory had it. */
void node_enter(struct tree *tree, struct node *node, struct node *dir, uint32_t hash,
		struct node *replaced);
void node_leave(struct tree *tree, struct node *node);

/* Another name in its directory; keeps its place in the listing. Takes the place
 * over. */
void node_rename(struct tree *tree, struct node *node, struct place place);

/* The same in two steps: between them it has no name, and node_call() gives it
 * another. */
void node_hide(struct tree *tree, struct node *node);
void node_show(struct tree *tree, struct node *node);

/* The cursor, which is all zero or was started before, begins with the first entry.
 * Until it is stopped, entries can come and go, and dir stays. */
void cursor_start(struct tree *tree, struct cursor *cursor, struct node *dir);
void cursor_stop(struct tree *tree, struct cursor *cursor);

/* The first entry that has this seat or a later one; NULL: there is none. Takes no
 * time where that is the one that was asked for last, or the next one. */
struct node *cursor_seek(struct cursor *cursor, uint64_t seat);

#endif
