/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Names, keys and numbers that somebody has chosen so that they meet in a table
 * whose hash he knows: in a mount they lie as any others do. And what one
 * component of a key costs.
 *
 * The sources, for tables that nobody else looks into.
 */
#include "tree/children.c"
#include "tree/replay.c"
#include "tree/tree.c"
#include "unit.h"

#include <malloc.h>

#define LENGTH 48 /* of a chosen name: each byte is one of two */
#define CHOSEN 4096

static const struct tree_options plain = {.umask = 022};

/* XORs of bits of a name that leave its checksum as it is: of 48 bits the
 * checksum's 32 can be undone by 16 others. */
static size_t find_harmless(uint64_t harmless[LENGTH])
{
	uint32_t change[LENGTH],
		none = dwal_crc32c(0, memset((char[LENGTH]){0}, 'a', LENGTH), LENGTH);
	uint64_t made_of[LENGTH];
	size_t n = 0, used = 0;

	for (unsigned i = 0; i < LENGTH; i++) {
		char name[LENGTH];

		memset(name, 'a', LENGTH);
		name[i] ^= 2;
		change[i] = dwal_crc32c(0, name, LENGTH) ^ none;
		made_of[i] = (uint64_t)1 << i;
		for (size_t j = 0; j < used; j++) {
			if (!(change[i] & (change[j] & -change[j])))
				continue;
			change[i] ^= change[j];
			made_of[i] ^= made_of[j];
		}
		if (!change[i]) {
			harmless[n++] = made_of[i];
			continue;
		}
		change[used] = change[i];
		made_of[used++] = made_of[i];
	}
	return n;
}

static void choose_names(char names[CHOSEN][LENGTH + 1])
{
	uint64_t harmless[LENGTH];

	CHECK(find_harmless(harmless) >= 12);
	for (unsigned i = 0; i < CHOSEN; i++) {
		uint64_t flips = 0;

		for (unsigned bit = 0; bit < 12; bit++)
			flips ^= i & 1 << bit ? harmless[bit] : 0;
		for (unsigned at = 0; at < LENGTH; at++)
			names[i][at] = flips >> at & 1 ? 'c' : 'a';
		CHECK_INT(dwal_crc32c(0, names[i], LENGTH), dwal_crc32c(0, names[0], LENGTH));
	}
}

static void replay(struct tree *tree, enum dwal_type type, const char *key, size_t len,
		   const char *payload)
{
	const struct record_time when = {{7, 0}, {7, 0}, {7, 0}, {7, 0}, false, false};
	const struct dwal_record record = {.segment = 1,
					   .type = type,
					   .key = {key, len},
					   .payload = {payload, strlen(payload)}};

	CHECK_INT(tree_replay(tree, &record, &when), 0);
}

static void end(struct tree *tree)
{
	const struct logtime none = {.timed = false};

	CHECK_INT(tree_replay_end(tree, &none, NULL, NULL), 0);
}

/* What lies farthest from where a search for it begins: of none that was chosen among
 * thousands it is less than a hundred slots. */
static size_t longest_search(const struct slots *slots)
{
	const struct slots_table *table = &slots->now;
	size_t longest = 0;

	for (size_t i = 0; i < table->size; i++) {
		size_t home = slots_home(table, table->of[i].hash);
		size_t far = i >= home ? i - home : i + table->size - home;

		if (table->of[i].number && far > longest)
			longest = far;
	}
	return longest;
}

static void names_chosen_to_collide_do_not(void)
{
	static char names[CHOSEN][LENGTH + 1];
	struct tree tree;

	choose_names(names);
	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (size_t i = 0; i < CHOSEN; i++)
		replay(&tree, DWAL_PUT, names[i], LENGTH, "");
	end(&tree);
	CHECK(longest_search(&tree.names) < CHOSEN / 8);
	for (size_t i = 0; i < CHOSEN; i++)
		CHECK(node_child(&tree, tree.root, names[i]));
	tree_release(&tree);
}

/* The same name in many directories: the directory counts as well. */
static void one_name_in_many_directories_does_not_collide(void)
{
	char key[32];
	struct tree tree;

	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (unsigned i = 0; i < CHOSEN; i++)
		replay(&tree, DWAL_PUT, key, (size_t)sprintf(key, "%u/name", i), "");
	end(&tree);
	CHECK(longest_search(&tree.names) < CHOSEN / 8);
	tree_release(&tree);
}

