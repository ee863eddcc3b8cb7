/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The table of slots alone, against an array that says which hash each number was
 * added with: in every phase of its growth, with hashes that collide, without memory.
 * Its source, for what it moves and where.
 */
#include "unit.h"

#include <errno.h>

static unsigned callocs, failing; /* the one that fails counts from 1 */

static void *calloc_or_fail(size_t n, size_t size)
{
	return ++callocs == failing ? NULL : calloc(n, size);
}

static void *aligned_or_fail(size_t align, size_t size)
{
	return ++callocs == failing ? NULL : aligned_alloc(align, size);
}

#define calloc        calloc_or_fail
#define aligned_alloc aligned_or_fail
#include "slots.c"
#undef calloc
#undef aligned_alloc

enum { MOST = 2000 };

/* Of a number its hash; where[0] is not used. */
struct model {
	struct slots slots;
	uint32_t hashes[MOST];
	bool is_in[MOST];
	size_t n;
};

static bool is_number(void *ctx, uint32_t number)
{
	return *(const uint32_t *)ctx == number;
}

static struct slot *find(const struct slots *slots, uint32_t hash, uint32_t number)
{
	return slots_find(slots, hash, is_number, &number);
}

/* What an insertion does is bounded by this count, whatever the size. */
static void reserve(struct slots *slots)
{
	struct slots_table old = slots->old, now = slots->now;
	size_t moved = slots->moved;

	CHECK_INT(slots_reserve(slots, 1), 0);
	if (slots->now.of == now.of && slots->old.of)
		CHECK(slots->moved - moved <= SLOTS_MOVED);
	else if (slots->now.of == now.of && old.of)
		CHECK(old.size - moved <= SLOTS_MOVED); /* the rest of it */
	else if (slots->now.of != now.of)
		CHECK(slots->moved == 0 && slots->old.of == now.of &&
		      old.size - moved <= SLOTS_MOVED);
}

static void add(struct model *model, uint32_t hash, uint32_t number)
{
	reserve(&model->slots);
	slots_add(&model->slots, hash, number);
	model->hashes[number] = hash;
	model->is_in[number] = true;
	model->n++;
}

static void take(struct model *model, uint32_t number)
{
	slots_remove(&model->slots, find(&model->slots, model->hashes[number], number));
	model->is_in[number] = false;
	model->n--;
}

static size_t count(const struct slots_table *table, size_t from)
{
	size_t n = 0;

	for (size_t i = from; i < table->size; i++)
		n += table->of[i].number && table->of[i].number != SLOT_GONE;
	return n;
}

/* Each number is found by its hash, and in no slot more than that. */
static void check(const struct model *model)
{
	for (uint32_t number = 1; number < MOST; number++) {
		struct slot *slot = find(&model->slots, model->hashes[number], number);

		CHECK(!!slot == model->is_in[number]);
		CHECK(!slot || slot->hash == model->hashes[number]);
	}
	CHECK_INT(model->slots.n, model->n);
	CHECK_INT(count(&model->slots.now, 0) + count(&model->slots.old, model->slots.moved),
		  model->n);
}

typedef uint32_t (*hash_fn)(uint32_t number);

static uint32_t spread(uint32_t number)
{
	return number * 0x9e3779b9u;
}

/* All in one cluster, which goes over the end of each table. */
static uint32_t near_the_end(uint32_t number)
{
	return number % 3 ? UINT32_MAX - number % 5 : number << 28;
}

static uint32_t in_rows(uint32_t number)
{
	return number / 7;
}

static const hash_fn hash_fns[] = {spread, near_the_end, in_rows};
enum { HASH_FNS = sizeof(hash_fns) / sizeof(*hash_fns) };

/* Each size up to one behind the fifth growth, and in each of them each removal. */
static void each_removal_in_each_phase_of_growth_leaves_the_others(void)
{
	enum { SIZES = 120 };

	for (size_t f = 0; f < HASH_FNS; f++)
		for (uint32_t n = 1; n <= SIZES; n++)
			for (uint32_t gone = 1; gone <= n; gone++) {
				struct slots slots = {0};

				for (uint32_t number = 1; number <= n; number++) {
					reserve(&slots);
					slots_add(&slots, hash_fns[f](number), number);
				}
				slots_remove(&slots, find(&slots, hash_fns[f](gone), gone));
				for (uint32_t number = 1; number <= n; number++)
					CHECK(!!find(&slots, hash_fns[f](number), number) ==
					      (number != gone));
				CHECK_INT(slots.n, n - 1);
				slots_release(&slots);
			}
}

