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
#include "slots.h"
#include "tree/nodeid.h"
#include "tree/shorttime.h"
#include "tree/slab.h"

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

/* What the kernel and who runs in here have of a node; nodes that nobody has asked
 * for have none. */
struct use {
	uint64_t lookups; /* the kernel's references */
	int64_t read_at;  /* access time given by a read (shorttime.h), not in the log; 0: none */
	struct stage *stage;  /* while open or with an unpublished change */
	uint32_t holds;       /* ours: open handles, running operations */
	uint32_t slot;        /* of its node id, or NODEID_NONE */
	pid_t maker;          /* of a directory: who made it in this mount, or 0 */
	atomic_bool time_set; /* by utimensat(2), since the last change, FLUSH or FSYNC */
	bool cache_stale;     /* a staging was dropped: no page is kept from open to open */
	bool vanished;        /* lost its place behind the kernel's back: ESTALE */
};

/* Everything is protected by the tree's lock, except what says "constant". It lies
 * in the tree's slab, as its extra and its use do: what they say of others are
 * references, for the functions below.
 *
 * There is one for each component of each key, so its size counts: SEMANTICS.md
 * says how much one costs. References instead of pointers make 28 bytes less of
 * it, a use apart 40. */
struct node {
	slab_ref parent;     /* none: the root, or without a place */
	slab_ref prev, next; /* in parent's children; the first one's prev is the last */
	slab_ref extra;      /* none: all defaults */
	uint64_t seat;       /* children.h: its place in a listing */
	uint64_t ino;        /* number.h; constant once the log was replayed */
	int64_t mtime;       /* node_mtime() */
	slab_ref use;
	union {
		uint32_t size;     /* of a file, as shown: staged, else published */
		slab_ref children; /* of a directory: the first one */
	};
	uint8_t kind;           /* node_type(); constant once the node is in use */
	uint8_t units;          /* of memory that it has */
	bool published;         /* a file: the log has a live Put of its key */
	bool is_long : 1;       /* the name is a long form: name.h */
	bool aliased : 1;       /* the name has an alias */
	bool apart : 1;         /* the name has a memory of its own */
	bool value : 1;         /* a file: stands aside for a directory of its name */
	bool can_be_target : 1; /* a file, as replayed: its value could be a link's */
	bool recorded : 1;      /* has an attribute record in force: extra's record */
	bool implied : 1;       /* made by who made a value, and is yet to make it: beside.h */
	bool is_read : 1;       /* a directory: somebody goes over its entries */
	char rest[];            /* of a directory the number of those in it; then the name */
};

/* What a tree shows where no record says otherwise. */
struct tree_options {
	uid_t uid; /* owner of everything */
	gid_t gid;
	mode_t umask;
	bool shows_log;    /* .log is one of the root's directories */
	bool counts_reads; /* reading changes times of access */
};

/* The directory that the last record was about: most are about the same one as that
 * before, and need not look for it again. */
struct known_dir {
	struct node *dir; /* NULL: none */
	char *path;       /* what the keys in it begin with, the last separator included */
	size_t len, capacity;
	uint64_t hash; /* ino_hash() of that */
};

/* All nodes of one log at one moment. There can be several. */
struct tree {
	struct tree_options opt; /* constant */
	uint64_t hash_key;       /* random: nobody else knows where names lie; constant */
	struct node *root;       /* constant */
	struct waiting *waiting; /* replay.c; only while the log is opened, as the next */
	struct known_dir known;
	bool replayed;  /* the log was read: the names are seen; then constant */
	bool contested; /* number.h: two nodes may want one number; as long as the log is read */

