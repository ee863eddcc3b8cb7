/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Nodes, names and keys. Iterative throughout: a key can be 32,768 components
 * deep.
 *
 * The conflict of a key with a directory of the same path is solved here:
 * while directory `a` exists, the file of key `a` is the node `a\value` beside
 * it. Only leave_place() ends such a conflict and only replay begins one:
 * through the mount no directory can be made where a file is.
 */
#include "nodeattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tree_init(struct fs *fs)
{
	int r = nodeid_init(&fs->ids);

	if (r)
		return -r;
	fs->next_ino = 1;
	fs->root = calloc(1, sizeof(*fs->root));
	if (!fs->root)
		return -ENOMEM;
	fs->root->ino = fs->next_ino++;
	fs->root->type = S_IFDIR;
	fs->root->mtime = fs->started;
	return 0;
}

static void end_id(struct fs *fs, struct node *node)
{
	if (node->slot != NODEID_NONE)
		nodeid_give_back(&fs->ids, node->slot);
	node->slot = NODEID_NONE;
}

static void free_node(struct fs *fs, struct node *node)
{
	end_id(fs, node);
	nodeattr_free(node);
	free(node->name);
	free(node);
}

void tree_release(struct fs *fs)
{
	struct node *dir = fs->root, *lost;
	uint32_t slot = NODEID_NONE;

	while (dir) {
		struct node *child = dir->children;
		if (child && node_is_dir(child) && child->children) {
			dir = child;
		} else if (child) {
			HASH_DEL(dir->children, child);
			free_node(fs, child);
		} else {
			struct node *parent = dir->parent;
			if (parent)
				HASH_DEL(parent->children, dir);
			free_node(fs, dir);
			dir = parent;
		}
	}
	fs->root = NULL;
	/* What has lost its place is there only because the kernel knows it. */
	while ((lost = nodeid_next(&fs->ids, &slot)))
		free_node(fs, lost);
	nodeid_release(&fs->ids);
}

int tree_give_id(struct fs *fs, struct node *node)
{
	if (node == fs->root || node->slot != NODEID_NONE)
		return 0;
	return nodeid_take(&fs->ids, node, &node->slot);
}

uint64_t tree_id(const struct fs *fs, const struct node *node)
{
	if (node == fs->root)
		return TREE_ROOT_ID;
	return node->slot != NODEID_NONE ? nodeid_of(&fs->ids, node->slot) : 0;
}

struct node *tree_node(const struct fs *fs, uint64_t id)
{
	return id == TREE_ROOT_ID ? fs->root : nodeid_find(&fs->ids, id);
}

struct node *tree_child(const struct node *dir, const char *name)
{
	struct node *child;
	HASH_FIND_STR(dir->children, name, child);
	return child;
}

/* Behind the NUL of a name in the long form stand the length and the bytes of
 * the raw component, which the name does not tell. */
static char *make_name(const struct name_part *part, bool value_suffix)
{
	char shown[NAME_SIZE];
	bool is_long = name_encode(part, value_suffix, shown) == NAME_IS_LONG;
	size_t n = strlen(shown) + 1;
	char *name = malloc(n + (is_long ? sizeof(part->len) + part->len : 0));

	if (!name)
		return NULL;
	memcpy(name, shown, n);
	if (is_long) {
		memcpy(name + n, &part->len, sizeof(part->len));
		memcpy(name + n + sizeof(part->len), part->raw, part->len);
	}
	return name;
}

/* The component of a name that a node has, or could have; raw is room for it. */
static struct name_part part_of(const struct fs *fs, const struct node *dir, const char *name,
				bool is_dir, char raw[NAME_SIZE])
{
	struct name_part part = {.raw = raw, .first = dir == fs->root};
	bool value;

	if (name_is_long(name)) {
		const char *behind = name + strlen(name) + 1;
		memcpy(&part.len, behind, sizeof(part.len));
		part.raw = behind + sizeof(part.len);
	} else {
		/* it is in the tree, or was checked: it decodes */
		(void)name_decode(name, part.first, is_dir ? NAME_DIR : NAME_FILE, raw, &part.len,
				  &value);
	}
	return part;
}

