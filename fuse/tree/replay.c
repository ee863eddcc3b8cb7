/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From the records of a log to the tree, while the log is opened: which files
 * and directories there are, and their times. The rules are those of
 * ATTRIBUTES.md. Nothing here is reached once the mount serves requests.
 */
#include "tree/replay.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "keyed_hash.h"
#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/number.h"
#include "tree/owntime.h"
#include "tree/treename.h"
#include "xattr.h"

static int add_shown(struct tree *tree, struct node *dir, struct shown *shown, mode_t type,
		     uint64_t ino, struct node **out)
{
	int r = tree_add(tree, dir, tree_place_shown(tree, shown), type, out);

	tree->values_seen |= shown->value;
	return r ? r : number_early(tree, *out, ino);
}

/* Moves the file that stands where a directory must be. */
static int stand_aside(struct tree *tree, struct node *dir, struct node *file,
		       const struct name_part *part)
{
	struct place place = tree_free_place(tree, dir, part, true);

	tree->values_seen = true;
	if (!place.name)
		return ENOMEM;
	tree_move(tree, file, dir, place, NULL);
	return 0;
}

/* Where in a key, and in the tree, a walk has come to. */
struct spot {
	struct node *dir;
	struct name_part part; /* to be found in it */
	uint64_t hash;         /* ino_hash() of what stands before that */
};

/* Into the directory of this component, made when it is missing; when NULL: not made, and
 * ENOENT. */
static int make_dir(struct tree *tree, struct spot *spot, const struct record_time *when)
{
	const uint64_t hash = ino_hash(spot->hash, spot->part.raw, spot->part.len);
	struct node *child, *dir = spot->dir;
	struct shown shown;
	int r = when ? 0 : ENOENT;

	tree_show(tree, dir, &spot->part, false, &shown);
	child = tree_find_shown(tree, &shown);
	if (!child || !node_is_dir(child)) {
		if (child && !r)
			r = stand_aside(tree, dir, child, &spot->part);
		if (!r)
			r = add_shown(tree, dir, &shown, S_IFDIR, ino_of_hash(hash, true), &child);
		if (r)
			return -r;
		nodeattr_touched(tree, child, when->entered);
		nodeattr_touched(tree, dir, when->entered);
	}
	spot->dir = child;
	spot->hash = ino_hash(hash, "/", 1);
	return 0;
}

/* Whatever stands behind such a beginning is in that directory: name_next() goes on
 * there. */
static bool is_known(const struct known_dir *known, struct dwal_bytes key)
{
	if (!known->dir || key.len <= known->len)
		return false;
	return !known->len || memcmp(key.data, known->path, known->len) == 0;
}

/* The first len bytes of the key lead there. Without memory it is not known. */
static void know(struct known_dir *known, struct dwal_bytes key, size_t len,
		 const struct spot *spot)
{
	known->dir = NULL;
	if (len > known->capacity) {
		char *larger = realloc(known->path, len);
		if (!larger)
			return;
		known->path = larger;
		known->capacity = len;
	}
	if (len)
		memcpy(known->path, key.data, len);
	known->len = len;
	known->hash = spot->hash;
	known->dir = spot->dir;
}

/* Walks to the last component of a key, making directories on the way, or not: as
 * make_dir(). */
static int walk(struct tree *tree, struct dwal_bytes key, const struct record_time *when,
		struct spot *spot)
{
	struct known_dir *known = &tree->known;
	bool is_there = is_known(known, key);
	size_t cursor = is_there ? known->len : 0, len = cursor;
	int r = 0;

	spot->dir = is_there ? known->dir : tree->root;
	spot->hash = is_there ? known->hash : INO_HASH_START;
	while (!r && name_next(key.data, key.len, &cursor, &spot->part) && !spot->part.last) {
		r = make_dir(tree, spot, when);
		if (!r)
			len = cursor;
	}
	if (!is_there || len > known->len)
		know(known, key, len, spot);
	return r;
}

