/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What nodes are called: names in directories, and the keys that they stand
 * for. Iterative throughout.
 */
#include "tree/treename.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/children.h"

/* Behind the NUL of a name in the long form stand the length and the bytes of
 * the raw component, which the name does not tell. */
static struct place make_place(const struct shown *shown)
{
	const struct name_part *part = &shown->part;
	struct place place = {.is_long = shown->is_long, .value = shown->value};
	size_t n = strlen(shown->name) + 1;

	place.size = n + (shown->is_long ? sizeof(part->len) + part->len : 0);
	place.name = malloc(place.size);
	if (!place.name)
		return place;
	memcpy(place.name, shown->name, n);
	if (shown->is_long) {
		memcpy(place.name + n, &part->len, sizeof(part->len));
		memcpy(place.name + n + sizeof(part->len), part->raw, part->len);
	}
	return place;
}

/* The component of a name that is checked or in the tree, and no long form: what has
 * no backslash is that itself. raw: where another one is put. */
static struct name_part decoded(const struct tree *tree, const struct node *dir, const char *name,
				bool is_dir, char raw[NAME_SIZE], bool *value)
{
	struct name_part part = {.raw = name, .first = dir == tree->root};

	part.len = (size_t)(strchrnul(name, '\\') - name);
	*value = false;
	if (!name[part.len])
		return part;
	part.raw = raw;
	(void)name_decode(name, part.first, is_dir ? NAME_DIR : NAME_FILE, raw, &part.len, value);
	return part;
}

struct name_part tree_part(const struct tree *tree, const struct node *node, char raw[NAME_SIZE])
{
	struct name_part part = {.first = node_parent(node) == tree->root};
	const char *name = node_name(node), *behind;
	bool value;

	if (!node->is_long)
		return decoded(tree, node_parent(node), name, node_is_dir(node), raw, &value);
	behind = name + strlen(name) + 1;
	memcpy(&part.len, behind, sizeof(part.len));
	part.raw = behind + sizeof(part.len);
	return part;
}

/* Is this node, under a name in the long form, that of the component? */
static bool has_part(const struct tree *tree, const struct node *node, const struct name_part *part,
		     bool value)
{
	char raw[NAME_SIZE];
	struct name_part own;

	if (!node->is_long || node->value != value)
		return false;
	own = tree_part(tree, node, raw);
	return own.len == part->len && memcmp(own.raw, part->raw, own.len) == 0;
}

void tree_show(const struct tree *tree, const struct node *dir, const struct name_part *part,
	       bool value, struct shown *out)
{
	out->dir = dir;
	out->part = *part;
	out->value = value;
	out->is_long = name_encode(part, value, out->name) == NAME_IS_LONG;
	out->hash = node_hash(tree, dir, out->name);
}

struct node *tree_find_shown(const struct tree *tree, const struct shown *shown)
{
	const struct name_part *part = &shown->part;
	struct node *child = node_child_by(tree, shown->dir, shown->name, shown->hash);

	if (!shown->is_long)
		return child && !child->is_long ? child : NULL;
	if (child ? has_part(tree, child, part, shown->value) : !tree->collided)
		return child;
	for (child = node_first(shown->dir); child; child = node_behind(child))
		if (has_part(tree, child, part, shown->value))
			return child;
	return NULL;
}

struct node *tree_find_part(const struct tree *tree, const struct node *dir,
			    const struct name_part *part, bool value)
{
	struct shown shown;

	tree_show(tree, dir, part, value, &shown);
	return tree_find_shown(tree, &shown);
}

/* The next name that ends in 32 hex digits. */
static void count_up(char *name)
{
	char *digit = name + strlen(name) - 1;

	for (; *digit == 'f'; digit--)
		*digit = '0';
	*digit = *digit == '9' ? 'a' : (char)(*digit + 1);
}

/* For a component in the long form: its name, or the next that is free. */
static struct place make_long_place(struct tree *tree, const struct shown *shown)
{
	struct place place = make_place(shown);

	while (place.name && node_child(tree, shown->dir, place.name)) {
		tree->collided = true;
		count_up(place.name);
	}
	return place;
}

/* A name that spells its component is that component's. 0 or ENOMEM. */
static int make_way(struct tree *tree, const struct node *dir, const char *name)
{
	char raw[NAME_SIZE];
	struct node *other = node_child(tree, dir, name);
	struct name_part part;
	struct shown shown;
	struct place place;

	if (!other || !other->is_long)
		return 0;
	part = tree_part(tree, other, raw);
	tree_show(tree, dir, &part, other->value, &shown);
	place = make_long_place(tree, &shown);
	if (!place.name)
		return ENOMEM;
	node_rename(tree, other, place);
	return 0;
}

struct place tree_place_shown(struct tree *tree, struct shown *shown)
{
	tree->long_names |= shown->is_long;
	if (shown->is_long)
		return make_long_place(tree, shown);
	if (tree->long_names && make_way(tree, shown->dir, shown->name))
		return (struct place){0};
	return (struct place){
		.name = shown->name,
		.borrowed = true,
		.value = shown->value,
		.hash = shown->hash,
		.size = strlen(shown->name) + 1,
	};
}

struct place tree_free_place(struct tree *tree, const struct node *dir,
			     const struct name_part *part, bool value)
{
	struct shown shown;
	struct place place;

	tree_show(tree, dir, part, value, &shown);
	place = tree_place_shown(tree, &shown);
	return place.borrowed ? make_place(&shown) : place;
}

struct place tree_name_place(const struct tree *tree, const struct node *dir, const char *name,
			     bool is_dir)
{
	char raw[NAME_SIZE];
	struct place place = {.name = strdup(name), .size = strlen(name) + 1};

	(void)decoded(tree, dir, name, is_dir, raw, &place.value);
	return place;
}

