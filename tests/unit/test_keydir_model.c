/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key directory against an array of keys: any changes in any order, with hashes
 * that many keys share, while it grows, and when it finds no memory. Its source, for a
 * hash that is worse and an allocator that fails.
 */
#include "unit.h"

#include "keyed_hash.h"

#include <stdbool.h>

static unsigned allocations, failing; /* the one that fails counts from 1 */

static bool fails(void)
{
	return ++allocations == failing;
}

static uint64_t hash_or_worse(uint64_t key, const void *bytes, size_t len);

#define malloc(size)             (fails() ? NULL : malloc(size))
#define aligned_alloc(to, size)  (fails() ? NULL : aligned_alloc(to, size))
#define calloc(n, size)          (fails() ? NULL : calloc(n, size))
#define reallocarray(p, n, size) (fails() ? NULL : reallocarray(p, n, size))
#define keyed_hash               hash_or_worse
#include "keydir.c"
#include "slabs.c"
#include "slots.c"
#include "usage.c"
#undef malloc
#undef aligned_alloc
#undef calloc
#undef reallocarray
#undef keyed_hash

enum { KEYS = 1500, SEGMENTS = 40 };

/* Seed 0: eleven hashes in all. */
static uint64_t hash_or_worse(uint64_t key, const void *bytes, size_t len)
{
	uint64_t hashed = keyed_hash(key, bytes, len);

	return key ? hashed : 0x10000001 * (hashed % 11);
}

struct model {
	struct keydir dir;
	uint64_t seed;
	size_t keys;
	struct {
		bool is_live;
		struct keydir_value value;
	} of[KEYS];
};

/* Of its own length each: 0 to 40 bytes, and some that are long. */
static struct dwal_bytes key_of_number(size_t i)
{
	static char bytes[DWAL_MAX_KEY];
	size_t len = i % 100 == 50 ? DWAL_MAX_KEY - i : i % 40;

	memset(bytes, 'k', len);
	if (len >= 4)
		snprintf(bytes, 5, "%04zu", i);
	return (struct dwal_bytes){bytes, len};
}

/* Short ones are not told apart by what they hold. */
static size_t random_number(struct model *model)
{
	size_t i = unit_random(&model->seed) % model->keys;

	return i % 40 >= 4 || i % 100 == 50 || i < 4 ? i : i + 4 - i % 40;
}

static size_t live(const struct model *model)
{
	size_t n = 0;

	for (size_t i = 0; i < KEYS; i++)
		n += model->of[i].is_live;
	return n;
}

static void check_value(const struct keydir_value *got, const struct keydir_value *wanted)
{
	CHECK(got->offset == wanted->offset && got->segment == wanted->segment);
	CHECK(got->txid == wanted->txid && got->value_len == wanted->value_len);
	CHECK(got->odd == wanted->odd);
}

static void check_walk(const struct model *model)
{
	struct keydir_value value;
	struct dwal_bytes key;
	size_t n = 0;

	for (uint32_t at = 0; keydir_next(&model->dir, &at, &key, &value); n++) {
		struct dwal_bytes wanted = key_of_number(value.txid);

		CHECK(key.len == wanted.len && memcmp(key.data, wanted.data, key.len) == 0);
		check_value(&value, &model->of[value.txid].value);
		CHECK(model->of[value.txid].is_live);
	}
	CHECK_INT(n, live(model));
}

static void check(const struct model *model)
{
	struct segment_usage usage[SEGMENTS] = {0};

	for (size_t i = 0; i < KEYS; i++) {
		const struct keydir_value *found = keydir_find(&model->dir, key_of_number(i));
		const struct keydir_value *wanted = &model->of[i].value;

		if (!model->of[i].is_live && i % 40 < 4)
			continue;
		CHECK(!!found == model->of[i].is_live);
		if (!found)
			continue;
		check_value(found, wanted);
		usage[wanted->segment].records++;
		usage[wanted->segment].bytes +=
			dwal_frame_size(key_of_number(i).len, wanted->value_len);
	}
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		struct segment_usage counted = usage_of(&model->dir.usage, i);

		CHECK(counted.records == usage[i].records && counted.bytes == usage[i].bytes);
	}
	CHECK_INT(keydir_len(&model->dir), live(model));
	check_walk(model);
}

static struct keydir_value random_value(struct model *model, size_t number)
{
	return (struct keydir_value){
		.offset = unit_random(&model->seed) % 100000,
		.txid = number,
		.segment = (uint32_t)(unit_random(&model->seed) % SEGMENTS),
		.value_len = (uint32_t)(unit_random(&model->seed) % 1000),
		.odd = unit_random(&model->seed) % 2,
	};
}

