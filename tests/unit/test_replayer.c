/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A tree that a thread of its own builds is the one that the reader's would have
 * built, in chunks however small. Its source, for what fails in it.
 */
#include "tree/children.h"
#include "tree/treename.h"
#include "unit.h"

#include <errno.h>

static unsigned mallocs, failing; /* the one that fails counts from 1 */
static bool without_threads;

static void *malloc_or_fail(size_t size)
{
	return ++mallocs == failing ? NULL : malloc(size);
}

static int create_or_fail(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return without_threads ? EAGAIN : pthread_create(thread, attr, fn, arg);
}

#define malloc         malloc_or_fail
#define pthread_create create_or_fail
#include "tree/replayer.c"
#undef malloc
#undef pthread_create

enum { RECORDS = 20000, DIRS = 50, NAMES = 2000, LARGE = 1 << 20 };

static const struct tree_options plain = {.umask = 022};
static char buffer[LARGE + 256]; /* of the record, as the log's: the next one overwrites it */

/* A Put, a Delete or attributes, now and then larger than a chunk. */
static struct dwal_record record_of(uint64_t *dice)
{
	static const char attributes[] = "datawalfs.attr 1\ntype=file\nmode=0600\n";
	struct dwal_record record = {.segment = 1, .type = DWAL_PUT};
	char *payload = buffer + 64;

	memset(buffer, 0, 64);
	record.key.data = buffer;
	record.key.len = (size_t)sprintf(buffer, "%u/%u", (unsigned)(unit_random(dice) % DIRS),
					 (unsigned)(unit_random(dice) % NAMES));
	record.payload = (struct dwal_bytes){payload, unit_random(dice) % 20};
	memset(payload, unit_random(dice) % 2 ? 'x' : 0, record.payload.len);
	switch (unit_random(dice) % 8) {
	case 0:
		record.type = DWAL_DELETE;
		record.payload = (struct dwal_bytes){0};
		break;
	case 1:
		record.type = DWAL_RAW;
		record.payload.len = sizeof(attributes) - 1;
		memcpy(payload, attributes, sizeof(attributes));
		break;
	case 2:
		record.type = DWAL_RAW; /* somebody's, which is as large as it likes */
		record.payload.len = unit_random(dice) % 100 ? 9 : LARGE;
	}
	return record;
}

static struct record_time time_of(uint64_t i)
{
	const struct timespec now = {(time_t)i, 7};

	return (struct record_time){now, now, now, now, true, false};
}

