/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers: the hash as ATTRIBUTES.md fixes it, and the set of those in use.
 * Knows ino.h alone.
 */
#include "tree/ino.h"
#include "unit.h"

#include <errno.h>

static uint64_t number_of(const char *key, bool is_dir)
{
	return ino_of_hash(ino_hash(INO_HASH_START, key, strlen(key)), is_dir);
}

static void the_hash_is_as_documented(void)
{
	CHECK_INT(number_of("", false), 1085546642399279);
	CHECK_INT(number_of("a", false), 3448101570711831);
	CHECK_INT(number_of("a", true), 3445902547455665);
	CHECK_INT(number_of("a/b", false), 2967042832977858);
	CHECK_INT(number_of("a/b", true), 2964843809718872);
	CHECK_INT(number_of("gr\303\266\303\237e", false), 2175500434862541);
	CHECK_INT(ino_of_hash(ino_hash(INO_HASH_START, "", 1), false), 670735193026520);
}

static void a_path_can_be_hashed_in_pieces(void)
{
	uint64_t hash = ino_hash(INO_HASH_START, "a", 1);

	hash = ino_hash(ino_hash(hash, "/", 1), "b", 1);
	CHECK_INT(ino_of_hash(hash, false), number_of("a/b", false));
}

static uint64_t hash_of(uint64_t n)
{
	return ino_hash(INO_HASH_START, &n, sizeof(n));
}

static void numbers_are_in_their_range(void)
{
	uint64_t highest = 0;

	for (uint64_t n = 0; n < 100000; n++) {
		uint64_t ino = ino_of_hash(hash_of(n), n & 1);

		CHECK(ino >= INO_FIRST && ino <= INO_LAST);
		highest |= ino;
	}
	CHECK_INT(highest, INO_LAST); /* every bit is used */
	CHECK(INO_LAST < INO_FOREIGN && 2 * INO_FOREIGN == (uint64_t)1 << 53);
}

/* Takes each number twice, in an order and under a load that move others on. */
static void a_number_in_use_is_not_given_again(void)
{
	enum { N = 5000 };
	static uint64_t got[2 * N];
	struct inos inos = {0};

	for (uint64_t n = 0; n < 2 * N; n++) {
		uint64_t wanted = INO_FIRST + n % N;

		got[n] = wanted;
		CHECK_INT(inos_take(&inos, &got[n]), 0);
		CHECK((got[n] == wanted) == (n < N));
		CHECK(got[n] >= INO_FIRST && got[n] <= INO_LAST);
	}
	CHECK_INT(inos.count, 2 * N);
	for (uint64_t n = 0; n < 2 * N; n++) {
		uint64_t again = got[n];

		CHECK_INT(inos_take(&inos, &again), 0);
		CHECK(again != got[n]);
		inos_give_back(&inos, again);
	}
	CHECK_INT(inos.count, 2 * N);
	inos_release(&inos);
}

/* Against a table that is simpler: one flag a number. */
static void the_set_is_that_of_a_model(void)
{
	enum { NUMBERS = 4000, STEPS = 200000 };
	static bool model[NUMBERS];
	struct inos inos = {0};
	size_t count = 0;

	inos_give_back(&inos, INO_FIRST); /* of an empty set */
	for (uint64_t step = 0; step < STEPS; step++) {
		uint64_t drawn = hash_of(step), n = drawn % NUMBERS, ino = INO_FIRST + n;

		/* it fills and empties in turn */
		if (drawn >> 32 & 7 && (step / 20000) % 2 == 0) {
			CHECK_INT(inos_take(&inos, &ino), 0);
			CHECK((ino == INO_FIRST + n) == !model[n]);
			if (model[n])
				inos_give_back(&inos, ino);
			count += !model[n];
			model[n] = true;
		} else {
			inos_give_back(&inos, ino);
			count -= model[n];
			model[n] = false;
		}
		CHECK_INT(inos.count, count);
	}
	inos_release(&inos);
}

static void the_table_costs_few_bytes_a_number(void)
{
	struct inos inos = {0};

	for (uint64_t n = 1; n <= 1000000; n++) {
		uint64_t ino = ino_of_hash(hash_of(n), false);

		CHECK_INT(inos_take(&inos, &ino), 0);
		CHECK(n < 1000 || 8 * inos.capacity <= 15 * n);
	}
	CHECK_INT(inos.others, 0);
	inos_release(&inos);
}

/* As while a log is read. */
static void a_set_that_is_settled_fits_and_has_all(void)
{
	enum { N = 400000 };
	struct inos inos = {.is_patient = true};

	for (uint64_t n = 0; n < N; n++)
		CHECK_INT(inos_add(&inos, INO_FIRST + n), 0);
	CHECK(inos.capacity > N / 3 * 4 * 5 / 4); /* or there is nothing to see */
	inos_settle(&inos);
	CHECK(inos.capacity <= N / 3 * 4 * 5 / 4);
	for (uint64_t n = 0; n < N; n++)
		CHECK_INT(inos_add(&inos, INO_FIRST + n), EEXIST);
	CHECK_INT(inos.count, N);
	inos_clear(&inos);
	CHECK_INT(inos_add(&inos, INO_FIRST), 0);
	inos_release(&inos);
}

UNIT_MAIN(UNIT(the_hash_is_as_documented), UNIT(a_path_can_be_hashed_in_pieces),
	  UNIT(numbers_are_in_their_range), UNIT(a_number_in_use_is_not_given_again),
	  UNIT(the_set_is_that_of_a_model), UNIT(a_set_that_is_settled_fits_and_has_all),
	  UNIT(the_table_costs_few_bytes_a_number))
