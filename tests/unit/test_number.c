/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The inode numbers of nodes, from records without a log: which number a node
 * gets when several want the same.
 */
#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/number.h"
#include "tree/replay.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "unit.h"

static struct tree tree;
static uint64_t offset;

static void begin(void)
{
	static const struct tree_options plain = {.uid = 1000, .gid = 1000, .umask = 022};

	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	offset = 0;
}

static const struct record_time when = {{7, 0}, {7, 0}, {7, 0}, {7, 0}, false, false};

static void replay(enum dwal_type type, const char *key, const char *payload)
{
	const struct dwal_record record = {
		.segment = 1,
		.offset = ++offset,
		.type = type,
		.key = {key, strlen(key)},
		.payload = {payload, strlen(payload)},
	};

	CHECK_INT(tree_replay(&tree, &record, &when), 0);
}

/* An attribute record; ino 0: that tells no number. */
static void record(const char *key, const char *type, uint64_t ino)
{
	char text[128], line[64] = "";

	if (ino)
		snprintf(line, sizeof(line), "ino=%llu\n", (unsigned long long)ino);
	snprintf(text, sizeof(text), "datawalfs.attr 1\ntype=%s\n%s", type, line);
	replay(DWAL_RAW, key, text);
}

static void replayed(void)
{
	const struct logtime none = {.timed = false};

	CHECK_INT(tree_replay_end(&tree, &none, NULL, NULL), 0);
}

static struct node *find(const char *path)
{
	char name[NAME_SIZE];
	struct node *node = tree.root;

	for (size_t n; node && *path; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		node = node_child(&tree, node, name);
	}
	CHECK(node);
	return node;
}

static uint64_t number_of(const char *key, bool is_dir)
{
	return ino_of_hash(ino_hash(INO_HASH_START, key, strlen(key)), is_dir);
}

/* It has another number than its key's, and the log is to be told. */
static void check_another(const char *path)
{
	const struct node *node = find(path);

	CHECK(node->ino != number_of(path, node_is_dir(node)));
	CHECK(node->ino >= INO_FIRST && node->ino <= INO_LAST);
	CHECK(nodeattr_owed(node));
	CHECK(tree_node(&tree, tree_id(&tree, node)) == node);
}

static void numbers_are_those_of_the_keys(void)
{
	begin();
	replay(DWAL_PUT, "a", "x");
	CHECK_INT(tree_replay(&tree, &(struct dwal_record){.type = DWAL_PUT, .key = {"/x//y/", 6}},
			      &when),
		  0);
	replay(DWAL_PUT, "a/b/c", "x"); /* the value of a steps aside */
	record("e", "dir", 0);
	replayed();
	CHECK_INT(tree.root->ino, INO_ROOT);
	CHECK_INT(find("a\\value")->ino, number_of("a", false));
	CHECK_INT(find("a")->ino, number_of("a", true));
	CHECK_INT(find("a/b")->ino, number_of("a/b", true));
	CHECK_INT(find("a/b/c")->ino, number_of("a/b/c", false));
	CHECK_INT(find("e")->ino, number_of("e", true));
	CHECK_INT(find("\\x2fx/\\x2fy\\x2f")->ino, number_of("/x//y/", false));
	CHECK(!tree_id(&tree, find("a")));
	tree_release(&tree);
}

static void a_told_number_holds_until_the_delete(void)
{
	begin();
	record("early", "file", 77); /* waits for its value */
	replay(DWAL_PUT, "early", "x");
	replay(DWAL_PUT, "a", "x");
	record("a", "symlink", 99);
	replay(DWAL_PUT, "a", "again");
	replay(DWAL_PUT, "b", "x");
	record("b", "file", 98);
	replay(DWAL_DELETE, "b", "");
	replay(DWAL_PUT, "b", "x");
	replay(DWAL_PUT, "c", "x");
	record("c", "file", 97);
	record("c", "file", 0);
	record("d", "dir", 96);
	record("e", "dir", 95);
	replay(DWAL_PUT, "e/f", "x");
	record("e", "none", 0);
	replayed();
	CHECK_INT(find("early")->ino, 77);
	CHECK_INT(find("a")->ino, 99);
	CHECK_INT(find("b")->ino, number_of("b", false));
	CHECK_INT(find("c")->ino, number_of("c", false));
	CHECK_INT(find("d")->ino, 96);
	CHECK_INT(find("e")->ino, number_of("e", true));
	tree_release(&tree);
}

/* In whichever order the log says it. */
static void a_told_number_wins_against_a_hash(void)
{
	for (int order = 0; order < 6; order++) {
		begin();
		for (int step = 0; step < 3; step++) {
			switch ((order + (order < 3 ? step : 3 - step)) % 3) {
			case 0:
				replay(DWAL_PUT, "a", "x");
				break;
			case 1:
				replay(DWAL_PUT, "b", "x");
				break;
			case 2:
				record("b", "file", number_of("a", false));
				break;
			}
		}
		replayed();
		CHECK_INT(find("b")->ino, number_of("a", false));
		check_another("a");
		CHECK(!tree_id(&tree, find("b")));
		tree_release(&tree);
	}
}

/* In whichever way keys came and went; none is left of what is gone. */
static void a_key_that_came_again_has_its_number(void)
{
	begin();
	for (int i = 0; i < 3; i++) {
		replay(DWAL_PUT, "d/e/f", "x");
		replay(DWAL_PUT, "d/g", "x");
		replay(DWAL_DELETE, "d/e/f", "");
		replay(DWAL_PUT, "d", "x");
		replay(DWAL_DELETE, "d/g", "");
	}
	replay(DWAL_PUT, "d/e/h", "x");
	CHECK(!tree.contested);
	replayed();
	CHECK_INT(find("d")->ino, number_of("d", true));
	CHECK_INT(find("d\\value")->ino, number_of("d", false));
	CHECK_INT(find("d/e")->ino, number_of("d/e", true));
	CHECK_INT(find("d/e/h")->ino, number_of("d/e/h", false));
	CHECK_INT(tree.numbers.n, 4);
	tree_release(&tree);
}

