/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key directory alone: sets, removals, empty keys, what is made ready, and
 * keys that were chosen to collide. Its source, for the hash and the slots.
 */
#include "keydir.c"
#include "unit.h"

enum { KEYS = 5000 };

static struct dwal_bytes text(const char *string)
{
	return (struct dwal_bytes){string, strlen(string)};
}

static void set(struct keydir *dir, struct dwal_bytes key, uint64_t offset)
{
	struct keydir_value value = {.segment = 1, .offset = offset};
	struct slot ready;

	CHECK_INT(keydir_reserve(dir, 1), 0);
	CHECK_INT(keydir_prepare(dir, key, &ready), 0);
	keydir_set(dir, &ready, &value);
}

static void empty_key_is_a_key(void)
{
	struct keydir dir;

	keydir_init(&dir, 1);
	CHECK(!keydir_find(&dir, (struct dwal_bytes){NULL, 0}));
	set(&dir, (struct dwal_bytes){NULL, 0}, 7);
	set(&dir, (struct dwal_bytes){"\0", 1}, 8);
	CHECK_INT(keydir_find(&dir, text(""))->offset, 7);
	CHECK_INT(keydir_find(&dir, (struct dwal_bytes){"\0", 1})->offset, 8);
	CHECK_INT(keydir_len(&dir), 2);
	keydir_remove(&dir, (struct dwal_bytes){NULL, 0});
	CHECK(!keydir_find(&dir, text("")));
	keydir_remove(&dir, text(""));
	CHECK_INT(keydir_len(&dir), 1);
	keydir_release(&dir);
}

static void segment_zero_is_one_like_any_other(void)
{
	const struct keydir_value value = {.segment = 0, .offset = 0};
	struct slot ready;
	struct keydir dir;

	keydir_init(&dir, 4);
	CHECK_INT(keydir_reserve(&dir, 1), 0);
	CHECK_INT(keydir_prepare(&dir, text("a"), &ready), 0);
	keydir_set(&dir, &ready, &value);
	CHECK(keydir_find(&dir, text("a")));
	CHECK_INT(keydir_len(&dir), 1);
	keydir_release(&dir);
}

static void what_is_made_ready_is_no_live_key(void)
{
	struct slot ready[2];
	struct keydir_value value;
	struct dwal_bytes key;
	struct keydir dir;
	uint32_t at = 0;

	keydir_init(&dir, 2);
	CHECK_INT(keydir_reserve(&dir, 2), 0);
	for (size_t i = 0; i < 2; i++)
		CHECK_INT(keydir_prepare(&dir, text("a"), &ready[i]), 0);
	CHECK(!keydir_find(&dir, text("a")));
	keydir_remove(&dir, text("a"));
	CHECK_INT(keydir_len(&dir), 0);
	CHECK(!keydir_next(&dir, &at, &key, &value));
	for (size_t i = 0; i < 2; i++)
		keydir_cancel(&dir, &ready[i]);
	CHECK(!keydir_find(&dir, text("a")));
	keydir_release(&dir);
}

static void what_was_there_stays_when_a_change_is_cancelled(void)
{
	struct slot ready;
	struct keydir dir;

	keydir_init(&dir, 3);
	set(&dir, text("a"), 1);
	CHECK_INT(keydir_prepare(&dir, text("a"), &ready), 0);
	keydir_cancel(&dir, &ready);
	CHECK_INT(keydir_find(&dir, text("a"))->offset, 1);
	keydir_release(&dir);
}

/* Against an array indexed by the key's number. */
static void walk_and_find_agree_with_a_plain_array(void)
{
	uint64_t seed = 20240607, model[KEYS] = {0};
	struct keydir_value value;
	struct dwal_bytes bytes;
	size_t live = 0, walked = 0;
	struct keydir dir;
	char key[16];

	keydir_init(&dir, seed);
	for (uint64_t step = 1; step < 10 * KEYS; step++) {
		size_t i = unit_random(&seed) % KEYS;

		snprintf(key, sizeof(key), "%zu", i);
		if (unit_random(&seed) % 3) {
			set(&dir, text(key), model[i] = step);
			continue;
		}
		model[i] = 0;
		keydir_remove(&dir, text(key));
	}
	for (size_t i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "%zu", i);
		const struct keydir_value *found = keydir_find(&dir, text(key));
		CHECK_INT(found ? found->offset : 0, model[i]);
		live += model[i] != 0;
	}
	CHECK_INT(keydir_len(&dir), live);
	for (uint32_t at = 0; keydir_next(&dir, &at, &bytes, &value);) {
		memcpy(key, bytes.data, bytes.len);
		key[bytes.len] = 0;
		CHECK_INT(value.offset, model[strtoul(key, NULL, 10)]);
		walked++;
	}
	CHECK_INT(walked, live);
	keydir_release(&dir);
}