static struct node *find_entry(const struct tree *tree, const struct node *dir,
			       const struct name_part *part, bool is_dir)
{
	struct node *child = tree_find_part(tree, dir, part, false);

	if (child && node_is_dir(child) && !is_dir)
		child = tree_find_part(tree, dir, part, true);
	return child && node_is_dir(child) == is_dir ? child : NULL;
}

/* The file, or the directory, of a key; NULL when there is none. */
static struct node *find(const struct tree *tree, struct dwal_bytes key, bool is_dir)
{
	struct node *dir = tree->root;
	struct name_part part;
	size_t cursor = 0;

	if (is_dir && !key.len)
		return tree->root;
	while (dir && name_next(key.data, key.len, &cursor, &part) && !part.last)
		dir = find_entry(tree, dir, &part, true);
	return dir ? find_entry(tree, dir, &part, is_dir) : NULL;
}

/* Attributes whose value is not there (yet): they show from the next Put of
 * the key on, unless a Delete comes first. */
struct waiting {
	UT_hash_handle hh;
	struct attr attr;
	struct xattr *xattrs;
	struct record_place record;
	size_t key_len;
	char key[];
};

static struct record_place place_of(const struct dwal_record *record)
{
	return (struct record_place){record->segment, record->offset};
}

static unsigned hash_of(const struct tree *tree, struct dwal_bytes key)
{
	return (unsigned)keyed_hash(tree->hash_key, key.data, key.len);
}

static struct waiting *find_waiting(const struct tree *tree, struct dwal_bytes key)
{
	struct waiting *waiting;
	HASH_FIND_BYHASHVALUE(hh, tree->waiting, key.data, key.len, hash_of(tree, key), waiting);
	return waiting;
}

static void drop_waiting(struct tree *tree, struct waiting *waiting)
{
	HASH_DEL(tree->waiting, waiting);
	xattr_free(waiting->xattrs);
	free(waiting);
}

static int let_wait(struct tree *tree, const struct dwal_record *record, const struct attr *attr,
		    struct xattr *xattrs)
{
	struct dwal_bytes key = record->key;
	struct waiting *waiting = find_waiting(tree, key);

	if (waiting)
		drop_waiting(tree, waiting);
	waiting = calloc(1, sizeof(*waiting) + key.len + 1);
	if (!waiting) {
		xattr_free(xattrs);
		return -ENOMEM;
	}
	waiting->attr = *attr;
	waiting->attr.present &= ~(unsigned)(ATTR_HAS_MTIME | ATTR_HAS_ATIME | ATTR_HAS_CTIME);
	waiting->xattrs = xattrs;
	waiting->record = place_of(record);
	waiting->key_len = key.len;
	memcpy(waiting->key, key.data, key.len);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, tree->waiting, waiting->key, (unsigned)key.len,
				    hash_of(tree, key), waiting);
	if (waiting->hh.tbl)
		return 0;
	xattr_free(xattrs);
	free(waiting);
	return -ENOMEM;
}

void tree_each_waiting(const struct tree *tree, void (*fn)(void *ctx, struct dwal_bytes key),
		       void *ctx)
{
	for (const struct waiting *one = tree->waiting; one; one = one->hh.next)
		fn(ctx, (struct dwal_bytes){one->key, one->key_len});
}

/* The key has its value now. */
static int end_wait(struct tree *tree, struct dwal_bytes key, struct node *node)
{
	struct waiting *waiting = tree->waiting ? find_waiting(tree, key) : NULL;
	int r;

	if (!waiting)
		return 0;
	r = nodeattr_load(tree, node, &waiting->attr, waiting->xattrs, waiting->record);
	waiting->xattrs = NULL;
	drop_waiting(tree, waiting);
	return -r;
}

_Static_assert(PATH_MAX == 4096, "what an index file says of a value");

/* A target is a path: of the CLI's or somebody else's making it can be any
 * bytes, and of a damaged log none. An index file tells it without them. */
static bool can_be_target(const struct dwal_record *record)
{
	const struct dwal_bytes *value = &record->payload;

	if (!value->data)
		return record->is_text;
	return value->len > 0 && value->len < PATH_MAX && !memchr(value->data, 0, value->len);
}

