/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes and the tree that they hang in: what they consist of. How they are found
 * in a directory is children.h's, what a name means treename.h's, what may be
 * done with a node tree.h's, and there stands what identifies a file.
 */
#ifndef TREE_NODE_H
#define TREE_NODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "datawal.h"

#include "attr.h"
#include "tree/ino.h"
#include "tree/nodeid.h"

struct stage;
struct waiting;

/* Where in the log a record stands. */
struct record_place {
	uint32_t segment;
	uint64_t offset;
};

/* What a node has beyond the defaults; most nodes have none. */
struct extra {
	struct attr attr; /* the fields that are present; type as replayed, or ATTR_NONE */
	struct xattr *xattrs;
	struct record_place record; /* the attribute record in force, if node->recorded */
	bool owed;                  /* changed since the log was last told */
};

/* Everything is protected by the tree's lock, except what says "constant".
 *
 * There is one for each component of each key, so its size counts: SEMANTICS.md
 * says how much one costs. */
struct node {
	struct node *parent;      /* NULL: the root, or without a place */
	struct node *prev, *next; /* in parent->children */
	struct node *chain;       /* children.c's, in the table of names */
	struct node *children;    /* of a directory (DL list) */
	char *name;               /* as in the directory: escaped; see struct place */
	uint64_t seat;            /* children.h: its place in a listing */
	uint64_t ino;             /* number.h; constant once the log was replayed */
	uint64_t lookups;         /* the kernel's references */
	uint64_t size;            /* as shown: staged, else published */
	struct timespec mtime;
	int64_t read_at;      /* ns: access time given by a read, not in the log; 0: none */
	struct extra *extra;  /* NULL: all defaults */
	struct stage *stage;  /* while open or with an unpublished change */
	uint32_t holds;       /* ours: open handles, running operations */
	uint32_t subdirs;     /* directories among the children */
	uint32_t slot;        /* of its node id, or NODEID_NONE */
	pid_t maker;          /* of a directory: who made it in this mount, or 0 */
	uint16_t type;        /* S_IFMT bits; constant once the node is in use */
	bool implied;         /* made by who made a value, and is yet to make it: beside.h */
	bool is_long;         /* the name is a long form: name.h */
	bool aliased;         /* the name has an alias */
	bool published;       /* a file: the log has a live Put of its key */
	bool value;           /* a file: stands aside for a directory of its name */
	bool can_be_target;   /* a file, as replayed: its value could be a link's */
	bool recorded;        /* has an attribute record in force: extra->record */
	bool cache_stale;     /* a staging was dropped: no page is kept from open to open */
	atomic_bool time_set; /* by utimensat(2), since the last change, FLUSH or FSYNC */
	bool vanished;        /* lost its place behind the kernel's back: ESTALE */
	bool is_read;         /* a directory: somebody goes over its entries */
	char first_name[];    /* the name that it began with: no other allocation */
};

/* The names in all directories. Only children.c looks into it. */
struct nametable {
	struct node **chains; /* 1 << bits of them */
	unsigned bits;
	size_t count;
};

/* What a tree shows where no record says otherwise. */
struct tree_options {
	uid_t uid; /* owner of everything */
	gid_t gid;
	mode_t umask;
	bool shows_log;    /* .log is one of the root's directories */
	bool counts_reads; /* reading changes times of access */
};

/* All nodes of one log at one moment. There can be several. */
struct tree {
	struct tree_options opt; /* constant */
	uint64_t hash_key;       /* random: nobody else knows where names lie; constant */
	struct node *root;       /* constant */
	struct waiting *waiting; /* replay.c; only while the log is opened */
	bool replayed;           /* the log was read: the names are seen; then constant */

	pthread_mutex_t lock; /* see fs.h for its order; protects what follows, and all nodes */
	_Atomic(const void *) holder; /* who has it; for tree_wants_lock() alone */
	struct nametable names;
	uint64_t next_seat;     /* children.h */
	struct cursor *cursors; /* children.h: those that were started (DL list) */
	struct nodeids ids;     /* the nodes that the kernel knows */
	struct inos inos;       /* the numbers of all nodes but the root */
	struct node **owed; /* directories, held, whose times are to be told: tree_owe_times() */
	size_t owed_count, owed_capacity;
	bool collided;           /* two components had one long name */
	bool aliases;            /* a node has had one */
	atomic_bool values_seen; /* names X\value are in use: X can come by itself */
};

/* The time of now, for files: exact, so that every change shows. */
static inline struct timespec tree_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* a valid clock */
	return now;
}

void tree_lock(struct tree *tree);
void tree_unlock(struct tree *tree);

/* Stops the program when this thread does not have the lock: in the tests, and not
 * once in a million in the field. While the log is read there are no others. */
void tree_wants_lock(const struct tree *tree);

static inline bool node_is_dir(const struct node *node)
{
	return S_ISDIR(node->type);
}

/* In the tree, or without a place? */
static inline bool node_has_place(const struct tree *tree, const struct node *node)
{
	return node->parent || node == tree->root;
}

/* What a node is called in its directory: what the fields of these names of a
 * node say. name is NULL where there was no memory.
 *
 * Behind the NUL of the name stands, if is_long, the component that it does not
 * tell (treename.c's); and then, if aliased, the alias: the name that a file had
 * beside a directory that was. */
struct place {
	char *name;  /* allocated */
	size_t size; /* bytes of it, with all that stands behind */
	bool is_long, value, aliased;
};

void place_release(struct place *place);

/* The rest wants the tree's lock. */

/* A node that is nowhere yet and has no number, of this S_IFMT type, with default
 * attributes and now as its time, and called so. NULL: no memory. Takes the place
 * over, also then. */
struct node *node_new(mode_t type, struct place place);

/* Ends its node id and its number as well. */
void node_free(struct tree *tree, struct node *node);

/* Its extra, made when it has none. NULL: no memory. */
struct extra *node_extra(struct node *node);
void node_free_extra(struct node *node);

/* Ends its node id: the kernel forgot it. */
void node_end_id(struct tree *tree, struct node *node);

/* The node after this one below top, parents first, for a walk that begins with
 * top; NULL: that was the last. */
struct node *node_next(const struct node *top, struct node *node);

/* What it is called from now on; the table of names does not know it (children.h).
 * Takes the place over. */
void node_call(struct node *node, struct place place);

#endif
