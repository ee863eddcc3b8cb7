/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The tree as an object of its own: several at once, each with its own nodes,
 * ids and numbers, and built from records without a log.
 */
#include "tree/children.h"
#include "tree/replay.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "unit.h"

static const struct tree_options plain = {.uid = 1000, .gid = 1000, .umask = 022};

static void replay(struct tree *tree, enum dwal_type type, const char *key, const char *payload,
		   uint64_t offset)
{
	const struct dwal_record record = {
		.segment = 1,
		.offset = offset,
		.type = type,
		.key = {key, strlen(key)},
		.payload = {payload, strlen(payload)},
	};

	const struct record_time when = {{7, 0}, {7, 0}, {7, 0}, {7, 0}, false, false};

	CHECK_INT(tree_replay(tree, &record, &when), 0);
}

static void end(struct tree *tree)
{
	const struct logtime none = {.timed = false};

	CHECK_INT(tree_replay_end(tree, &none, NULL, NULL),
		  0); /* nothing asks for a segment's time */
}

static struct node *find(const struct tree *tree, const char *dir, const char *name)
{
	const struct node *parent = dir ? node_child(tree, tree->root, dir) : tree->root;

	return parent ? node_child(tree, parent, name) : NULL;
}

static void two_trees_do_not_know_each_other(void)
{
	struct tree one, other;
	struct node *node;

	CHECK_INT(tree_init(&one, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&one);
	CHECK_INT(tree_init(&other, &plain, (struct timespec){2, 0}), 0);
	tree_lock(&other); /* another lock */
	replay(&one, DWAL_PUT, "dir/a", "1", 0);
	replay(&other, DWAL_PUT, "dir/b", "22", 0);
	replay(&other, DWAL_DELETE, "dir/a", "", 40);
	end(&one);
	end(&other);
	CHECK(find(&one, "dir", "a") && !find(&one, "dir", "b"));
	CHECK(find(&other, "dir", "b") && !find(&other, "dir", "a"));

	node = find(&one, "dir", "a");
	CHECK_INT(tree_give_id(&one, node), 0);
	CHECK(tree_node(&one, tree_id(&one, node)) == node);
	CHECK(!tree_node(&other, tree_id(&one, node)));

	tree_release(&one);
	CHECK_INT(node_size(find(&other, "dir", "b")), 2);
	tree_release(&other);
}

#define DIR_RECORD  "datawalfs.attr 1\ntype=dir\nmode=0700\n"
#define FILE_RECORD "datawalfs.attr 1\ntype=file\nmode=0600\n"
#define NO_RECORD   "datawalfs.attr 1\ntype=none\n"

static void check_record(const struct node *node, uint64_t offset)
{
	CHECK(node->recorded);
	CHECK_INT(node_extra(node)->record.segment, 1);
	CHECK_INT(node_extra(node)->record.offset, offset);
}

static void a_node_knows_the_record_in_force(void)
{
	struct tree tree;

	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	replay(&tree, DWAL_RAW, "early", FILE_RECORD, 100); /* waits for its value */
	replay(&tree, DWAL_PUT, "early", "1", 200);
	check_record(find(&tree, NULL, "early"), 100);
	replay(&tree, DWAL_RAW, "early", FILE_RECORD, 300);
	replay(&tree, DWAL_PUT, "early", "22", 400); /* ends its times only */
	check_record(find(&tree, NULL, "early"), 300);
	replay(&tree, DWAL_DELETE, "early", "", 500);
	replay(&tree, DWAL_PUT, "early", "1", 600);
	CHECK(!find(&tree, NULL, "early")->recorded);

	replay(&tree, DWAL_RAW, "dir", DIR_RECORD, 700);
	check_record(find(&tree, NULL, "dir"), 700);
	replay(&tree, DWAL_PUT, "dir/file", "1", 800);
	replay(&tree, DWAL_RAW, "dir", NO_RECORD, 900);
	CHECK(!find(&tree, NULL, "dir")->recorded);
	end(&tree);
	tree_release(&tree);
}

static void compare(const struct tree *one, const struct tree *other)
{
	struct node *a = one->root, *b = other->root;

	for (; a && b; a = node_next(one->root, a), b = node_next(other->root, b)) {
		CHECK(strcmp(node_name(a), node_name(b)) == 0);
		CHECK_INT(node_type(a), node_type(b));
		CHECK_INT(a->ino, b->ino);
		CHECK_INT(node_size(a), node_size(b));
	}
	CHECK(!a && !b);
}

static void replay_any(struct tree *knows, struct tree *looks, uint64_t *dice)
{
	static const enum dwal_type types[] = {DWAL_PUT, DWAL_PUT, DWAL_DELETE, DWAL_RAW};
	static const char *const records[] = {DIR_RECORD, NO_RECORD, FILE_RECORD};
	enum dwal_type type = types[unit_random(dice) % 4];
	static const char *const keys[] = {"a/x", "a/y", "a/b/x", "a/b/y", "a/b", "a",      "a//x",
					   "a/",  "b/x", "b//x",  "b",     "/a",  "a/b/c/d"};
	const char *key = keys[unit_random(dice) % (sizeof(keys) / sizeof(*keys))];
	const char *value = &"12345"[unit_random(dice) % 5];

	if (type == DWAL_RAW)
		value = records[unit_random(dice) % 3];
	replay(knows, type, key, value, 0);
	looks->known.dir = NULL;
	replay(looks, type, key, value, 0);
}

/* Also of directories that go, come again or are a file meanwhile. */
static void what_is_known_of_the_last_directory_changes_nothing(void)
{
	struct tree knows, looks;
	uint64_t dice = 1;

	for (unsigned round = 0; round < 300; round++) {
		CHECK_INT(tree_init(&knows, &plain, (struct timespec){1, 0}), 0);
		CHECK_INT(tree_init(&looks, &plain, (struct timespec){1, 0}), 0);
		tree_lock(&knows);
		tree_lock(&looks);
		for (unsigned i = 0; i < 60; i++)
			replay_any(&knows, &looks, &dice);
		end(&knows);
		end(&looks);
		compare(&knows, &looks);
		tree_release(&knows);
		tree_release(&looks);
	}
}

static unsigned asked;

static struct timespec time_of_file(void *ctx, uint32_t segment)
{
	asked++;
	return (struct timespec){1000 + segment, 5};
}

static void put_untimed(struct tree *tree, uint32_t segment, unsigned name)
{
	const struct timespec own = time_of_segment(segment);
	const struct record_time when = {own, own, own, own, false, false};
	char key[16];
	size_t len = (size_t)sprintf(key, "d/%u", name);
	const struct dwal_record record = {
		.segment = segment, .type = DWAL_PUT, .key = {key, len}, .payload = {"", 0}};

	CHECK_INT(tree_replay(tree, &record, &when), 0);
}

/* A million files without times of their own: a system call each took half of the
 * time of a mount. */
static void a_segment_is_asked_for_its_time_once_for_many_files(void)
{
	enum { SEGMENTS = 4, FILES = 50 };
	const struct logtime none = {.timed = false};
	struct tree tree;
	unsigned i = 0;

	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (uint32_t segment = 0; segment < SEGMENTS; segment++)
		for (unsigned n = 0; n < FILES; n++)
			put_untimed(&tree, segment, i++);
	CHECK_INT(tree_replay_end(&tree, &none, time_of_file, NULL), 0);
	i = 0;
	for (struct node *node = node_first(node_first(tree.root)); node; node = node_behind(node))
		CHECK_INT(node_mtime(node).tv_sec, 1000 + i++ / FILES);
	CHECK_INT(i, SEGMENTS * FILES);
	CHECK(asked <= SEGMENTS + 2); /* the directories' as well */
	tree_release(&tree);
}

UNIT_MAIN(UNIT(two_trees_do_not_know_each_other), UNIT(a_node_knows_the_record_in_force),
	  UNIT(what_is_known_of_the_last_directory_changes_nothing),
	  UNIT(a_segment_is_asked_for_its_time_once_for_many_files))
