/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes and the tree that they hang in: what they consist of, and their places
 * in a directory as raw names. What a name means is treename.h's, what may be
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

#define HASH_NONFATAL_OOM              1
#define HASH_FUNCTION(key, len, hashv) ((hashv) = dwal_crc32c(0, (key), (len)))
#include <uthash.h>

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

/* Everything is protected by the tree's lock, except what says "constant". */
struct node {
	UT_hash_handle hh;     /* in parent->children, by name */
	struct node *parent;   /* NULL: the root, or without a place */
	struct node *children; /* of a directory */
	char *name;            /* as in the directory: escaped */
	char *alias;           /* of a file: the name beside a directory that was, or NULL */
	uint64_t ino;          /* number.h; constant once the log was replayed */
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
	bool recorded;         /* has an attribute record in force: extra->record */
	bool cache_stale;      /* a staging was dropped: no page is kept from open to open */
	atomic_bool time_set;  /* by utimensat(2), since the last change, FLUSH or FSYNC */
	bool vanished;         /* lost its place behind the kernel's back: ESTALE */
	uint64_t size;         /* as shown: staged, else published */
	struct timespec mtime;
	int64_t read_at;     /* ns: access time given by a read, not in the log; 0: none */
	struct extra *extra; /* NULL: all defaults */
	struct stage *stage; /* while open or with an unpublished change */
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
	struct node *root;       /* constant */
	struct waiting *waiting; /* replay.c; only while the log is opened */
	bool replayed;           /* the log was read: the names are seen; then constant */

	pthread_mutex_t lock; /* see fs.h for its order; protects what follows, and all nodes */
	struct nodeids ids;   /* the nodes that the kernel knows */
	struct inos inos;     /* the numbers of all nodes but the root */
	struct node **owed;   /* directories, held, whose times are to be told: tree_owe_times() */
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
 * node say. name is NULL where there was no memory. */
struct place {
	char *name, *alias; /* allocated */
	bool is_long, value;
};

void place_release(struct place *place);

/* The rest wants the tree's lock. */

/* A node that is nowhere yet and has no number, of this S_IFMT type, with default
 * attributes and now as its time. NULL: no memory. */
struct node *node_new(mode_t type);

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

/* What has this name in dir, or NULL. */
struct node *node_child(const struct node *dir, const char *name);

/* What it is called, without being in a directory. Takes the place over. */
void node_call(struct node *node, struct place place);

/* Into dir under the name that it has, and out of it. 0 or ENOMEM; with the
 * memory that leaving a place has just freed never the latter. */
int node_enter(struct node *node, struct node *dir);
void node_leave(struct node *node);

/* Another name in its directory. Takes the place over. */
void node_rename(struct node *node, struct place place);

#endif