static bool has_part(const struct fs *fs, const struct node *node, const struct name_part *part,
		     bool value)
{
	char raw[NAME_SIZE];
	struct name_part own;

	if (!name_is_long(node->name) || node->value != value)
		return false;
	own = part_of(fs, node->parent, node->name, node_is_dir(node), raw);
	return own.len == part->len && memcmp(own.raw, part->raw, own.len) == 0;
}

struct node *tree_find_part(const struct fs *fs, const struct node *dir,
			    const struct name_part *part, bool value)
{
	char name[NAME_SIZE];
	bool is_long = name_encode(part, value, name) == NAME_IS_LONG;
	struct node *child = tree_child(dir, name);

	if (!is_long || (child ? has_part(fs, child, part, value) : !fs->collided))
		return child;
	for (child = dir->children; child; child = child->hh.next)
		if (has_part(fs, child, part, value))
			return child;
	return NULL;
}

/* The next name that ends in 32 hex digits. */
static void count_up(char *name)
{
	char *digit = name + strlen(name) - 1;

	for (; *digit == 'f'; digit--)
		*digit = '0';
	*digit = *digit == '9' ? 'a' : (char)(*digit + 1);
}

char *tree_free_name(struct fs *fs, const struct node *dir, const struct name_part *part,
		     bool value)
{
	char *name = make_name(part, value);

	while (name && name_is_long(name) && tree_child(dir, name)) {
		fs->collided = true;
		count_up(name);
	}
	return name;
}

char *tree_name_copy(const struct fs *fs, const struct node *node)
{
	char raw[NAME_SIZE];
	struct name_part part;

	if (!name_is_long(node->name))
		return strdup(node->name);
	part = part_of(fs, node->parent, node->name, node_is_dir(node), raw);
	return make_name(&part, node->value);
}

/* The directory with which the file name\value in dir would be in conflict. */
static struct node *conflicting_dir(const struct node *dir, const char *name)
{
	char base[NAME_SIZE];
	size_t len = strlen(name) - strlen(NAME_VALUE_SUFFIX);
	struct node *child;

	memcpy(base, name, len);
	base[len] = '\0';
	child = tree_child(dir, base);
	return child && node_is_dir(child) ? child : NULL;
}

int tree_check_name(const struct fs *fs, const struct node *dir, const char *name, mode_t type)
{
	char raw[NAME_SIZE], key[DWAL_MAX_KEY];
	size_t len;
	bool value;
	int r = name_decode(name, dir == fs->root, S_ISDIR(type) ? NAME_DIR : NAME_FILE, raw, &len,
			    &value);
	if (r)
		return -r;
	if (value && !conflicting_dir(dir, name))
		return EINVAL;
	if (tree_child(dir, name))
		return EEXIST;
	return tree_name_key(fs, dir, name, S_ISDIR(type), key, &len);
}

bool tree_is_value_name(const struct fs *fs, const struct node *dir, const char *name)
{
	char raw[NAME_SIZE];
	size_t len;
	bool value = false;

	return !name_decode(name, dir == fs->root, NAME_FILE, raw, &len, &value) && value;
}

static int give_place(struct node *dir, struct node *node)
{
	HASH_ADD_KEYPTR(hh, dir->children, node->name, strlen(node->name), node);
	if (!node->hh.tbl)
		return ENOMEM; /* what uthash leaves when it has no memory */
	node->parent = dir;
	dir->subdirs += node_is_dir(node);
	return 0;
}

static void take_place(struct node *node)
{
	HASH_DEL(node->parent->children, node);
	node->parent->subdirs -= node_is_dir(node);
	node->parent = NULL;
}

int tree_add(struct fs *fs, struct node *dir, char *name, mode_t type, struct node **out)
{
	struct node *node = calloc(1, sizeof(*node));
	if (!node) {
		free(name);
		return ENOMEM;
	}
	node->name = name;
	node->ino = fs->next_ino++;
	node->type = type & S_IFMT;
	node->mtime = fs_now();
	if (!node->name || give_place(dir, node)) {
		free_node(fs, node);
		return ENOMEM;
	}
	*out = node;
	return 0;
}

static void free_if_unused(struct fs *fs, struct node *node)
{
	if (!node_has_place(fs, node) && !node->holds && !node->lookups)
		free_node(fs, node);
}

