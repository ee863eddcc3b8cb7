/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Listings of a directory that changes meanwhile: a model of what each reader
 * must see at least, at most, and in which order.
 */
#include "tree/children.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "unit.h"

enum { NAMES = 40, READERS = 3, ROUNDS = 400, STEPS = 300 };

static struct tree tree;
static uint64_t dice = 1;

static unsigned any(unsigned n)
{
	return (unsigned)(unit_random(&dice) >> 33) % n;
}

static struct place place_of(unsigned name)
{
	char text[16];

	snprintf(text, sizeof(text), "n%u", name);
	return tree_name_place(&tree, tree.root, text, false);
}

static struct node *node_of(unsigned name)
{
	char text[16];

	snprintf(text, sizeof(text), "n%u", name);
	return node_child(&tree, tree.root, text);
}

/* A reader, and for each name: was it there all the time, may it show. */
struct reader {
	struct cursor cursor;
	uint64_t at;
	bool must[NAMES], seen[NAMES];
	bool late[NAMES]; /* what has the name came after the start, and replaced nothing */
};

static struct reader readers[READERS];

static void begin(struct reader *reader)
{
	cursor_start(&tree, &reader->cursor, tree.root);
	reader->at = SEAT_FIRST;
	for (unsigned name = 0; name < NAMES; name++) {
		reader->must[name] = node_of(name);
		reader->seen[name] = reader->late[name] = false;
	}
}

static void finish(struct reader *reader)
{
	for (unsigned name = 0; name < NAMES; name++)
		CHECK(!reader->must[name] || reader->seen[name]);
	begin(reader);
}

static void read_one(struct reader *reader)
{
	const struct node *node = cursor_seek(&reader->cursor, reader->at);
	unsigned name;

	if (!node) {
		finish(reader);
		return;
	}
	CHECK_INT(sscanf(node_name(node), "n%u", &name), 1);
	CHECK(node->seat >= reader->at);
	CHECK(node_of(name) == node);
	CHECK(!reader->late[name]);
	CHECK(!reader->must[name] || !reader->seen[name]); /* once */
	reader->seen[name] = true;
	reader->at = node->seat + 1;
}

static void each_reader(unsigned name, bool comes)
{
	for (unsigned i = 0; i < READERS; i++) {
		readers[i].must[name] = false;
		readers[i].late[name] = comes;
	}
}

static void change(void)
{
	unsigned name = any(NAMES), other = any(NAMES);
	struct node *node = node_of(name), *replaced = node_of(other);

	if (!node) {
		CHECK_INT(tree_add(&tree, tree.root, place_of(name), S_IFREG, &node), 0);
		each_reader(name, true);
	} else if (any(2) || node == replaced) {
		tree_detach(&tree, node);
		each_reader(name, false);
	} else {
		tree_move(&tree, node, tree.root, place_of(other), replaced);
		if (replaced)
			tree_detach(&tree, replaced); /* the name was there all the time */
		for (unsigned i = 0; i < READERS && !replaced; i++) {
			readers[i].late[other] = readers[i].late[name];
			readers[i].must[other] = false;
		}
		each_reader(name, false);
	}
}

static void each_name_that_stays_is_listed_once(void)
{
	const struct tree_options plain = {.umask = 022};

	for (unsigned round = 0; round < ROUNDS; round++) {
		dice = round + 1;
		memset(readers, 0, sizeof(readers));
		CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
		tree_lock(&tree);
		tree.replayed = true;
		for (unsigned i = 0; i < NAMES; i++)
			change();
		for (unsigned i = 0; i < READERS; i++)
			begin(&readers[i]);
		for (unsigned step = 0; step < STEPS; step++) {
			if (any(3))
				read_one(&readers[any(READERS)]);
			else
				change();
		}
		for (unsigned i = 0; i < READERS; i++)
			cursor_stop(&tree, &readers[i].cursor);
		CHECK(!tree.cursors);
		tree_release(&tree);
	}
}

static void a_listing_goes_on_from_any_seat(void)
{
	const struct tree_options plain = {.umask = 022};
	struct cursor cursor = {.dir = NULL};
	uint64_t seats[NAMES];

	CHECK_INT(tree_init(&tree, &plain, (struct timespec){1, 0}), 0);
	tree_lock(&tree);
	for (unsigned name = 0; name < NAMES; name++) {
		struct node *node;

		CHECK_INT(tree_add(&tree, tree.root, place_of(name), S_IFREG, &node), 0);
		seats[name] = node->seat;
	}
	cursor_start(&tree, &cursor, tree.root);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned name = any(NAMES);

		CHECK(cursor_seek(&cursor, seats[name]) == node_of(name));
		CHECK(cursor_seek(&cursor, seats[name] + 1) ==
		      (name + 1 < NAMES ? node_of(name + 1) : NULL));
	}
	cursor_stop(&tree, &cursor);
	tree_release(&tree);
}

UNIT_MAIN(UNIT(each_name_that_stays_is_listed_once), UNIT(a_listing_goes_on_from_any_seat))