	pthread_mutex_t lock; /* see fs.h for its order; protects what follows, and all nodes */
	_Atomic(const void *) holder; /* who has it; for tree_wants_lock() alone */
	struct slab slab;             /* the nodes, with what they have */
	struct slots names;           /* of all directories: children.c's */
	uint64_t next_seat;           /* children.h */
	struct cursor *cursors;       /* children.h: those that were started (DL list) */
	struct nodeids ids;           /* the nodes that the kernel knows */
	struct slots numbers;         /* of all nodes but the root, those in use: number.c's */
	uint64_t others;              /* numbers drawn for one that was in use */
	struct node **owed; /* directories, held, whose times are to be told: tree_owe_times() */
	size_t owed_count, owed_capacity;
	bool long_names;         /* a node has had one in the long form */
	bool collided;           /* two components had one of these */
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

/* A node in a table. */
static inline uint32_t node_ref(const struct tree *tree, const struct node *node)
{
	return (uint32_t)slab_ref_to(tree->slab.base, node);
}

static inline struct node *node_at(const struct tree *tree, uint32_t ref)
{
	return slab_at(tree->slab.base, (slab_ref)ref);
}

/* S_IFMT bits. Constant once the node is in use. */
static inline mode_t node_type(const struct node *node)
{
	return (mode_t)node->kind << 12;
}

static inline bool node_is_dir(const struct node *node)
{
	return S_ISDIR(node_type(node));
}

/* NULL: it is the root, or without a place. */
static inline struct node *node_parent(const struct node *node)
{
	return slab_at(node, node->parent);
}

/* What comes first in a directory, and what comes behind; or NULL. */
static inline struct node *node_first(const struct node *dir)
{
	return node_is_dir(dir) ? slab_at(dir, dir->children) : NULL;
}

static inline struct node *node_behind(const struct node *node)
{
	return slab_at(node, node->next);
}

/* What it has, or NULL. */
static inline struct extra *node_extra(const struct node *node)
{
	return slab_at(node, node->extra);
}

static inline struct use *node_use(const struct node *node)
{
	return slab_at(node, node->use);
}

/* As far as somebody has asked for the node: or NULL, 0 and false. */
static inline struct stage *node_stage(const struct node *node)
{
	return node->use ? node_use(node)->stage : NULL;
}

static inline uint64_t node_lookups(const struct node *node)
{
	return node->use ? node_use(node)->lookups : 0;
}

static inline pid_t node_maker(const struct node *node)
{
	return node->use ? node_use(node)->maker : 0;
}

static inline bool node_vanished(const struct node *node)
{
	return node->use && node_use(node)->vanished;
}

/* Bytes of a file, as shown. */
static inline uint32_t node_size(const struct node *node)
{
	return node_is_dir(node) ? 0 : node->size;
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
	char *name;    /* allocated, unless: */
	bool borrowed; /* it is somebody's, who keeps it until a new node is called so */
	bool is_long, value, aliased;
	uint32_t hash; /* in that directory, as children.h has it; 0: not told */
	size_t size;   /* bytes of it, with all that stands behind */
};

void place_release(struct place *place);

/* The rest wants the tree's lock. */

/* A node that is nowhere yet and has no number, of this S_IFMT type, with default
 * attributes and now as its time, and called so. NULL: no memory. Takes the place
 * over, also then. */
struct node *node_new(struct tree *tree, mode_t type, struct place place);

/* Ends its node id and its number as well. */
void node_free(struct tree *tree, struct node *node);

/* As it is called in its directory: escaped; see struct place. Valid until it is
 * called otherwise. */
const char *node_name(const struct node *node);

/* Of a directory: the number of those in it, and one more or less. */
uint32_t node_subdirs(const struct node *dir);
void node_count_subdir(struct node *dir, int more);

/* The time of the last change of content. */
struct timespec node_mtime(const struct node *node);

/* A time that is not of 1697 to 2514 needs an extra; without memory for it, the
 * nearest that is. */
void node_set_mtime(struct tree *tree, struct node *node, struct timespec mtime);

/* Its extra and its use, made when it has none. NULL: no memory. */
struct extra *node_make_extra(struct tree *tree, struct node *node);
struct use *node_make_use(struct tree *tree, struct node *node);

/* All defaults again; the time of change stays. */
void node_free_extra(struct tree *tree, struct node *node);

/* Ends its use when that says nothing any more: nobody holds the node, and the
 * kernel does not know it. */
void node_end_use(struct tree *tree, struct node *node);

/* Gives it a node id, unless it has one. 0 or ENOMEM. */
int node_give_id(struct tree *tree, struct node *node);

/* Ends its node id: the kernel forgot it. */
void node_end_id(struct tree *tree, struct node *node);

/* The node after this one below top, parents first, for a walk that begins with
 * top; NULL: that was the last. */
struct node *node_next(const struct node *top, struct node *node);

/* What it is called from now on; the table of names does not know it (children.h).
 * Takes the place over. */
void node_call(struct node *node, struct place place);

#endif
