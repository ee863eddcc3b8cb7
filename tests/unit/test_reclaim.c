/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Compaction in place: what goes, what stays, what may still be asked of the
 * past, and that nobody who reads sees anything of it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "past.h"

#include <errno.h>

static struct past before, after;

static uint64_t size_of_segment(uint32_t id)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%08u.dwal", dir.path, id);
	CHECK_INT(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

/* The keys of the records in a segment, as a list. */
static void check_keys_in(uint32_t id, const char *wanted)
{
	char path[128], list[256] = "", key[32];
	struct dwal_record record;
	dwal_iter *iter;

	snprintf(path, sizeof(path), "%s/%08u.dwal", dir.path, id);
	CHECK_INT(dwal_file_iterate(path, &iter, &error), 0);
	while (dwal_iter_next(iter, &record, &error) == 0) {
		past_copy(key, sizeof(key), record.key);
		if (*list)
			strcat(list, ", ");
		strcat(list, key);
	}
	dwal_iter_close(iter);
	if (strcmp(list, wanted) != 0)
		fprintf(stderr, "%u: %s\n", id, list);
	CHECK(strcmp(list, wanted) == 0);
}

/* ---------------------------------------------------------------- by hand */

static void what_is_superseded_goes_and_what_is_live_stays(void)
{
	struct dwal_rewrite_stats stats;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "old");
	put(kv, "b", "kept");
	write_one(kv, DWAL_RAW, "x", "anybody's");
	rotate(kv);
	put(kv, "a", "new");
	stats = compact(kv, &plain);
	CHECK_INT(stats.segments_rewritten, 1);
	CHECK_INT(stats.records_dropped, 1);
	CHECK_INT(stats.given_up.lo, 1);
	CHECK_INT(stats.given_up.hi, 4);
	CHECK_INT(dwal_kv_active_segment(kv), 2);
	check_value(kv, "a", "new");
	check_value(kv, "b", "kept");
	past_read(&after);
	CHECK_INT(after.n, 4);
	CHECK(strcmp(after.of[0].key, "datawal.horizon") == 0);
	CHECK_INT(after.of[0].txid, 1);
	CHECK(strcmp(after.of[2].payload, "anybody's") == 0);
	stats = compact(kv, &plain);
	CHECK_INT(stats.segments_rewritten, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	check_value(kv, "a", "new");
	check_value(kv, "b", "kept");
	put(kv, "a", "newer");
	CHECK_INT(place_of(kv, "a").txid, 5);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void with_everything_deleted_next_to_nothing_is_left(void)
{
	char key[16];
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_with(&(struct dwal_options){.segment_size = 4096});
	for (int i = 0; i < 400; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(kv, key, "some value of some length, so that segments become full");
		write_one(kv, DWAL_RAW, key, "attr x");
	}
	for (int i = 0; i < 400; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		CHECK_INT(dwal_kv_delete(kv, key, strlen(key)), 0);
	}
	(void)compact(kv, &plain);
	past_read(&after);
	for (size_t i = 0; i < after.n; i++) /* the highest txid stays */
		CHECK(strcmp(after.of[i].key, "datawal.horizon") == 0 || after.of[i].txid == 1200);
	CHECK_INT(after.of[after.n - 1].txid, 1200);
	CHECK_INT(compact(kv, &plain).records_dropped, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	CHECK_INT(dwal_kv_len(kv), 0);
	put(kv, "k1", "again");
	CHECK_INT(place_of(kv, "k1").txid, 1201);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void a_dry_run_says_the_same_and_changes_nothing(void)
{
	struct dwal_rewrite_options dry = plain;
	struct dwal_rewrite_stats would, did;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			put(kv, &"abcd"[i], "a value");
		if (round < 2)
			rotate(kv);
	}
	past_read(&before);
	dry.dry_run = true;
	would = compact(kv, &dry);
	past_read(&after);
	CHECK_INT(after.n, before.n);
	CHECK_INT(dwal_kv_active_segment(kv), 3);
	did = compact(kv, &plain);
	CHECK_INT(would.segments_rewritten, did.segments_rewritten);
	CHECK_INT(would.records_dropped, did.records_dropped);
	CHECK_INT(would.bytes_freed, did.bytes_freed);
	CHECK_INT(would.given_up.lo, did.given_up.lo);
	CHECK_INT(would.given_up.hi, did.given_up.hi);
	CHECK_INT(did.records_dropped, 2 * 5);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void no_horizon_passes_a_tag(void)
{
	struct dwal_rewrite_options options = plain;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "1");
	put(kv, "a", "2");
	put(kv, "a", "3");
	CHECK_INT(dwal_kv_tag(kv, "then", 2), 0);
	CHECK_INT(dwal_kv_tag(kv, "", 2), -EINVAL);
	put(kv, "a", "5");
	rotate(kv);
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store(); /* it is known again */
	CHECK_INT(compact(kv, &options).records_dropped, 1);
	CHECK_INT(compact(kv, &options).keep_txid, 2);
	CHECK_INT(dwal_kv_tag(kv, "then", 0), 0);
	CHECK_INT(compact(kv, &options).records_dropped, 2);
	CHECK_INT(dwal_kv_tag(kv, "then", 5), 0);
	put(kv, "a", "8");
	put(kv, "a", "9");
	CHECK_INT(compact(kv, &options).records_dropped, 0);
	options.drop_tags = true;
	CHECK_INT(compact(kv, &options).records_dropped, 2);
	check_value(kv, "a", "9");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void what_is_held_open_stays_readable(void)
{
	char text[32];
	dwal_value *old, *live;
	struct dwal_item item;
	dwal_cursor *cursor;
	size_t got;
	dwal_kv *kv;
	int fd;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "old");
	put(kv, "b", "kept");
	CHECK_INT(dwal_kv_value(kv, "a", 1, &old), 0);
	CHECK_INT(dwal_kv_value(kv, "b", 1, &live), 0);
	put(kv, "a", "new");
	rotate(kv);
	CHECK_INT(dwal_kv_open_segment(kv, 1, &fd), 0);
	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(compact(kv, &plain).segments_rewritten, 1);
		put(kv, "a", "newer");
		rotate(kv);
	}
	CHECK_INT(dwal_value_read(old, 0, text, sizeof(text), &got, &error), 0);
	CHECK(got == 3 && memcmp(text, "old", 3) == 0);
	CHECK_INT(dwal_value_read(live, 0, text, sizeof(text), &got, &error), 0);
	CHECK(got == 4 && memcmp(text, "kept", 4) == 0);
	CHECK_INT(pread(fd, text, 4, 0), 4);
	CHECK(lseek(fd, 0, SEEK_END) == 3 * (24 + 4 + 1 + 3) + 1);
	CHECK_INT(dwal_cursor_next(cursor, &item), 0);
	check_value(kv, "a", "newer");
	check_value(kv, "b", "kept");
	dwal_cursor_close(cursor);
	dwal_value_close(old);
	dwal_value_close(live);
	close(fd);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static int stop_at_once(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	return so_far->segments_done >= *(uint64_t *)ctx ? -ECANCELED : 0;
}

static int compact_within(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	CHECK_INT(dwal_kv_compact(ctx, &plain, NULL, &error), -EBUSY);
	return 0;
}

static void it_stops_when_told_to_and_there_is_one_at_a_time(void)
{
	struct dwal_rewrite_options options = plain;
	struct dwal_rewrite_stats stats;
	uint64_t most = 2;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	for (int i = 0; i < 4; i++) {
		put(kv, "a", "value");
		rotate(kv);
	}
	options.progress = stop_at_once;
	options.progress_ctx = &most;
	CHECK_INT(dwal_kv_compact(kv, &options, &stats, &error), -ECANCELED);
	CHECK_INT(stats.segments_done, 2);
	CHECK_INT(stats.segments_rewritten, 2);
	options.progress = compact_within;
	options.progress_ctx = kv;
	CHECK_INT(compact(kv, &options).segments_rewritten, 1);
	check_value(kv, "a", "value");
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_reading();
	CHECK_INT(dwal_kv_compact(kv, &plain, &stats, &error), DWAL_EREADONLY);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

#define MANY_SMALL 3000

static unsigned calls;

/* Asked again and again while it reads, plans and writes. */
static int stop_while_it_writes(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	char path[128];

	calls++;
	CHECK_INT(so_far->segments_done, 0);
	snprintf(path, sizeof(path), "%s/00000001.dwal-tmp", dir.path);
	return access(path, F_OK) == 0 ? -ECANCELED : 0;
}

static void it_can_be_stopped_while_it_writes_a_segment(void)
{
	struct dwal_rewrite_options options = plain;
	static const char value[100000];
	uint64_t size;
	char key[16];
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "old");
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "large%d", i);
		CHECK_INT(dwal_kv_put(kv, key, strlen(key), value, sizeof(value)), 0);
	}
	for (int i = 0; i < MANY_SMALL; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(kv, key, "small");
	}
	rotate(kv);
	put(kv, "a", "new");
	size = size_of_segment(1);
	options.progress = stop_while_it_writes;
	calls = 0;
	CHECK_INT(dwal_kv_compact(kv, &options, NULL, &error), -ECANCELED);
	/* each large one, and some dozens of small ones, is a piece of work: to read, and to plan
	 */
	CHECK(calls >= 2 * (5 + MANY_SMALL / 64));
	CHECK_INT(size_of_segment(1), size);
	check_value(kv, "a", "new");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void a_segment_that_is_damaged_is_left_alone_and_proves_nothing(void)
{
	struct dwal_rewrite_stats stats;
	uint64_t size;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "old");
	put(kv, "b", "old");
	put(kv, "c", "old");
	CHECK_INT(dwal_kv_delete(kv, "c", 1), 0);
	put(kv, "d", "old");
	rotate(kv);
	put(kv, "a", "new");
	put(kv, "a", "newer");
	rotate(kv);
	put(kv, "b", "new");
	CHECK_INT(dwal_kv_delete(kv, "d", 1), 0);
	rotate(kv);
	put(kv, "e", "of the highest txid");
	{
		char path[128];
		int fd;

		snprintf(path, sizeof(path), "%s/00000002.dwal", dir.path);
		fd = open(path, O_RDWR);
		CHECK_INT(pwrite(fd, "?", 1, 60), 1);
		close(fd);
	}
	size = size_of_segment(2);
	stats = compact(kv, &plain);
	CHECK_INT(stats.segments_damaged, 1);
	CHECK_INT(stats.segments_rewritten, 1);
	CHECK_INT(size_of_segment(2), size);
	check_keys_in(1, "a, datawal.horizon");
	check_keys_in(3, "b, d"); /* what segment 2 has of d is not known */
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* ----------------------------------------------------- beside other threads */

struct crowd {
	dwal_kv *kv;
	atomic_bool stop;
	atomic_uint rounds;
};

#define CROWD_KEYS 200

static void *write_on(void *ctx)
{
	struct crowd *crowd = ctx;
	char key[16], value[64];

	for (unsigned i = 1; !atomic_load(&crowd->stop); i++) {
		snprintf(key, sizeof(key), "k%u", i * 7919 % CROWD_KEYS);
		snprintf(value, sizeof(value), "%s of some length, number %u", key, i);
		put(crowd->kv, key, value);
		if (i % 97 == 0)
			CHECK_INT(dwal_kv_delete(crowd->kv, "gone", 4), 0);
		atomic_fetch_add(&crowd->rounds, 1);
	}
	return NULL;
}

/* Each key always has a value, and its own. */
static void *read_on(void *ctx)
{
	struct crowd *crowd = ctx;
	struct dwal_error why;
	char key[16];

	for (unsigned i = 0; !atomic_load(&crowd->stop); i++) {
		void *value = NULL;
		size_t len;

		snprintf(key, sizeof(key), "k%u", i % CROWD_KEYS);
		CHECK_INT(dwal_kv_get(crowd->kv, key, strlen(key), &value, &len, &why), 0);
		CHECK(len > strlen(key) && memcmp(value, key, strlen(key)) == 0);
		free(value);
	}
	return NULL;
}

/* So does somebody who opens the log without a lock. */
static void *open_on(void *ctx)
{
	struct crowd *crowd = ctx;
	struct dwal_error why;

	while (!atomic_load(&crowd->stop)) {
		const struct dwal_options options = {.read_only = true};
		dwal_kv *kv;

		CHECK_INT(dwal_kv_open(dir.path, &options, &kv, &why), 0);
		CHECK_INT(dwal_kv_len(kv), CROWD_KEYS);
		CHECK_INT(dwal_kv_close(kv), 0);
	}
	return NULL;
}

static void reading_and_writing_go_on(void)
{
	static void *(*const work[])(void *) = {write_on, read_on, read_on, open_on};
	struct crowd crowd = {0};
	pthread_t threads[4];
	char key[16];

	dir = unit_dir_make();
	crowd.kv = open_with(&(struct dwal_options){.segment_size = 8192});
	for (int i = 0; i < CROWD_KEYS; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(crowd.kv, key, "k999 first");
		put(crowd.kv, key, key);
		snprintf(key + strlen(key), 2, "!");
		{
			char value[24];

			snprintf(value, sizeof(value), "%s", key);
			key[strlen(key) - 1] = '\0';
			put(crowd.kv, key, value);
		}
	}
	for (int i = 0; i < 4; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, work[i], &crowd), 0);
	while (atomic_load(&crowd.rounds) < 3000)
		(void)compact(crowd.kv, &plain);
	atomic_store(&crowd.stop, true);
	for (int i = 0; i < 4; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_INT(dwal_kv_close(crowd.kv), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(what_is_superseded_goes_and_what_is_live_stays),
	  UNIT(with_everything_deleted_next_to_nothing_is_left),
	  UNIT(a_dry_run_says_the_same_and_changes_nothing), UNIT(no_horizon_passes_a_tag),
	  UNIT(what_is_held_open_stays_readable),
	  UNIT(it_stops_when_told_to_and_there_is_one_at_a_time),
	  UNIT(it_can_be_stopped_while_it_writes_a_segment),
	  UNIT(a_segment_that_is_damaged_is_left_alone_and_proves_nothing),
	  UNIT(reading_and_writing_go_on))
