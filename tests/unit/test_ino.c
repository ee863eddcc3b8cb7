/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers: the hash as ATTRIBUTES.md fixes it. Knows ino.h alone.
 */
#include "tree/ino.h"
#include "unit.h"

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

static void what_is_tried_instead_is_in_range_and_each_time_another(void)
{
	enum { N = 1000 };
	static uint64_t tried[N];

	for (uint64_t n = 0; n < N; n++) {
		tried[n] = ino_instead(INO_FIRST, n);
		CHECK(tried[n] >= INO_FIRST && tried[n] <= INO_LAST);
		for (uint64_t i = 0; i < n; i++)
			CHECK(tried[i] != tried[n]);
	}
}

UNIT_MAIN(UNIT(the_hash_is_as_documented), UNIT(a_path_can_be_hashed_in_pieces),
	  UNIT(numbers_are_in_their_range),
	  UNIT(what_is_tried_instead_is_in_range_and_each_time_another))
