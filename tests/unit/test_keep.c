/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How much of the history is to stay, as a txid.
 */
#include "store.h"

#include <errno.h>

static uint64_t last_txid;

static void write_at(dwal_kv *kv, const char *time, struct dwal_op op)
{
	const struct dwal_line line = {"time", time};
	struct dwal_place place;

	CHECK_INT(dwal_kv_batch(kv, &op, 1, &line, time ? 1 : 0, &place), 0);
	last_txid = place.txid;
}

static struct dwal_bytes text(const char *string)
{
	return (struct dwal_bytes){string, strlen(string)};
}

/* With a header, unless time is NULL. */
static void put_at(dwal_kv *kv, const char *time, const char *key)
{
	write_at(kv, time, (struct dwal_op){DWAL_PUT, text(key), text("1")});
}

/* The same answer of a store that writes and of one that reads. */
static void check_age(dwal_kv *kv, int64_t since, uint64_t wanted)
{
	dwal_kv *reading = open_reading();
	uint64_t txid = 0;

	CHECK_INT(dwal_kv_keep_age(kv, since, NULL, &txid, &error), 0);
	CHECK_INT(txid, wanted);
	CHECK_INT(dwal_kv_keep_age(reading, since, NULL, &txid, &error), 0);
	CHECK_INT(txid, wanted);
	CHECK_INT(dwal_kv_close(reading), 0);
}

static void of_an_age_stays_what_was_the_state_then_and_all_since(void)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	check_age(kv, 100, 1);
	put_at(kv, "100.000000000", "a");
	put_at(kv, "200.500000000", "a");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put_at(kv, "300.000000000", "b");
	check_age(kv, 50, 1);
	check_age(kv, 100, 1);
	check_age(kv, 101, 1);
	check_age(kv, 200, 1);
	check_age(kv, 201, 2);
	check_age(kv, 300, 2);
	check_age(kv, 301, 3);
	/* a clock that was put back, or forth: what may be younger stays */
	put_at(kv, "250.000000000", "a");
	check_age(kv, 260, 2);
	check_age(kv, 301, 4);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* That of segment 1. */
static void set_time(time_t seconds)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};
	int fd = open_segment();

	CHECK_INT(futimens(fd, times), 0);
	close(fd);
}

static void records_without_a_time_are_as_young_as_they_can_be(void)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put_at(kv, NULL, "a");
	put_at(kv, "100.000000000", "b");
	put_at(kv, NULL, "c"); /* 3 */
	put_at(kv, NULL, "d");
	put_at(kv, "200.000000000", "e"); /* 5 */
	put_at(kv, NULL, "f");
	check_age(kv, 100, 1);
	check_age(kv, 101, 2);
	check_age(kv, 200, 2);
	check_age(kv, 201, 5);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put_at(kv, NULL, "g"); /* 7, in a file that is new */
	check_age(kv, 201, 5);
	set_time(300);
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	check_age(kv, 300, 5);
	check_age(kv, 301, 6);
	check_age(kv, INT64_MAX, 7);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static enum dwal_raw_kind kind_of(void *ctx, const struct dwal_record *record)
{
	const char *payload = record->payload.data;

	CHECK(ctx == &dir);
	switch (record->payload.len ? payload[0] : 0) {
	case 'a':
		return DWAL_RAW_ATTRIBUTES;
	case 'e':
		return DWAL_RAW_ENTRY;
	case 'x':
		return DWAL_RAW_ENTRY_END;
	default:
		return DWAL_RAW_OTHER;
	}
}

static void check_size(dwal_kv *kv, uint64_t bytes, uint64_t wanted)
{
	const struct dwal_rewrite_options options = {.raw_kind = kind_of, .raw_kind_ctx = &dir};
	dwal_kv *reading = open_reading();
	uint64_t txid = 0;

	CHECK_INT(dwal_kv_keep_size(kv, bytes, &options, &txid, &error), 0);
	CHECK_INT(txid, wanted);
	CHECK_INT(dwal_kv_keep_size(reading, bytes, &options, &txid, &error), 0);
	CHECK_INT(txid, wanted);
	CHECK_INT(dwal_kv_close(reading), 0);
}

