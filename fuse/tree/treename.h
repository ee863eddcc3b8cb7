/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What nodes are called: names in directories, the components of keys that
 * they show, and the keys that they stand for. The rule for one component is
 * name.h's; which of two that meet in a directory gets which name is decided
 * here. Never does I/O.
 *
 * Every function wants the tree's lock.
 */
#ifndef TREE_TREENAME_H
#define TREE_TREENAME_H

#include "tree/name.h"
#include "tree/node.h"

/* What has this name in dir, and also the file that had it beside a directory
 * while that was there; or NULL. */
struct node *tree_lookup(const struct tree *tree, const struct node *dir, const char *name);

/* May such a node be made in dir under this name? 0, or ENAMETOOLONG, EINVAL
 * (no component has it; X\value beside a file X), EEXIST. */
int tree_check_name(const struct tree *tree, const struct node *dir, const char *name, mode_t type);

/* Is it a name X\value? Then base is X. */
bool tree_value_base(const char *name, char base[NAME_SIZE]);

/* What is called X in dir, for a name X\value; NULL for any other name. */
struct node *tree_beside(const struct tree *tree, const struct node *dir, const char *name);

/* The component of a node with a place, as long as that is called so. raw: room for
 * what its name does not spell. */
struct name_part tree_part(const struct tree *tree, const struct node *node, char raw[NAME_SIZE]);

/* A component in a directory, as it shows and is looked for there. */
struct shown {
	const struct node *dir;
	struct name_part part; /* borrowed */
	bool value, is_long;
	uint32_t hash;
	char name[NAME_SIZE];
};

/* value: the file that stands beside a directory of this component. */
void tree_show(const struct tree *tree, const struct node *dir, const struct name_part *part,
	       bool value, struct shown *out);

/* The child of this component, or NULL. */
struct node *tree_find_shown(const struct tree *tree, const struct shown *shown);

/* A place for a component that the directory does not have. Of two components that share
 * one long form the later gets another one; a component that is called so at
 * its full length has it. The names differ, and each node knows its component. It may be
 * for a new node alone, and while *shown is there. */
struct place tree_place_shown(struct tree *tree, struct shown *shown);

/* The same at once; the place is for any node. */
struct node *tree_find_part(const struct tree *tree, const struct node *dir,
			    const struct name_part *part, bool value);
struct place tree_free_place(struct tree *tree, const struct node *dir,
			     const struct name_part *part, bool value);

/* A place for a name that was checked, and that of a node, for another node. */
struct place tree_name_place(const struct tree *tree, const struct node *dir, const char *name,
			     bool is_dir);
struct place tree_place_copy(const struct node *node);

/* Another name under which a place is still found; where there is no memory, not
 * so. */
void place_add_alias(struct place *place, const char *alias);

/* The key of a node with a place: its path in key space. key has room for
 * DWAL_MAX_KEY bytes; 0 or ENAMETOOLONG. */
int tree_key(const struct tree *tree, const struct node *node, char *key, size_t *key_len);

/* The same for a name in dir, whether something has it or not. */
int tree_name_key(const struct tree *tree, const struct node *dir, const char *name, bool is_dir,
		  char *key, size_t *key_len);

/* The path as shown, without a leading slash, newly allocated; or NULL. */
char *tree_path(const struct node *node);

#endif
