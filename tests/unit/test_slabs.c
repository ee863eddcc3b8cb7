/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Chunks of all sizes: none lies over another, each is as long as was asked for, what
 * is freed serves again, and a walk meets all of them. Its source, for the classes and
 * an allocator that fails.
 */
#include "unit.h"

#include <stdbool.h>

static unsigned allocations, failing; /* the one that fails counts from 1 */

static void *aligned_alloc_or_fail(size_t alignment, size_t size)
{
	return ++allocations == failing ? NULL : aligned_alloc(alignment, size);
}

static void *reallocarray_or_fail(void *p, size_t n, size_t size)
{
	return ++allocations == failing ? NULL : reallocarray(p, n, size);
}

#define aligned_alloc aligned_alloc_or_fail
#define reallocarray  reallocarray_or_fail
#include "slabs.c"
#undef aligned_alloc
#undef reallocarray

enum { CHUNKS = 2000 };

/* At the head of each, from its fifth byte on: those stay when it is freed. */
struct head {
	uint32_t link, size, is_used;
};

static uint32_t make(struct slabs *slabs, uint32_t size)
{
	uint32_t number = slabs_alloc(slabs, size);
	unsigned char *bytes;

	if (!number)
		return 0;
	bytes = slabs_at(slabs, number);
	CHECK((uintptr_t)bytes % SLABS_UNIT == 0);
	memset(bytes, (int)(number % 251), size);
	memcpy(bytes, &(struct head){0, size, 1}, sizeof(struct head));
	return number;
}

static void check_content(const struct slabs *slabs, uint32_t number)
{
	const unsigned char *bytes = slabs_at(slabs, number);
	struct head head;

	memcpy(&head, bytes, sizeof(head));
	CHECK(head.is_used);
	for (uint32_t i = sizeof(head); i < head.size; i++)
		CHECK(bytes[i] == number % 251);
}

static void unmake(struct slabs *slabs, uint32_t number)
{
	unsigned char *bytes = slabs_at(slabs, number);
	struct head head;

	check_content(slabs, number);
	memcpy(&head, bytes, sizeof(head));
	head.is_used = 0;
	memcpy(bytes, &head, sizeof(head));
	slabs_free(slabs, number, head.size);
}

static uint32_t random_size(uint64_t *seed)
{
	uint32_t most = unit_random(seed) % 20 ? 100 : unit_random(seed) % 5 ? 3000 : SLABS_MAX;

	return (uint32_t)sizeof(struct head) +
	       (uint32_t)(unit_random(seed) % (most - sizeof(struct head) + 1));
}

/* As many as are used, each with what was written into it. */
static void check_walk(const struct slabs *slabs, size_t used)
{
	uint32_t size = 0;

	for (uint32_t at = 0; (at = slabs_next(slabs, at, size));) {
		struct head head;

		memcpy(&head, slabs_at(slabs, at), sizeof(head));
		size = head.size;
		if (!head.is_used)
			continue;
		check_content(slabs, at);
		used--;
	}
	CHECK_INT(used, 0);
}

static void chunks_keep_their_place_and_their_bytes(void)
{
	static uint32_t numbers[CHUNKS];
	struct slabs slabs = {0};
	uint64_t seed = 4711;
	size_t used = 0;

	CHECK_INT(slabs_next(&slabs, 0, 0), 0);
	for (size_t step = 0; step < 20 * CHUNKS; step++) {
		uint32_t *number = &numbers[unit_random(&seed) % CHUNKS];

		if (*number) {
			unmake(&slabs, *number);
			*number = 0;
			used--;
		} else {
			*number = make(&slabs, random_size(&seed));
			CHECK(*number);
			used++;
		}
		if (step % 2000 == 0)
			check_walk(&slabs, used);
	}
	check_walk(&slabs, used);
	CHECK(slabs.n > 2);
	slabs_release(&slabs);
}

static void a_class_holds_its_sizes_and_wastes_little(void)
{
	struct size_class before = {0, 0};

	for (size_t size = 1; size <= SLABS_MAX; size++) {
		struct size_class class = class_of(size);
		size_t bytes = (size_t) class.units * SLABS_UNIT;

		CHECK(bytes >= size && bytes < size + SLABS_UNIT + size / 64);
		CHECK(class.index < SLABS_CLASSES);
		CHECK(class.units == before.units ? class.index == before.index
						  : class.index > before.index);
		before = class;
	}
}

static void what_is_freed_serves_again(void)
{
	struct slabs slabs = {0};
	uint32_t end = 0;

	for (unsigned round = 0; round < 3; round++) {
		uint32_t numbers[60];

		for (uint32_t i = 0; i < 60; i++)
			numbers[i] = make(&slabs, 20 + 20 * (round ? 59 - i : i));
		CHECK(!round || slabs.of[0].end == end);
		end = slabs.of[0].end;
		for (uint32_t i = 0; i < 60; i++)
			unmake(&slabs, numbers[i]);
	}
	CHECK_INT(slabs.n, 1);
	slabs_release(&slabs);
}

/* The array of slabs fails as the slabs do. */
static void without_memory_all_stays_as_it_was(void)
{
	for (unsigned k = 1; k <= 8; k++) {
		struct slabs slabs = {0};
		size_t used = 0;

		allocations = 0;
		failing = k;
		while (slabs.n < 6) {
			const bool is_made = make(&slabs, SLABS_MAX) != 0;

			used += is_made;
			if (!is_made)
				check_walk(&slabs, used);
		}
		check_walk(&slabs, used);
		CHECK_INT(used, (slabs.n - 1) * (SLAB_SIZE / SLABS_MAX - 1) + 1);
		CHECK(allocations > k);
		slabs_release(&slabs);
	}
	failing = 0;
}

static void no_slab_is_made_that_no_number_leads_to(void)
{
	struct slabs slabs = {.n = SLABS_MOST};

	CHECK(add_slab(&slabs));
}

UNIT_MAIN(UNIT(chunks_keep_their_place_and_their_bytes),
	  UNIT(a_class_holds_its_sizes_and_wastes_little), UNIT(what_is_freed_serves_again),
	  UNIT(without_memory_all_stays_as_it_was), UNIT(no_slab_is_made_that_no_number_leads_to))
