/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What nodes cost, to the byte: of a log that was read, of names that are made and
 * of those that somebody has looked at. And the times that they keep in few bytes.
 */
#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/replay.h"
#include "tree/treename.h"
#include "unit.h"

#include <malloc.h>

enum { FILES = 60000 };

static const struct tree_options plain = {.umask = 022, .counts_reads = true};
static struct tree tree;
static size_t before;

static size_t allocated(void)
{
	struct mallinfo2 now = mallinfo2();

	return now.uordblks + now.hblkhd;
}

static void begin(void)
{
	before = allocated();
	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
}

/* Bytes that the tree has: objects, and its tables. */
static size_t cost(void)
{
	return tree.slab.live + allocated() - before;
}

static void replay(const char *key, size_t len)
{
	const struct record_time when = {{7, 0}, {7, 0}, {7, 0}, {7, 0}, false, false};
	const struct dwal_record record = {
		.segment = 1, .type = DWAL_PUT, .key = {key, len}, .payload = {"1", 1}};

	CHECK_INT(tree_replay(&tree, &record, &when), 0);
}

static void end_of_log(void)
{
	const struct logtime none = {.timed = false};

	CHECK_INT(tree_replay_end(&tree, &none, NULL, NULL), 0);
}

static void finish(void)
{
	CHECK(allocated() < before + cost()); /* nothing wraps */
	tree_release(&tree);
	CHECK(allocated() <= before + (100 << 10)); /* what malloc keeps for later */
}

static void a_file_costs_96_bytes(void)
{
	char key[32];

	begin();
	for (unsigned i = 0; i < FILES; i++)
		replay(key, (size_t)sprintf(key, "key-%010u", i));
	end_of_log();
	CHECK(cost() <= (size_t)FILES * 96);
	finish();
}

static void a_directory_with_a_file_costs_250_bytes(void)
{
	char key[64];

	begin();
	for (unsigned i = 0; i < FILES; i++)
		replay(key, (size_t)sprintf(key, "dir-%010u/key-%010u", i, i));
	end_of_log();
	CHECK(cost() <= (size_t)FILES * 250);
	finish();
}

static size_t cost_of_depth(size_t depth)
{
	static char key[DWAL_MAX_KEY];
	size_t bytes;

	for (size_t at = 0; at < depth; at++)
		memcpy(key + 2 * at, "a/", 2);
	begin();
	bytes = cost();
	for (char first = 'a'; first <= 'h'; first++) {
		key[0] = first;
		replay(key, 2 * depth - 1);
	}
	end_of_log();
	bytes = cost() - bytes;
	finish();
	return bytes;
}

static void a_deep_key_costs_by_its_bytes(void)
{
	size_t deepest = cost_of_depth(32768), half = cost_of_depth(16384);

	CHECK(deepest < half * 21 / 10);
	CHECK(deepest < (size_t)8 * 32768 * 96);
}

static void name_it(char name[16], unsigned i)
{
	(void)snprintf(name, 16, "key-%010u", i);
}

static struct node *make(unsigned i)
{
	char name[16];
	struct node *node;

	name_it(name, i);
	CHECK_INT(tree_add(&tree, tree.root, tree_name_place(&tree, tree.root, name, false),
			   S_IFREG, &node),
		  0);
	return node;
}

static void look_at(struct node *node)
{
	CHECK_INT(tree_give_id(&tree, node), 0);
	node_use(node)->lookups++;
}

/* Also with what others had made larger before. */
static void a_file_that_is_made_costs_no_more(void)
{
	begin();
	end_of_log();
	for (unsigned i = 0; i < FILES; i++)
		make(i);
	CHECK(cost() <= (size_t)FILES * 96);
	finish();
}