static void keys_that_wait_do_not_collide(void)
{
	static char names[CHOSEN][LENGTH + 1];
	const struct UT_hash_table *table;
	struct tree tree;

	choose_names(names);
	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (size_t i = 0; i < CHOSEN; i++)
		replay(&tree, DWAL_RAW, names[i], LENGTH,
		       "datawalfs.attr 1\ntype=file\nmode=0600\n");
	table = tree.waiting->hh.tbl;
	CHECK_INT(table->num_items, CHOSEN);
	for (unsigned i = 0; i < table->num_buckets; i++)
		CHECK(table->buckets[i].count < 30);
	end(&tree);
	tree_release(&tree);
}

static size_t in_use(void)
{
	struct mallinfo2 now = mallinfo2();

	return now.uordblks + now.hblkhd;
}

/* SEMANTICS.md says what attributes cost whose value is not there: here with as
 * many extended ones as a file can have, and of each key many times. */
static void attributes_that_wait_cost_what_is_said(void)
{
	enum { KEYS = 1000, MOST = 400, XATTRS = 5000 };
	static char payload[8192], value[4001];
	size_t before = in_use();
	struct tree tree;
	char key[16];

	memset(value, 'A', 4000);
	snprintf(payload, sizeof(payload),
		 "datawalfs.attr 1\ntype=file\nmode=0600\nxattr.user.a=%s\n", value);
	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (unsigned i = 0; i < 10 * KEYS; i++)
		replay(&tree, DWAL_RAW, key, (size_t)sprintf(key, "%u", i % KEYS), payload);
	CHECK_INT(HASH_COUNT(tree.waiting), KEYS);
	CHECK(in_use() - before < (size_t)KEYS * (MOST + XATTRS));
	for (unsigned i = 0; i < KEYS; i++)
		replay(&tree, DWAL_RAW, key, (size_t)sprintf(key, "%u", i),
		       "datawalfs.attr 1\ntype=file\nmode=0600\n");
	CHECK(in_use() - before < (size_t)KEYS * MOST);
	end(&tree);
	tree_release(&tree);
	CHECK(in_use() <= before + 4096);
}

/* The longest row of slots that are in use: a search goes through it. */
static size_t longest_row(const struct slots_table *table)
{
	size_t longest = 0, row = 0;

	for (size_t i = 0; i < table->size; i++) {
		row = table->of[i].number ? row + 1 : 0;
		if (row > longest)
			longest = row;
	}
	return longest;
}

/* 0x9e37...15 times these is 1, 2, 3: a table that multiplies by it has them all in
 * one place. */
static void numbers_that_the_log_tells_do_not_collide(void)
{
	const uint64_t inverse = 0xf1de83e19937733d;
	struct tree tree;
	unsigned told = 0;

	CHECK_INT(inverse * 0x9e3779b97f4a7c15, 1);
	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (uint64_t i = 1; told < CHOSEN; i++) {
		uint64_t ino = inverse * i;

		if (ino < INO_FIRST || ino > INO_LAST)
			continue;
		CHECK_INT(slots_reserve(&tree.numbers, 1), 0);
		slots_add(&tree.numbers, number_hash(&tree, ino), ++told);
	}
	CHECK(longest_row(&tree.numbers.now) < CHOSEN / 8);
	tree_release(&tree);
}

static void each_tree_has_a_hash_of_its_own(void)
{
	struct tree one, other;

	CHECK_INT(tree_init(&one, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&one);
	CHECK_INT(tree_init(&other, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&other);
	CHECK(one.hash_key && one.hash_key != other.hash_key);
	CHECK(keyed_hash(one.hash_key, "a", 1) != keyed_hash(other.hash_key, "a", 1));
	tree_release(&one);
	tree_release(&other);
}

/* SEMANTICS.md says what a component costs: here of the longest keys. */
static void a_component_costs_what_is_said(void)
{
	enum { KEYS = 8, DEPTH = 32768, MOST = 90 };
	static char key[2 * DEPTH];
	size_t before = in_use();
	struct tree tree;

	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (int i = 0; i < KEYS; i++) {
		for (int at = 0; at < DEPTH; at++)
			memcpy(key + 2 * at, "a/", 2);
		key[0] = (char)('a' + i);
		replay(&tree, DWAL_PUT, key, 2 * DEPTH - 1, "");
	}
	end(&tree);
	CHECK_INT(tree.names.n, KEYS * DEPTH);
	CHECK(tree.slab.live + in_use() - before < (size_t)KEYS * DEPTH * MOST);
	tree_release(&tree);
	CHECK(in_use() <= before + 4096);
}

UNIT_MAIN(UNIT(names_chosen_to_collide_do_not), UNIT(one_name_in_many_directories_does_not_collide),
	  UNIT(keys_that_wait_do_not_collide), UNIT(numbers_that_the_log_tells_do_not_collide),
	  UNIT(each_tree_has_a_hash_of_its_own), UNIT(attributes_that_wait_cost_what_is_said),
	  UNIT(a_component_costs_what_is_said))
