/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The tree of the mounted store: one node for each live key and each
 * directory, by name, as the kernel sees them. Knows keys and names, neither
 * the log nor requests; never does I/O.
 *
 * While the kernel knows a node it calls it by a number of its own, the "node
 * id" (nodeid.h); node->ino is what stat(2) shows. A node lives while it has a
 * place in the tree, the kernel remembers it (lookup count) or somebody holds
 * it. One that lost its place (unlinked, replaced, removed) has no parent.
 *
 * Every function wants fs->lock held unless it says otherwise.
 */
#ifndef TREE_H
#define TREE_H

#include <sys/stat.h>

#define HASH_NONFATAL_OOM              1
#define HASH_FUNCTION(key, len, hashv) ((hashv) = dwal_crc32c(0, (key), (len)))
#include <uthash.h>

#include "fs.h"
#include "tree/listing.h"
#include "tree/name.h"

/* Everything is protected by fs->lock, except what says "constant". */
struct node {
	UT_hash_handle hh;     /* in parent->children, by name */
	struct node *parent;   /* NULL: the root, or without a place */
	struct node *children; /* of a directory */
	char *name;            /* as in the directory: escaped */
	char *alias;           /* of a file: the name beside a directory that was, or NULL */
	uint64_t ino;          /* constant */
	uint64_t lookups;      /* the kernel's references */
	uint32_t holds;        /* ours: open handles, running operations */
	uint32_t subdirs;      /* directories among the children */
	mode_t type;           /* S_IFMT bits; constant once the node is in use */
	uint32_t slot;         /* of its node id, or NODEID_NONE */
	pid_t maker;           /* of a directory: who made it in this mount, or 0 */
	bool implied;          /* made by who made a value, and is yet to make it: beside.h */
	bool is_long;          /* the name is a long form: name.h */
	bool published;        /* a file: the log has a live Put of its key */
	bool value;            /* a file: stands aside for a directory of its name */
	bool can_be_target;    /* a file, as replayed: its value could be a link's */
	bool recorded;         /* has an attribute record in force */
	bool cache_stale;      /* a staging was dropped: no page is kept from open to open */
	bool time_set;         /* by utimensat(2), since the last change, FLUSH or FSYNC */
	bool vanished;         /* lost its place behind the kernel's back: ESTALE */
	uint64_t size;         /* as shown: staged, else published */
	struct timespec mtime;
	int64_t read_at;     /* ns: access time given by a read, not in the log; 0: none */
	struct extra *extra; /* nodeattr.h; NULL: all defaults */
	struct stage *stage; /* while open or with an unpublished change */
};

/* The root directory, and its end with all nodes in the tree. No lock. */
int tree_init(struct fs *fs);
void tree_release(struct fs *fs);

static inline bool node_is_dir(const struct node *node)
{
	return S_ISDIR(node->type);
}

/* In the tree, or without a place? */
static inline bool node_has_place(const struct fs *fs, const struct node *node)
{
	return node->parent || node == fs->root;
}

/* What the kernel calls the root: FUSE_ROOT_ID. */
#define TREE_ROOT_ID 1

/* Gives a node its id, unless it has one, until the kernel forgets it. 0 or
 * ENOMEM. */
int tree_give_id(struct fs *fs, struct node *node);

/* The id that a node has, or 0. */
uint64_t tree_id(const struct fs *fs, const struct node *node);

/* The node that has this id; NULL: none, and none will. */
struct node *tree_node(const struct fs *fs, uint64_t id);

/* What a node is called in its directory: what the fields of these names of a
 * node say. name is NULL where there was no memory. */
struct place {
	char *name, *alias; /* allocated */
	bool is_long, value;
};

void place_release(struct place *place);

struct node *tree_child(const struct node *dir, const char *name);

/* The same, and also the file that had this name beside a directory while that
 * was there. */
struct node *tree_lookup(const struct fs *fs, const struct node *dir, const char *name);

/* May such a node be made in dir under this name? 0, or ENAMETOOLONG, EINVAL
 * (no component has it; X\value beside a file X), EEXIST. */
int tree_check_name(const struct fs *fs, const struct node *dir, const char *name, mode_t type);

/* Is it a name X\value? Then base is X. */
bool tree_value_base(const char *name, char base[NAME_SIZE]);

/* What is called X in dir, for a name X\value; NULL for any other name. */
struct node *tree_beside(const struct node *dir, const char *name);

/* The component of a node with a place. raw is room for one that is short. */
struct name_part tree_part(const struct fs *fs, const struct node *node, char raw[NAME_SIZE]);

/* The child of this component; value: the file that stands beside a directory
 * of it. */
struct node *tree_find_part(const struct fs *fs, const struct node *dir,
			    const struct name_part *part, bool value);

/* A place for a component that dir does not have. Of two components that share
 * one long form the later gets another one; a component that is called so at
 * its full length has it. The names differ, and each node knows its component. */
struct place tree_free_place(struct fs *fs, const struct node *dir, const struct name_part *part,
			     bool value);

/* A place for a name that was checked, and that of a node, for another node. */
struct place tree_name_place(const struct fs *fs, const struct node *dir, const char *name,
			     bool is_dir);
struct place tree_place_copy(const struct fs *fs, const struct node *node);

/* Gives a node another name in its directory. Takes the place over. */
void tree_call(struct node *node, struct place place);

/* A new node in a place that is free, of this S_IFMT type, with default
 * attributes and now as its time. The place is taken over, also on failure. 0
 * or ENOMEM, also when the place has no name. */
int tree_add(struct fs *fs, struct node *dir, struct place place, mode_t type, struct node **out);

/* Takes a node out of the tree. A directory must be empty; if a key of its
 * name waits under NAME\value, that file now shows under the name itself. */
void tree_detach(struct fs *fs, struct node *node);

/* Takes an empty directory out of the tree for another one that comes in its
 * place at once: what stands aside for the one stands aside for the other. */
void tree_give_way(struct fs *fs, struct node *dir);

/* Moves a node to a place that is free, as tree_detach() and tree_add() would.
 * Takes the place, which has a name, over. 0, or ENOMEM: then the node has lost
 * its own. */
int tree_move(struct fs *fs, struct node *node, struct node *dir, struct place place);

/* Holds and drops a node; the last of holds, lookups and place frees it. */
void tree_hold(struct node *node);
void tree_drop(struct fs *fs, struct node *node);
void tree_forget(struct fs *fs, struct node *node, uint64_t lookups);

/* The key of a node with a place: its path in key space. key has room for
 * DWAL_MAX_KEY bytes; 0 or ENAMETOOLONG. */
int tree_key(const struct fs *fs, const struct node *node, char *key, size_t *key_len);

/* The same for a name in dir, whether something has it or not. */
int tree_name_key(const struct fs *fs, const struct node *dir, const char *name, bool is_dir,
		  char *key, size_t *key_len);

/* The path as shown, without a leading slash, newly allocated; or NULL. */
char *tree_path(const struct node *node);

/* Applies one record of the log while it is opened. No lock. 0 or -ENOMEM.
 * time: of the clock in force, for the file's (or its directory's) mtime. */
int tree_replay(struct fs *fs, const struct dwal_record *record, int64_t time);

/* The log has ended: forgets what only its replay needed, and from here on
 * files that stand aside are seen by somebody. No lock. */
void tree_replay_end(struct fs *fs);

/* Entries of a directory, without "." and "..". 0 or ENOMEM. */
int tree_list(const struct node *dir, struct listing *listing);

#endif