static void what_nobody_looks_at_any_more_costs_as_before(void)
{
	size_t unseen;

	begin();
	end_of_log();
	for (unsigned i = 0; i < 1000; i++)
		make(i);
	unseen = tree.slab.live;
	for (struct node *node = node_first(tree.root); node; node = node_behind(node)) {
		look_at(node);
		tree_hold(node);
	}
	CHECK(tree.slab.live > unseen);
	CHECK(tree.slab.live <= unseen + (size_t)1000 * 48);
	for (struct node *node = node_first(tree.root); node; node = node_behind(node)) {
		tree_forget(&tree, node, 1);
		tree_drop(&tree, node);
	}
	CHECK_INT(tree.slab.live, unseen);
	finish();
}

/* A time of access that a read gave is in memory alone: it stays. */
static void a_time_of_access_outlasts_the_kernels_memory(void)
{
	struct stat st;
	struct node *node;

	begin();
	end_of_log();
	node = make(1);
	look_at(node);
	nodeattr_set_read(&tree, node, (struct timespec){99, 7});
	tree_forget(&tree, node, 1);
	nodeattr_stat(&tree, node, &st);
	CHECK_INT(st.st_atim.tv_sec, 99);
	CHECK_INT(st.st_atim.tv_nsec, 7);
	finish();
}

/* Names of any length, in place of others of any length. */
static void a_name_of_any_length_is_the_nodes(void)
{
	char long_name[NAME_SIZE], raw[5000];
	uint64_t dice = 1;
	struct node *node;

	begin();
	end_of_log();
	node = make(0);
	memset(raw, 'x', sizeof(raw));
	for (unsigned i = 0; i < 2000; i++) {
		size_t len = 1 + unit_random(&dice) % (i % 3 ? 20 : sizeof(raw) - 1);
		struct name_part part = {.raw = raw, .len = len, .first = true, .last = true};
		struct place place = tree_free_place(&tree, tree.root, &part, false);
		char name[NAME_SIZE], own[NAME_SIZE];

		(void)name_encode(&part, false, long_name);
		if (node_child(&tree, tree.root, long_name)) {
			place_release(&place);
			continue;
		}
		strcpy(name, place.name);
		tree_move(&tree, node, tree.root, place, NULL);
		CHECK(strcmp(node_name(node), name) == 0);
		CHECK(node_child(&tree, tree.root, name) == node);
		CHECK_INT(tree_part(&tree, node, own).len, len);
	}
	finish();
}

static void check_time(struct node *node, struct timespec time)
{
	node_set_mtime(&tree, node, time);
	CHECK_INT(node_mtime(node).tv_sec, time.tv_sec);
	CHECK_INT(node_mtime(node).tv_nsec, time.tv_nsec);
}

static void every_time_is_kept_exactly(void)
{
	static const int64_t seconds[] = {0,
					  1,
					  -1,
					  1700000000,
					  UINT32_MAX,
					  -UINT32_MAX,
					  17179869183,
					  -17179869184,
					  SHORTTIME_LAST,
					  -SHORTTIME_LAST,
					  SHORTTIME_LAST + 1,
					  -SHORTTIME_LAST - 1,
					  INT64_MAX,
					  INT64_MIN};
	static const long fractions[] = {0, 1, 500000000, 999999999};
	struct node *node;

	begin();
	end_of_log();
	node = make(1);
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++)
		for (size_t j = 0; j < 4; j++)
			check_time(node, (struct timespec){(time_t)seconds[i], fractions[j]});
	check_time(node, time_of_segment(0));
	check_time(node, time_of_segment(UINT32_MAX));
	CHECK(is_time_of_segment(node_mtime(node)));
	finish();
}

UNIT_MAIN(UNIT(a_file_costs_96_bytes), UNIT(a_directory_with_a_file_costs_250_bytes),
	  UNIT(a_deep_key_costs_by_its_bytes), UNIT(a_file_that_is_made_costs_no_more),
	  UNIT(what_nobody_looks_at_any_more_costs_as_before),
	  UNIT(a_time_of_access_outlasts_the_kernels_memory),
	  UNIT(a_name_of_any_length_is_the_nodes), UNIT(every_time_is_kept_exactly))