/* Overwrites and removes both what waits and what was there before. */
static void loading_equals_setting_one_by_one(void)
{
	struct keydir loaded, plain;
	struct keydir_loader loader = {.dir = &loaded};
	struct keydir_value value;
	struct dwal_bytes bytes;
	uint64_t seed = 9;
	char key[16];

	keydir_init(&loaded, 1);
	keydir_init(&plain, 2);
	for (uint64_t step = 1; step < 4 * KEYS; step++) {
		value = (struct keydir_value){.segment = 1, .offset = step};
		snprintf(key, sizeof(key), "%d", (int)(unit_random(&seed) % (step % 5 ? KEYS : 9)));
		if (unit_random(&seed) % 4) {
			CHECK_INT(keydir_load(&loader, text(key), &value), 0);
			set(&plain, text(key), step);
		} else {
			CHECK_INT(keydir_load(&loader, text(key), NULL), 0);
			keydir_remove(&plain, text(key));
		}
		if (unit_random(&seed) % 50 == 0)
			CHECK_INT(keydir_load_flush(&loader), 0);
	}
	CHECK_INT(keydir_load_flush(&loader), 0);
	CHECK_INT(keydir_load_flush(&loader), 0);
	CHECK_INT(keydir_len(&loaded), keydir_len(&plain));
	for (uint32_t at = 0; keydir_next(&plain, &at, &bytes, &value);)
		CHECK_INT(keydir_find(&loaded, bytes)->offset, value.offset);
	keydir_release(&loaded);
	keydir_release(&plain);
}

static const uint32_t far_apart[] = {50, 0, 99999999, 7, 8, 4000000, 1, 99999998, 6, 5, 4, 3};
enum { FAR_APART = sizeof(far_apart) / sizeof(*far_apart) };

static void check_usage(const struct keydir *dir)
{
	struct keydir_value value;
	struct dwal_bytes key;

	for (size_t i = 0; i < FAR_APART; i++) {
		struct segment_usage live = usage_of(&dir->usage, far_apart[i]);

		CHECK_INT(live.segment, far_apart[i]);
		for (uint32_t at = 0; keydir_next(dir, &at, &key, &value);)
			if (value.segment == live.segment) {
				live.records--;
				live.bytes -= dwal_frame_size(key.len, value.value_len);
			}
		CHECK(live.records == 0 && live.bytes == 0);
	}
	CHECK_INT(usage_of(&dir->usage, 2).records, 0);
}

/* What is set needs no memory any more: its record is in the log by then. */
static void usage_is_counted_for_segments_in_any_order(void)
{
	struct slot ready;
	struct keydir dir;
	uint64_t seed = 5;
	char key[16];

	keydir_init(&dir, 1);
	for (uint64_t step = 1; step < 600; step++) {
		const struct keydir_value value = {
			.offset = step,
			.segment = far_apart[unit_random(&seed) % (1 + step * FAR_APART / 600)],
			.value_len = (uint32_t)(unit_random(&seed) % 1000),
		};
		size_t room;

		snprintf(key, sizeof(key), "%d", (int)(unit_random(&seed) % 100));
		if (unit_random(&seed) % 3 == 0)
			keydir_remove(&dir, text(key));
		CHECK_INT(keydir_reserve(&dir, 1), 0);
		CHECK_INT(keydir_prepare(&dir, text(key), &ready), 0);
		room = dir.usage.room;
		keydir_set(&dir, &ready, &value);
		CHECK(dir.usage.room == room && dir.usage.n <= room);
		check_usage(&dir);
	}
	CHECK_INT(dir.usage.n, FAR_APART);
	keydir_release(&dir);
}

enum { CHOSEN = 400, CHOSEN_SIZE = 576 }; /* and the slots that the table has then */

/* How many slots the look-ups of all these keys go over, one after the other. */
static size_t slots_gone_over(uint64_t seed, const uint64_t *keys)
{
	struct keydir dir;
	struct slots_table *table = &dir.slots.now;
	size_t sum = 0;

	keydir_init(&dir, seed);
	for (size_t i = 0; i < CHOSEN; i++)
		set(&dir, (struct dwal_bytes){&keys[i], sizeof(keys[i])}, i);
	slots_settle(&dir.slots);
	CHECK_INT(table->size, CHOSEN_SIZE);
	for (size_t i = 0; i < table->size; i++) {
		size_t home = slots_home(table, table->of[i].hash);

		if (table->of[i].number)
			sum += i >= home ? i - home : i + table->size - home;
	}
	keydir_release(&dir);
	return sum;
}

/* Whoever knows the function and a seed finds keys that all belong into one
 * slot, and a look-up goes through half of them; under another seed they
 * must lie as keys do that nobody chose. */
static void keys_chosen_to_collide_do_not_collide_under_another_seed(void)
{
	static uint64_t keys[CHOSEN];
	const struct slots_table table = {.size = CHOSEN_SIZE};
	struct keydir known;
	uint64_t key = 0;

	keydir_init(&known, 1);
	for (size_t n = 0; n < CHOSEN; key++) {
		keys[n] = key;
		n += slots_home(&table,
				keydir_hash(&known, (struct dwal_bytes){&key, sizeof(key)})) == 7;
	}
	CHECK_INT(slots_gone_over(1, keys), CHOSEN * (CHOSEN - 1) / 2);
	for (uint64_t seed = 2; seed < 50; seed++)
		CHECK(slots_gone_over(seed * 0x9e3779b97f4a7c15, keys) < CHOSEN * 10);
}

UNIT_MAIN(UNIT(segment_zero_is_one_like_any_other), UNIT(empty_key_is_a_key),
	  UNIT(what_is_made_ready_is_no_live_key),
	  UNIT(what_was_there_stays_when_a_change_is_cancelled),
	  UNIT(walk_and_find_agree_with_a_plain_array), UNIT(loading_equals_setting_one_by_one),
	  UNIT(usage_is_counted_for_segments_in_any_order),
	  UNIT(keys_chosen_to_collide_do_not_collide_under_another_seed))
