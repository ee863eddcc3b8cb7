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
#include "listing.h"
#include "name.h"

/* Everything is protected by fs->lock, except what says "constant". */
struct node {
	UT_hash_handle hh;     /* in parent->children, by name */
	struct node *parent;   /* NULL: the root, or without a place */
	struct node *children; /* of a directory */
	char *name;            /* as in the directory: escaped */
	uint64_t ino;          /* constant */
	uint64_t lookups;      /* the kernel's references */
	uint32_t holds;        /* ours: open handles, running operations */
	uint32_t subdirs;      /* directories among the children */
	mode_t type;           /* S_IFMT bits; constant once the node is in use */
	uint32_t slot;         /* of its node id, or NODEID_NONE */
	bool published;        /* a file: the log has a live Put of its key */
	bool value;            /* a file: stands aside for a directory of its name */
	bool can_be_target;    /* a file, as replayed: its value could be a link's */
	bool recorded;         /* has an attribute record in force */
	bool cache_stale;      /* a staging was dropped: no page is kept from open to open */
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

struct node *tree_child(const struct node *dir, const char *name);

/* May such a node be made in dir under this name? 0, or ENAMETOOLONG, EINVAL
 * (looks like an escape, is canonical for no key here), EEXIST. */
int tree_check_name(const struct fs *fs, const struct node *dir, const char *name, mode_t type);

/* Does this name, which was checked, bear the suffix \\value? */
bool tree_is_value_name(const struct fs *fs, const struct node *dir, const char *name);

/* The child of this component; value: the file that stands beside a directory
 * of it. */
struct node *tree_find_part(const struct fs *fs, const struct node *dir,
			    const struct name_part *part, bool value);

/* A name for a component that dir does not have, newly allocated; NULL: no
 * memory. Of two components that share one long form the later gets another
 * one: the names differ, and each node knows its component. */
char *tree_free_name(struct fs *fs, const struct node *dir, const struct name_part *part,
		     bool value);

/* The name of a node, for another node to have in the same place. */
char *tree_name_copy(const struct fs *fs, const struct node *node);

/* A new node under a name that is free, of this S_IFMT type, with default
 * attributes and now as its time. name is allocated, not NULL, and taken over,
 * also on failure. 0 or ENOMEM. */
int tree_add(struct fs *fs, struct node *dir, char *name, mode_t type, struct node **out);

/* Takes a node out of the tree. A directory must be empty; if a key of its
 * name waits under NAME\value, that file now shows under the name itself. */
void tree_detach(struct fs *fs, struct node *node);

/* Takes an empty directory out of the tree for another one that comes in its
 * place at once: what stands aside for the one stands aside for the other. */
void tree_give_way(struct fs *fs, struct node *dir);

/* Moves a node to a name that is free, as tree_detach() and tree_add() would.
 * value: it is the name of a file beside a directory. 0, or ENOMEM: then the
 * node has lost its place. */
int tree_move(struct fs *fs, struct node *node, struct node *dir, char *name, bool value);

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

/* The log has ended: forgets what only its replay needed. No lock. */
void tree_replay_end(struct fs *fs);

/* Entries of a directory, without "." and "..". 0 or ENOMEM. */
int tree_list(const struct node *dir, struct listing *listing);

#endif