/* The directory has lost its place in parent: the file that had to stand aside
 * for it shows under its own name. */
static void end_conflict(struct fs *fs, struct node *parent, const struct name_part *part)
{
	struct node *file = tree_find_part(fs, parent, part, true);
	char *own = file ? tree_free_name(fs, parent, part, false) : NULL;

	if (!own)
		return;
	take_place(file);
	free(file->name);
	file->name = own;
	file->value = false;
	(void)give_place(parent, file); /* has the memory that take_place() freed */
}

static void leave_place(struct fs *fs, struct node *node)
{
	char raw[NAME_SIZE];
	struct node *parent = node->parent;
	struct name_part part = part_of(fs, parent, node->name, node_is_dir(node), raw);

	take_place(node);
	if (node_is_dir(node))
		end_conflict(fs, parent, &part);
}

void tree_give_way(struct fs *fs, struct node *dir)
{
	take_place(dir);
	free_if_unused(fs, dir);
}

void tree_detach(struct fs *fs, struct node *node)
{
	leave_place(fs, node);
	free_if_unused(fs, node);
}

int tree_move(struct fs *fs, struct node *node, struct node *dir, char *name, bool value)
{
	leave_place(fs, node);
	free(node->name);
	node->name = name;
	node->value = value;
	return give_place(dir, node);
}

void tree_hold(struct node *node)
{
	node->holds++;
}

void tree_drop(struct fs *fs, struct node *node)
{
	node->holds--;
	free_if_unused(fs, node);
}

void tree_forget(struct fs *fs, struct node *node, uint64_t lookups)
{
	if (node == fs->root)
		return;
	node->lookups -= lookups < node->lookups ? lookups : node->lookups;
	if (!node->lookups) {
		end_id(fs, node);
		node->cache_stale = false;
	}
	free_if_unused(fs, node);
}

/* Puts len bytes, and a separator behind them unless they are the last, before
 * what stands at key + *at. */
static int prepend(char *key, size_t *at, const char *raw, size_t len, bool last)
{
	size_t slash = last ? 0 : 1;

	if (len + slash > *at)
		return ENAMETOOLONG;
	*at -= len + slash;
	memcpy(key + *at, raw, len);
	if (slash)
		key[*at + len] = '/';
	return 0;
}

int tree_name_key(const struct fs *fs, const struct node *dir, const char *name, bool is_dir,
		  char *key, size_t *key_len)
{
	char raw[NAME_SIZE];
	size_t at = DWAL_MAX_KEY; /* filled from the end */
	const struct node *child = tree_child(dir, name);
	struct name_part part;
	int r;

	if (!child && name_is_long(name))
		return EINVAL;
	part = part_of(fs, dir, child ? child->name : name, is_dir, raw);
	r = prepend(key, &at, part.raw, part.len, true);
	for (const struct node *n = dir; n->parent && !r; n = n->parent) {
		part = part_of(fs, n->parent, n->name, true, raw);
		r = prepend(key, &at, part.raw, part.len, false);
	}
	if (r)
		return r;
	*key_len = DWAL_MAX_KEY - at;
	memmove(key, key + at, *key_len);
	return 0;
}

int tree_key(const struct fs *fs, const struct node *node, char *key, size_t *key_len)
{
	if (node == fs->root) {
		*key_len = 0;
		return 0;
	}
	return tree_name_key(fs, node->parent, node->name, node_is_dir(node), key, key_len);
}

char *tree_path(const struct node *node)
{
	size_t len = 0;
	char *path;

	for (const struct node *n = node; n->parent; n = n->parent)
		len += strlen(n->name) + 1;
	path = malloc(len + 1);
	if (!path)
		return NULL;
	path[len ? len - 1 : 0] = '\0';
	for (const struct node *n = node; n->parent; n = n->parent) {
		size_t part = strlen(n->name);
		len -= part + 1;
		memcpy(path + len, n->name, part);
		if (n != node)
			path[len + part] = '/';
	}
	return path;
}

int tree_list(const struct node *dir, struct listing *listing)
{
	for (struct node *n = dir->children; n; n = n->hh.next) {
		int r = listing_add(listing, n->name, n->ino, n->type);
		if (r)
			return r;
	}
	return 0;
}