/* The bytes of a node's name, with what stands behind it but for the alias. */
static size_t name_size(const struct node *node)
{
	const char *name = node_name(node);
	size_t size = strlen(name) + 1, len;

	if (!node->is_long)
		return size;
	memcpy(&len, name + size, sizeof(len));
	return size + sizeof(len) + len;
}

static const char *alias_of(const struct node *node)
{
	return node_name(node) + name_size(node);
}

static bool has_alias(const struct node *node, const char *name)
{
	return node->aliased && strcmp(alias_of(node), name) == 0;
}

void place_add_alias(struct place *place, const char *alias)
{
	size_t len = strlen(alias) + 1;
	char *larger = realloc(place->name, place->size + len);

	if (!larger)
		return;
	memcpy(larger + place->size, alias, len);
	place->name = larger;
	place->size += len;
	place->aliased = true;
}

struct place tree_place_copy(const struct node *node)
{
	size_t size = name_size(node);
	struct place place = {.is_long = node->is_long, .value = node->value};

	place.aliased = node->aliased;
	place.size = node->aliased ? size + strlen(alias_of(node)) + 1 : size;
	place.name = malloc(place.size);
	if (place.name)
		memcpy(place.name, node_name(node), place.size);
	return place;
}

struct node *tree_lookup(const struct tree *tree, const struct node *dir, const char *name)
{
	struct node *child = node_child(tree, dir, name);

	if (child || !tree->aliases)
		return child;
	child = tree_beside(tree, dir, name);
	if (child)
		return has_alias(child, name) ? child : NULL;
	/* of one in the long form its own name cannot be told */
	if (!strstr(name, "\\long-"))
		return NULL;
	for (child = node_first(dir); child; child = node_behind(child))
		if (has_alias(child, name))
			return child;
	return NULL;
}

bool tree_value_base(const char *name, char base[NAME_SIZE])
{
	size_t suffix = strlen(NAME_VALUE_SUFFIX), len = strlen(name);

	if (len < suffix || len > NAME_MAX || strcmp(name + len - suffix, NAME_VALUE_SUFFIX) != 0)
		return false;
	memcpy(base, name, len - suffix);
	base[len - suffix] = '\0';
	return true;
}

struct node *tree_beside(const struct tree *tree, const struct node *dir, const char *name)
{
	char base[NAME_SIZE];

	return tree_value_base(name, base) ? node_child(tree, dir, base) : NULL;
}

/* The bytes of the key of a component of so many in dir. */
static size_t key_size(const struct tree *tree, const struct node *dir, size_t len)
{
	char raw[NAME_SIZE];

	for (const struct node *n = dir; n->parent; n = node_parent(n))
		len += tree_part(tree, n, raw).len + 1;
	return len;
}

int tree_check_name(const struct tree *tree, const struct node *dir, const char *name, mode_t type)
{
	char raw[NAME_SIZE];
	const struct node *beside;
	size_t len;
	bool value;
	int r = name_decode(name, dir == tree->root, S_ISDIR(type) ? NAME_DIR : NAME_FILE, raw,
			    &len, &value);
	if (r)
		return -r;
	if (tree_lookup(tree, dir, name))
		return EEXIST;
	beside = value ? tree_beside(tree, dir, name) : NULL;
	if (beside && !node_is_dir(beside))
		return EINVAL;
	return key_size(tree, dir, len) > DWAL_MAX_KEY ? ENAMETOOLONG : 0;
}

/* Of a component in dir; from its end on. */
static int put_key(const struct tree *tree, const struct node *dir, const struct name_part *last,
		   char *key, size_t *key_len)
{
	char raw[NAME_SIZE];
	size_t at = key_size(tree, dir, last->len);

	if (at > DWAL_MAX_KEY)
		return ENAMETOOLONG;
	*key_len = at;
	at -= last->len;
	memcpy(key + at, last->raw, last->len);
	for (const struct node *n = dir; n->parent; n = node_parent(n)) {
		struct name_part part = tree_part(tree, n, raw);

		key[--at] = '/';
		at -= part.len;
		memcpy(key + at, part.raw, part.len);
	}
	return 0;
}

int tree_name_key(const struct tree *tree, const struct node *dir, const char *name, bool is_dir,
		  char *key, size_t *key_len)
{
	char raw[NAME_SIZE];
	const struct node *child = tree_lookup(tree, dir, name);
	struct name_part part;
	bool value;

	part = child ? tree_part(tree, child, raw) : decoded(tree, dir, name, is_dir, raw, &value);
	return put_key(tree, dir, &part, key, key_len);
}

int tree_key(const struct tree *tree, const struct node *node, char *key, size_t *key_len)
{
	char raw[NAME_SIZE];
	struct name_part part;

	tree_wants_lock(tree);
	if (node == tree->root) {
		*key_len = 0;
		return 0;
	}
	part = tree_part(tree, node, raw);
	return put_key(tree, node_parent(node), &part, key, key_len);
}

char *tree_path(const struct node *node)
{
	size_t len = 0;
	char *path;

	for (const struct node *n = node; n->parent; n = node_parent(n))
		len += strlen(node_name(n)) + 1;
	path = malloc(len + 1);
	if (!path)
		return NULL;
	path[len ? len - 1 : 0] = '\0';
	for (const struct node *n = node; n->parent; n = node_parent(n)) {
		size_t part = strlen(node_name(n));
		len -= part + 1;
		memcpy(path + len, node_name(n), part);
		if (n != node)
			path[len + part] = '/';
	}
	return path;
}