static void step_remove(struct model *model, size_t i)
{
	model->of[i].is_live = false;
	keydir_remove(&model->dir, key_of_number(i));
}

/* What is made ready is not seen. */
static void check_some(struct model *model, size_t i)
{
	CHECK(!!keydir_find(&model->dir, key_of_number(i)) == model->of[i].is_live);
	if (unit_random(&model->seed) % 100 == 0)
		check_walk(model);
}

/* A batch over few keys, in order, in one segment; or its write fails. */
static void step_set(struct model *model, size_t first)
{
	struct slot ready[4];
	size_t numbers[4], n = 1 + unit_random(&model->seed) % 4, i = 0;
	uint32_t segment = (uint32_t)(unit_random(&model->seed) % SEGMENTS);
	bool fails = unit_random(&model->seed) % 8 == 0;

	if (keydir_reserve(&model->dir, n))
		return;
	for (; i < n; i++) {
		numbers[i] = i % 2 ? first : random_number(model);
		if (keydir_prepare(&model->dir, key_of_number(numbers[i]), &ready[i])) {
			fails = true;
			break;
		}
	}
	check_some(model, first);
	for (size_t k = 0; k < i; k++) {
		size_t number = numbers[k];

		if (fails) {
			keydir_cancel(&model->dir, &ready[k]);
			continue;
		}
		model->of[number].value = random_value(model, number);
		model->of[number].value.segment = segment;
		model->of[number].is_live = true;
		keydir_set(&model->dir, &ready[k], &model->of[number].value);
		if (unit_random(&model->seed) % 4 == 0)
			step_remove(model, first);
	}
}

/* The records of a segment move, those whose generation is not there yet, and
 * nobody else's. */
static void step_move(struct model *model, uint32_t segment)
{
	struct moves moves = {.segment = segment, .odd = unit_random(&model->seed) % 2};

	CHECK_INT(moves_add_run(&moves, 0, 500), 0);
	CHECK_INT(moves_add_run(&moves, 5000, 300), 0);
	for (size_t i = 0; i < KEYS; i++) {
		struct keydir_value *value = &model->of[i].value;

		if (!model->of[i].is_live || value->segment != segment || value->odd == moves.odd)
			continue;
		CHECK_INT(moves_add_hash(&moves, keydir_hash(&model->dir, key_of_number(i))), 0);
		value->offset = value->offset < 5000 ? value->offset + 500 : value->offset - 4700;
		value->odd = moves.odd;
	}
	keydir_move(&model->dir, &moves, 0, moves.hash_count);
	moves_release(&moves);
}

/* Many in a row; without memory the rest is lost, which is as if it had not been. */
static void step_load(struct model *model)
{
	struct keydir_loader loader = {.dir = &model->dir};
	unsigned before = allocations;
	int err = 0;

	for (size_t k = unit_random(&model->seed) % 100; k > 0 && !err; k--) {
		size_t i = random_number(model);
		struct keydir_value value = random_value(model, i);
		bool removes = unit_random(&model->seed) % 4 == 0;

		err = keydir_load(&loader, key_of_number(i), removes ? NULL : &value);
		if (!err) {
			model->of[i].value = value;
			model->of[i].is_live = !removes;
		}
	}
	if (!err)
		err = keydir_load_flush(&loader);
	else
		(void)keydir_load_flush(&loader);
	CHECK(!err || (failing > before && failing <= allocations));
}

static void step(struct model *model)
{
	size_t i = random_number(model);

	switch (unit_random(&model->seed) % 8) {
	case 0:
	case 1:
	case 2:
	case 3:
		step_set(model, i);
		break;
	case 4:
	case 5:
		step_remove(model, i);
		break;
	default:
		if (unit_random(&model->seed) % 10 == 0)
			step_move(model, (uint32_t)(i % SEGMENTS));
		check_some(model, i);
	}
}

static void any_changes_agree(uint64_t seed, size_t keys)
{
	static struct model model;

	model = (struct model){.seed = 99, .keys = keys};
	keydir_init(&model.dir, seed);
	for (size_t k = 0; k < 20 * keys; k++) {
		step(&model);
		if (unit_random(&model.seed) % 100 == 0)
			step_load(&model);
		if (unit_random(&model.seed) % 500 == 0)
			check(&model);
	}
	check(&model);
	keydir_release(&model.dir);
}

static void any_changes_agree_with_an_array(void)
{
	any_changes_agree(12345, KEYS);
}

static void keys_that_share_a_hash_agree_with_an_array(void)
{
	any_changes_agree(0, 300);
}