static void a_told_number_of_what_is_gone_is_free(void)
{
	begin();
	replay(DWAL_PUT, "b", "x");
	record("b", "file", number_of("a", false));
	replay(DWAL_PUT, "a", "x");
	replay(DWAL_DELETE, "b", "");
	replayed();
	CHECK_INT(find("a")->ino, number_of("a", false));
	CHECK(!nodeattr_owed(find("a")));
	tree_release(&tree);
}

static void of_two_that_are_told_one_number_one_has_it(void)
{
	begin();
	replay(DWAL_PUT, "a", "x");
	record("a", "file", 77);
	replay(DWAL_PUT, "b", "x");
	record("b", "file", 77);
	record("d", "dir", 77);
	replayed();
	CHECK_INT(find("a")->ino, 77);
	check_another("b");
	check_another("d");
	CHECK(find("b")->ino != find("d")->ino);
	tree_release(&tree);
}

static void the_root_has_its_number_in_any_case(void)
{
	begin();
	record("", "dir", 77);
	replay(DWAL_PUT, "", "x");
	replayed();
	CHECK_INT(tree.root->ino, INO_ROOT);
	CHECK_INT(find("\\empty")->ino, number_of("", false));
	tree_release(&tree);
}

static struct node *make(const char *name, mode_t type)
{
	struct node *node;

	CHECK_INT(tree_add(&tree, tree.root, tree_name_place(&tree, tree.root, name, S_ISDIR(type)),
			   type, &node),
		  0);
	return node;
}

static void a_number_is_free_when_its_node_is_gone(void)
{
	struct node *old, *node;

	begin();
	replayed();
	old = make("a", S_IFREG);
	CHECK_INT(old->ino, number_of("a", false));
	CHECK_INT(tree_give_id(&tree, old), 0); /* as if it were open */
	tree_hold(old);
	tree_detach(&tree, old);
	node = make("a", S_IFREG);
	CHECK(node->ino != old->ino);
	CHECK(number_is_own(node, (struct dwal_bytes){"a", 1}));
	tree_drop(&tree, old);
	tree_detach(&tree, node);
	CHECK_INT(make("a", S_IFREG)->ino, number_of("a", false));
	CHECK_INT(make("b", S_IFDIR)->ino, number_of("b", true));
	CHECK_INT(tree.numbers.n, 2);
	tree_release(&tree);
}

/* Through each phase of the table's growth: of all that are there, and of what has gone. */
static void of_many_that_come_and_go_each_has_its_number(void)
{
	enum { N = 5000 };
	static struct node *nodes[N];
	char name[16];

	begin();
	replayed();
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		nodes[i] = make(name, S_IFREG);
		if (i % 3)
			continue;
		tree_detach(&tree, nodes[i / 2]);
		(void)snprintf(name, sizeof(name), "%u", i / 2);
		nodes[i / 2] = make(name, S_IFREG);
	}
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		CHECK_INT(nodes[i]->ino, number_of(name, false));
	}
	CHECK_INT(tree.numbers.n, N);
	for (unsigned i = 0; i < N; i++)
		tree_detach(&tree, nodes[i]);
	CHECK_INT(tree.numbers.n, 0);
	tree_release(&tree);
}

static void a_node_keeps_its_number_when_it_moves(void)
{
	struct node *node, *other;
	uint64_t ino;

	begin();
	replayed();
	node = make("a", S_IFREG);
	ino = node->ino;
	tree_move(&tree, node, tree.root, tree_name_place(&tree, tree.root, "b", false), NULL);
	CHECK_INT(node->ino, ino);
	other = make("a", S_IFREG);
	CHECK(other->ino != ino);
	tree_detach(&tree, node);
	tree_detach(&tree, other);
	CHECK_INT(make("a", S_IFREG)->ino, ino);
	tree_release(&tree);
}

static void a_record_tells_the_number_that_is_not_the_keys(void)
{
	struct attr attr = {.present = ATTR_HAS_INO | ATTR_HAS_MODE, .ino = 5};
	struct node *node;

	begin();
	replayed();
	node = make("a", S_IFREG);
	number_tell(node, (struct dwal_bytes){"a", 1}, &attr);
	CHECK_INT(attr.present, ATTR_HAS_MODE);
	number_tell(node, (struct dwal_bytes){"b", 1}, &attr);
	CHECK_INT(attr.present, ATTR_HAS_INO | ATTR_HAS_MODE);
	CHECK_INT(attr.ino, number_of("a", false));
	number_tell(tree.root, (struct dwal_bytes){"", 0}, &attr);
	CHECK_INT(attr.present, ATTR_HAS_MODE);
	tree_release(&tree);
}

UNIT_MAIN(UNIT(numbers_are_those_of_the_keys), UNIT(a_told_number_holds_until_the_delete),
	  UNIT(a_told_number_wins_against_a_hash), UNIT(a_key_that_came_again_has_its_number),
	  UNIT(a_told_number_of_what_is_gone_is_free),
	  UNIT(of_two_that_are_told_one_number_one_has_it),
	  UNIT(the_root_has_its_number_in_any_case), UNIT(a_number_is_free_when_its_node_is_gone),
	  UNIT(of_many_that_come_and_go_each_has_its_number),
	  UNIT(a_node_keeps_its_number_when_it_moves),
	  UNIT(a_record_tells_the_number_that_is_not_the_keys))