static void begin(struct tree *tree)
{
	CHECK_INT(tree_init(tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(tree);
}

static void end(struct tree *tree)
{
	const struct logtime none = {.timed = false};

	CHECK_INT(tree_replay_end(tree, &none, NULL, NULL), 0);
}

static void finish(struct tree *tree)
{
	tree_unlock(tree);
	tree_release(tree);
}

/* In the order in which names came. */
static void compare(const struct node *a, const struct node *b)
{
	CHECK(strcmp(node_name(a), node_name(b)) == 0);
	CHECK_INT(node_type(a), node_type(b));
	CHECK_INT(node_size(a), node_size(b));
	CHECK_INT(a->can_be_target, b->can_be_target);
	CHECK_INT(a->recorded, b->recorded);
	CHECK_INT(a->mtime, b->mtime);
	CHECK_INT(a->ino, b->ino);
	for (a = node_first(a), b = node_first(b); a && b; a = node_behind(a), b = node_behind(b))
		compare(a, b);
	CHECK(!a && !b);
}

/* What can be in the way of each other: files and directories that come and go. */
static struct dwal_record one_of_a_few(unsigned which)
{
	static const char dir[] = "datawalfs.attr 1\ntype=dir\n";
	static const char *const keys[] = {"a", "a/b", "a/b/c", "b"};
	const char *key = keys[which % 4];
	struct dwal_record record = {.segment = 1, .key = {key, strlen(key)}};

	record.type = which < 4 ? DWAL_PUT : which < 7 ? DWAL_DELETE : DWAL_RAW;
	if (record.type == DWAL_RAW) {
		record.key.len = 1; /* the directory a */
		record.key.data = "a";
		record.payload = (struct dwal_bytes){dir, sizeof(dir) - 1};
	}
	return record;
}

enum { FEW = 8, ROW = 4, ROWS = FEW * FEW * FEW * FEW };

static void replay_row(struct tree *tree, unsigned row, bool one_by_one)
{
	struct replay_entry some[ROW];
	struct dwal_record records[ROW];
	struct record_time whens[ROW];

	for (unsigned i = 0; i < ROW; i++, row /= FEW) {
		records[i] = one_of_a_few(row % FEW);
		whens[i] = time_of(2 + i);
		some[i] = (struct replay_entry){&records[i], &whens[i]};
		if (one_by_one)
			CHECK_INT(tree_replay(tree, &records[i], &whens[i]), 0);
	}
	if (!one_by_one)
		CHECK_INT(tree_replay_some(tree, some, ROW), 0);
}

static void each_row_of_records_builds_the_same_as_one_by_one(void)
{
	for (unsigned row = 0; row < ROWS; row++) {
		struct tree here, some;

		begin(&here);
		begin(&some);
		replay_row(&here, row, true);
		replay_row(&some, row, false);
		end(&here);
		end(&some);
		compare(here.root, some.root);
		finish(&here);
		finish(&some);
	}
}

static int replay(struct tree *tree, bool apart)
{
	uint64_t dice = 5;
	struct replayer replayer;
	int r = 0, ended;

	replayer_begin(&replayer, tree);
	for (uint64_t i = 0; !r && i < RECORDS; i++) {
		const struct dwal_record record = record_of(&dice);
		const struct record_time when = time_of(i);

		r = apart ? replayer_add(&replayer, &record, &when)
			  : tree_replay(tree, &record, &when);
	}
	CHECK(replayer.runs == (apart && !without_threads) || r);
	ended = replayer_end(&replayer);
	return r ? r : ended;
}

static void check_same(void)
{
	struct tree here, apart;

	begin(&here);
	begin(&apart);
	CHECK_INT(replay(&here, false), 0);
	CHECK_INT(replay(&apart, true), 0);
	end(&here);
	end(&apart);
	compare(here.root, apart.root);
	finish(&here);
	finish(&apart);
}

static void a_tree_that_a_thread_builds_is_the_same(void)
{
	check_same();
}

static void where_there_is_no_thread_it_is_the_same(void)
{
	without_threads = true;
	check_same();
	without_threads = false;
}

/* For each chunk that is not used again. */
static void without_memory_it_says_so(void)
{
	struct tree tree;
	int r;

	failing = 0;
	do {
		mallocs = 0;
		failing++;
		begin(&tree);
		r = replay(&tree, true);
		CHECK_INT(r, mallocs >= failing ? -ENOMEM : 0);
		end(&tree);
		finish(&tree);
	} while (r);
	CHECK(failing > 1);
	failing = 0;
}

/* The reader is told while it reads, and does not wait for who has ended. */
static void what_the_thread_fails_at_ends_the_reading(void)
{
	struct replayer replayer;
	struct tree tree;
	uint64_t dice = 5, n = 0;
	int r = 0;

	begin(&tree);
	replayer_begin(&replayer, &tree);
	replayer.err = -ENOMEM;
	for (; !r && n < RECORDS; n++) {
		const struct dwal_record record = record_of(&dice);
		const struct record_time when = time_of(n);

		r = replayer_add(&replayer, &record, &when);
	}
	CHECK_INT(r, -ENOMEM);
	CHECK(n < RECORDS);
	CHECK_INT(replayer_end(&replayer), -ENOMEM);
	CHECK(!node_first(tree.root));
	finish(&tree);
}

UNIT_MAIN(UNIT(each_row_of_records_builds_the_same_as_one_by_one),
	  UNIT(a_tree_that_a_thread_builds_is_the_same),
	  UNIT(where_there_is_no_thread_it_is_the_same), UNIT(without_memory_it_says_so),
	  UNIT(what_the_thread_fails_at_ends_the_reading))