/* The file, also where that stands beside a directory. *shown: what it is, or is to be. */
static struct node *find_file(const struct tree *tree, struct shown *shown)
{
	struct node *node = tree_find_shown(tree, shown);

	if (!node || !node_is_dir(node))
		return node;
	tree_show(tree, shown->dir, &shown->part, true, shown);
	return tree_find_shown(tree, shown);
}

/* A Put whose directory is there. */
struct put {
	struct node *dir;
	uint64_t ino;
	struct shown shown;
};

static int replay_put(struct tree *tree, struct put *put, const struct dwal_record *record,
		      const struct record_time *when)
{
	struct node *node = find_file(tree, &put->shown);
	bool made = !node;
	int r = made ? add_shown(tree, put->dir, &put->shown, S_IFREG, put->ino, &node) : 0;

	if (r)
		return -r;
	if (made || when->enters)
		nodeattr_touched(tree, put->dir, when->entered);
	node->published = true;
	node->size = (uint32_t)record->payload.len; /* at most DWAL_MAX_VALUE */
	node->can_be_target = can_be_target(record);
	r = end_wait(tree, record->key, node);
	if (r)
		return r;
	nodeattr_settle_type(node);
	return -nodeattr_put(tree, node, when->mtime, when->ctime);
}

/* when: as of make_dir(). */
static int begin_put(struct tree *tree, const struct dwal_record *record,
		     const struct record_time *when, struct put *put)
{
	struct spot spot;
	int r = walk(tree, record->key, when, &spot);

	if (r)
		return r;
	put->dir = spot.dir;
	put->ino = ino_of_hash(ino_hash(spot.hash, spot.part.raw, spot.part.len), false);
	tree_show(tree, spot.dir, &spot.part, false, &put->shown);
	return 0;
}

static void detach(struct tree *tree, struct node *node, const struct record_time *when)
{
	struct node *dir = node_parent(node);

	if (node == tree->known.dir)
		tree->known.dir = NULL;
	tree_detach(tree, node);
	if (when->removes)
		nodeattr_touched(tree, dir, when->time);
}

/* Directories that exist only through keys end with the last of them. */
static void prune(struct tree *tree, struct node *dir, const struct record_time *when)
{
	while (dir->parent && !node_first(dir) && !dir->recorded) {
		struct node *parent = node_parent(dir);
		detach(tree, dir, when);
		dir = parent;
	}
}

static void replay_delete(struct tree *tree, const struct dwal_record *record,
			  const struct record_time *when)
{
	struct waiting *waiting = tree->waiting ? find_waiting(tree, record->key) : NULL;
	struct node *node = find(tree, record->key, false);
	struct node *dir;

	if (waiting)
		drop_waiting(tree, waiting);
	if (!node)
		return;
	dir = node_parent(node);
	detach(tree, node, when);
	prune(tree, dir, when);
}

static int make_recorded_dir(struct tree *tree, struct dwal_bytes key,
			     const struct record_time *when, struct node **out)
{
	struct spot spot;
	int r = walk(tree, key, when, &spot);

	if (!r)
		r = make_dir(tree, &spot, when);
	*out = spot.dir;
	return r;
}

static int replay_dir(struct tree *tree, const struct dwal_record *record, const struct attr *attr,
		      struct xattr *xattrs, const struct record_time *when)
{
	struct dwal_bytes key = record->key;
	struct node *dir = tree->root;
	/* No directory has such a path: the last component would be empty. */
	bool impossible = key.len && ((const char *)key.data)[key.len - 1] == '/';
	int r = 0;

	if (key.len && !impossible)
		r = make_recorded_dir(tree, key, when, &dir);
	if (!r && !impossible && when->enters && dir->parent)
		nodeattr_touched(tree, node_parent(dir), when->entered);
	if (!r && !impossible)
		return -nodeattr_load(tree, dir, attr, xattrs, place_of(record));
	xattr_free(xattrs);
	return r;
}