/* Grows to a random size, shrinks, and grows again. */
static void random_changes_agree_with_an_array(void)
{
	static struct model model;
	uint64_t seed = 77;

	for (size_t round = 0; round < 12; round++) {
		size_t goal =
			round % 2 ? unit_random(&seed) % 50 : unit_random(&seed) % (MOST * 3 / 4);
		hash_fn hash = hash_fns[round / 2 % HASH_FNS];

		if (hash != spread && goal > 300)
			goal = 300; /* each search goes through all of them */
		while (model.n != goal) {
			uint32_t number = 1 + (uint32_t)(unit_random(&seed) % (MOST - 1));
			bool adds = !model.n || (unit_random(&seed) % 8 != 0) == (model.n < goal);

			while (model.is_in[number] == adds)
				number = 1 + number % (MOST - 1);
			if (adds)
				add(&model, hash(number) + (uint32_t)round, number);
			else
				take(&model, number);
			if (unit_random(&seed) % 500 == 0)
				check(&model);
			if (unit_random(&seed) % 2000 == 0)
				slots_settle(&model.slots);
		}
		check(&model);
	}
	slots_release(&model.slots);
}

/* Room for many is made once, and is there for all of them. */
static void what_is_reserved_needs_no_memory(void)
{
	uint64_t seed = 8;
	uint32_t number = 0;
	struct slots slots = {0};

	while (number < 20000) {
		size_t n = unit_random(&seed) % 300;

		CHECK_INT(slots_reserve(&slots, n), 0);
		for (const unsigned before = callocs; n > 0; n--) {
			number++;
			slots_add(&slots, spread(number), number);
			CHECK(callocs == before && slots.n <= slots.now.size / 16 * SLOTS_FULL);
		}
	}
	for (uint32_t i = 1; i <= number; i++)
		CHECK(find(&slots, spread(i), i));
	slots_release(&slots);
}

static bool note(void *ctx, uint32_t number)
{
	((unsigned *)ctx)[number]++;
	return false;
}

/* Of many with one hash, half in the old table. */
static void a_search_asks_for_each_number_of_a_hash_once(void)
{
	struct slots slots = {0};

	for (uint32_t number = 1; number <= 110; number++) {
		unsigned asked[111] = {0};

		reserve(&slots);
		slots_add(&slots, number % 2, number);
		(void)slots_find(&slots, 1, note, asked);
		for (uint32_t i = 1; i <= 110; i++)
			CHECK_INT(asked[i], i % 2 && i <= number);
	}
	CHECK(slots.old.size && slots.moved < slots.old.size);
	slots_settle(&slots);
	CHECK(!slots.old.size && slots.n == 110);
	slots_release(&slots);
}

/* Nothing is lost, and the next one gets the memory that there is again. */
static void without_memory_all_stays_as_it_was(void)
{
	for (unsigned k = 1; k <= 6; k++) {
		struct slots slots = {0};
		unsigned refused = 0;

		callocs = 0;
		failing = k;
		for (uint32_t number = 1; number <= 300; number++) {
			int err = slots_reserve(&slots, 1);

			CHECK(!err || err == -ENOMEM);
			refused += err != 0;
			if (err)
				CHECK_INT(slots_reserve(&slots, 1), 0);
			slots_add(&slots, spread(number), number);
			for (uint32_t i = 1; i <= number; i++)
				CHECK(find(&slots, spread(i), i));
		}
		CHECK_INT(refused, 1);
		slots_release(&slots);
	}
	failing = 0;
}

/* 524,288 slots are the first that lie in huge pages. */
static void fill_patiently(struct slots *slots, uint32_t n)
{
	*slots = (struct slots){.is_patient = true};
	for (uint32_t number = 1; number <= n; number++) {
		CHECK_INT(slots_reserve(slots, 1), 0);
		CHECK(!slots->old.size);
		slots_add(slots, spread(number), number);
	}
}

static void check_first(const struct slots *slots, uint32_t n)
{
	for (uint32_t number = 1; number <= n; number++)
		CHECK(find(slots, spread(number), number));
	CHECK_INT(slots->n, n);
}

static bool fits(const struct slots *slots)
{
	return slots->now.size * SLOTS_FULL <= slots->n * 16 * 4 / 3 + 16 * 16;
}

static void who_is_patient_has_one_table_that_fits_at_the_end(void)
{
	struct slots slots;

	for (uint32_t n = 0; n < 500000; n += n + 1) {
		fill_patiently(&slots, n);
		slots_settle(&slots);
		CHECK(fits(&slots));
		check_first(&slots, n);
		slots_release(&slots);
	}
}

static void without_memory_to_fit_it_stays_as_large(void)
{
	struct slots slots;

	fill_patiently(&slots, 230000);
	CHECK(!fits(&slots));
	failing = callocs + 1;
	slots_settle(&slots);
	failing = 0;
	check_first(&slots, 230000);
	slots_settle(&slots);
	CHECK(fits(&slots));
	check_first(&slots, 230000);
	slots_release(&slots);
}

UNIT_MAIN(UNIT(each_removal_in_each_phase_of_growth_leaves_the_others),
	  UNIT(random_changes_agree_with_an_array), UNIT(what_is_reserved_needs_no_memory),
	  UNIT(a_search_asks_for_each_number_of_a_hash_once),
	  UNIT(without_memory_all_stays_as_it_was),
	  UNIT(who_is_patient_has_one_table_that_fits_at_the_end),
	  UNIT(without_memory_to_fit_it_stays_as_large))