static void of_a_size_stays_what_was_superseded_last(void)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	check_size(kv, 0, 1);
	put(kv, "a", "1"); /* 30 bytes */
	put(kv, "b", "22");
	check_size(kv, 0, 1);
	put(kv, "a", "333"); /* 3: ends 30 bytes */
	check_size(kv, 0, 3);
	check_size(kv, 29, 3);
	check_size(kv, 30, 1);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT(dwal_kv_delete(kv, "b", 1), 0); /* 4: ends 31, and its own 29 */
	put(kv, "c", "");                         /* 5 */
	check_size(kv, 59, 4);
	check_size(kv, 60, 3);
	check_size(kv, 90, 1);
	put(kv, "a", ""); /* 6: ends 32 */
	check_size(kv, 31, 6);
	check_size(kv, 32, 4);
	check_size(kv, 92, 3);
	check_size(kv, 122, 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);

	dir = unit_dir_make();
	kv = open_store();
	put_at(kv, "1.000000000", "a");
	put_at(kv, "2.000000000", "a");
	check_size(kv, 30, 2);
	check_size(kv, place_of(kv, "a").offset - 1, 1); /* the other header, both, is longer */
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* More steps than are told apart: what stays is a little less, never more. */
static void many_are_counted_in_steps(void)
{
	const uint64_t n = 100000;
	char value[8];
	uint64_t txid;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	for (uint64_t i = 0; i < n; i++) {
		snprintf(value, sizeof(value), "%06llu", (unsigned long long)i);
		put(kv, "k", value);
	}
	CHECK_INT(dwal_kv_keep_size(kv, 35 * n / 2, NULL, &txid, &error), 0);
	CHECK(txid >= n / 2 && txid < n / 2 + 16);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void raw(dwal_kv *kv, const char *key, const char *payload)
{
	write_at(kv, NULL, (struct dwal_op){DWAL_RAW, text(key), text(payload)});
}

static void attributes_and_directories_count(void)
{
	dwal_kv *kv;
	uint64_t txid;

	dir = unit_dir_make();
	kv = open_store();
	raw(kv, "f", "a1");
	put(kv, "f", "");
	raw(kv, "f", "anew"); /* 3: ends 31 */
	raw(kv, "d", "e1");
	raw(kv, "d", "e22"); /* 5: ends 31 */
	raw(kv, "", "foreign");
	raw(kv, "", "foreign");
	check_size(kv, 30, 5);
	check_size(kv, 61, 3);
	check_size(kv, 62, 1);
	raw(kv, "d", "x");                        /* 8: ends 32, and its own 30 */
	CHECK_INT(dwal_kv_delete(kv, "f", 1), 0); /* 9: ends 29 and 33, and its own 29 */
	check_size(kv, 90, 9);
	check_size(kv, 91, 8);
	check_size(kv, 153, 5);
	CHECK_INT(dwal_kv_keep_size(kv, 0, NULL, &txid, &error), 0);
	CHECK_INT(txid, 9);
	CHECK_INT(dwal_kv_keep_size(kv, 58, NULL, &txid, &error), 0); /* no kinds: only values */
	CHECK_INT(txid, 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void what_lies_in_a_damaged_segment_is_passed_over(void)
{
	uint64_t txid;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put_at(kv, "100.000000000", "a");
	put_at(kv, "100.000000000", "a");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put_at(kv, "200.000000000", "b");
	put_at(kv, "300.000000000", "b");
	flip(0);
	CHECK_INT(dwal_kv_keep_age(kv, 201, NULL, &txid, &error), 0);
	CHECK_INT(txid, 3);
	CHECK_INT(dwal_kv_keep_size(kv, 0, NULL, &txid, &error), 0);
	CHECK_INT(txid, 4);
	CHECK_INT(dwal_kv_keep_size(kv, 1000, NULL, &txid, &error), 0);
	CHECK_INT(txid, 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static int tell_twice(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	int *left = ctx;

	CHECK(so_far->bytes_done && so_far->bytes_done <= so_far->bytes);
	return --*left ? 0 : -ECANCELED;
}

static void whoever_is_told_can_end_it(void)
{
	int left = 2;
	const struct dwal_rewrite_options options = {.progress = tell_twice, .progress_ctx = &left};
	uint64_t txid = 77;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	for (int i = 0; i < 3; i++)
		put(kv, "a", "1");
	CHECK_INT(dwal_kv_keep_age(kv, 1, &options, &txid, &error), -ECANCELED);
	left = 2;
	CHECK_INT(dwal_kv_keep_size(kv, 1, &options, &txid, &error), -ECANCELED);
	CHECK_INT(txid, 77);
	left = 100;
	CHECK_INT(dwal_kv_keep_size(kv, 1, &options, &txid, &error), 0);
	CHECK_INT(left, 97);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(of_an_age_stays_what_was_the_state_then_and_all_since),
	  UNIT(records_without_a_time_are_as_young_as_they_can_be),
	  UNIT(of_a_size_stays_what_was_superseded_last), UNIT(many_are_counted_in_steps),
	  UNIT(attributes_and_directories_count),
	  UNIT(what_lies_in_a_damaged_segment_is_passed_over), UNIT(whoever_is_told_can_end_it))