static void settle(struct tree *tree, struct node *node, struct own_times *times)
{
	struct timespec mtime = node_mtime(node);

	if (is_time_of_segment(mtime))
		node_set_mtime(tree, node, own_time(times, (uint32_t)mtime.tv_sec));
}

int tree_replay_end(struct tree *tree, const struct logtime *logtime, segment_time_fn *segment_time,
		    void *ctx)
{
	struct own_times times = {.logtime = logtime, .segment_time = segment_time, .ctx = ctx};
	struct waiting *waiting, *after;
	int r;

	HASH_ITER (hh, tree->waiting, waiting, after)
		drop_waiting(tree, waiting);
	for (struct node *node = tree->root; node; node = node_next(tree->root, node))
		settle(tree, node, &times);
	free(tree->known.path);
	tree->known = (struct known_dir){.dir = NULL};
	slots_settle(&tree->names);
	tree->names.is_patient = tree->slab.is_patient = false;
	r = tree->root ? number_all(tree) : 0;
	tree->replayed = true;
	return -r;
}

static int replay_attr(struct tree *tree, const struct dwal_record *record, const struct attr *attr,
		       const struct record_time *when)
{
	struct node *node = find(tree, record->key, attr_is_dir(attr));
	struct xattr *xattrs;
	int r;

	if (attr->type == ATTR_NONE) {
		if (node) {
			node_free_extra(tree, node);
			node->recorded = false;
			prune(tree, node, when);
		}
		return 0;
	}
	r = attr_parse_xattrs(record->payload.data, record->payload.len, &xattrs);
	if (r)
		return -r;
	if (attr->type == ATTR_DIR)
		return replay_dir(tree, record, attr, xattrs, when);
	return node ? -nodeattr_load(tree, node, attr, xattrs, place_of(record))
		    : let_wait(tree, record, attr, xattrs);
}

int tree_replay(struct tree *tree, const struct dwal_record *record, const struct record_time *when)
{
	struct attr attr;
	struct put put;
	int r;

	switch (record->type) {
	case DWAL_PUT:
		r = begin_put(tree, record, when, &put);
		return r ? r : replay_put(tree, &put, record, when);
	case DWAL_DELETE:
		replay_delete(tree, record, when);
		return 0;
	case DWAL_RAW:
		if (!attr_parse(record->payload.data, record->payload.len, &attr))
			return 0;
		tree->contested |= (attr.present & ATTR_HAS_INO) != 0;
		return replay_attr(tree, record, &attr, when);
	}
	return 0;
}

/* The first of them that are Puts into directories that are there: a Put takes none away, so
 * they still are when it is their turn. Has the memory fetched that they need. */
static size_t look_ahead(struct tree *tree, const struct replay_entry *entries, size_t n,
			 struct put *puts)
{
	for (size_t i = 0; i < n; i++) {
		const struct dwal_record *record = entries[i].record;

		if (record->type != DWAL_PUT || begin_put(tree, record, NULL, &puts[i]))
			return i;
		node_expect(tree, puts[i].dir, puts[i].shown.hash);
		number_expect(tree, puts[i].ino);
	}
	return n;
}

int tree_replay_some(struct tree *tree, const struct replay_entry *entries, size_t n)
{
	struct put puts[TREE_REPLAY_SOME];
	int r = 0;

	for (size_t i = 0; !r && i < n;) {
		size_t ready = look_ahead(tree, entries + i, n - i, puts);

		for (size_t k = 0; !r && k < ready; k++)
			r = replay_put(tree, &puts[k], entries[i + k].record, entries[i + k].when);
		i += ready;
		if (!r && i < n) {
			r = tree_replay(tree, entries[i].record, entries[i].when);
			i++;
		}
	}
	return r;
}

bool tree_replay_brief(struct dwal_record *record)
{
	struct attr attr;

	if (record->type == DWAL_RAW)
		return attr_parse(record->payload.data, record->payload.len, &attr);
	record->is_text = record->type == DWAL_PUT && can_be_target(record);
	record->payload.data = NULL;
	return true;
}