/* One by one and many in a row, each allocation failing in its turn. */
static void without_memory_nothing_changes(void)
{
	static struct model model;
	unsigned k = 1;

	do {
		model = (struct model){.seed = k, .keys = 200};
		keydir_init(&model.dir, 1);
		allocations = 0;
		failing = k++;
		for (size_t n = 0; n < 600; n++)
			step(&model);
		check(&model);
		keydir_release(&model.dir);
	} while (allocations >= failing);
	CHECK(k > 10);
	failing = 0;
}

/* What is lost is lost from the one on that found no memory; what was there before
 * stays. The last one is of a table that fits better, which may fail. */
static void loading_without_memory_says_so(void)
{
	const struct keydir_value value = {.segment = 1};
	unsigned k = 1, refused = 0;

	do {
		struct keydir dir;
		struct keydir_loader loader = {.dir = &dir};
		int err = 0, flushed;

		keydir_init(&dir, 1);
		allocations = 0;
		failing = k++;
		for (uint32_t i = 0; i < 500 && !err; i++)
			err = keydir_load(&loader, (struct dwal_bytes){&i, sizeof(i)}, &value);
		flushed = keydir_load_flush(&loader);
		CHECK(!(err || flushed) || allocations >= failing);
		CHECK(err || flushed ? keydir_len(&dir) < 500 : keydir_len(&dir) == 500);
		refused += err || flushed;
		keydir_release(&dir);
	} while (allocations >= failing);
	CHECK_INT(refused, 10); /* of segments 1, of slabs 2, of slots 7 */
	CHECK_INT(allocations, refused + 1);
	failing = 0;
}

/* At each number of keys, while the table grows as well: what the bytes are that were
 * cut from slabs, and those of the tables. */
static void a_key_takes_64_bytes_at_most(void)
{
	struct keydir_value value = {.segment = 1};
	struct slot ready;
	struct keydir dir;

	keydir_init(&dir, 1);
	for (uint64_t i = 0; i < 300000; i++) {
		const uint64_t key[2] = {i, 0};
		size_t bytes = 0;

		CHECK_INT(keydir_reserve(&dir, 1), 0);
		CHECK_INT(keydir_prepare(&dir, (struct dwal_bytes){key, sizeof(key)}, &ready), 0);
		keydir_set(&dir, &ready, &value);
		for (uint32_t k = 0; k < dir.slabs.n; k++)
			bytes += (size_t)dir.slabs.of[k].end * SLABS_UNIT;
		bytes += (dir.slots.now.size + dir.slots.old.size) * sizeof(struct slot);
		CHECK(i < 100 || bytes <= (i + 1) * (64 + sizeof(key)));
	}
	keydir_release(&dir);
}

/* Keys of the same lengths come and go, one by one and many in a row. */
static void memory_does_not_grow_with_changes(void)
{
	const struct keydir_value value = {.segment = 1};
	uint32_t end = 0, n = 0;
	struct keydir dir;
	struct keydir_loader loader = {.dir = &dir};

	keydir_init(&dir, 1);
	for (unsigned round = 0; round < 10; round++) {
		struct slot ready;

		for (uint32_t i = 0; i < 100; i++, n++) {
			CHECK_INT(keydir_load(&loader, (struct dwal_bytes){&n, sizeof(n)}, &value),
				  0);
			CHECK_INT(keydir_load(&loader, (struct dwal_bytes){&n, sizeof(n)}, &value),
				  0);
		}
		CHECK_INT(keydir_load_flush(&loader), 0);
		CHECK(!round || dir.slabs.of[0].end == end);
		end = dir.slabs.of[0].end;
		for (uint32_t i = n - 100; i < n; i++)
			if (i % 2)
				keydir_remove(&dir, (struct dwal_bytes){&i, sizeof(i)});
			else
				CHECK_INT(keydir_load(&loader, (struct dwal_bytes){&i, sizeof(i)},
						      NULL),
					  0);
		CHECK_INT(keydir_load_flush(&loader), 0);
		CHECK_INT(keydir_prepare(&dir, (struct dwal_bytes){&n, sizeof(n)}, &ready), 0);
		keydir_cancel(&dir, &ready);
	}
	CHECK(keydir_len(&dir) == 0 && dir.slabs.n == 1);
	keydir_release(&dir);
}

UNIT_MAIN(UNIT(memory_does_not_grow_with_changes), UNIT(any_changes_agree_with_an_array),
	  UNIT(keys_that_share_a_hash_agree_with_an_array), UNIT(without_memory_nothing_changes),
	  UNIT(loading_without_memory_says_so), UNIT(a_key_takes_64_bytes_at_most))
