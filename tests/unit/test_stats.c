/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How much of each segment is live: what is counted as the store changes is
 * what a walk over all keys finds.
 */
#include "store.h"

#include <errno.h>

static void stats_count_what_is_live_in_each_segment(void)
{
	struct dwal_segment_stats *stats;
	dwal_kv *kv;
	size_t n;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "1");
	put(kv, "b", "22");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "a", "333");
	CHECK_INT(dwal_kv_delete(kv, "c", 1), 0);
	for (int again = 0; again < 3; again++) {
		CHECK_INT(dwal_kv_stats(kv, &stats, &n), 0);
		CHECK_INT(n, 2);
		CHECK(stats[0].id == 1 && !stats[0].active);
		CHECK_INT(stats[0].records, 2);
		CHECK_INT(stats[0].bytes, 30 + 31);
		CHECK_INT(stats[0].live_records, 1);
		CHECK_INT(stats[0].live_bytes, 31);
		CHECK(stats[1].id == 2 && stats[1].active);
		CHECK_INT(stats[1].records, 2);
		CHECK_INT(stats[1].bytes, 32 + 29);
		CHECK_INT(stats[1].live_records, 1);
		CHECK_INT(stats[1].live_bytes, 32);
		free(stats);
		CHECK_INT(dwal_kv_close(kv), 0);
		kv = again ? open_reading() : open_store();
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

struct short_disk {
	struct io io;
	bool full;
};

static ssize_t short_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
			     off_t offset)
{
	if (((const struct short_disk *)io)->full)
		return -ENOSPC;
	return io_system.pwritev(io, fd, iov, n, offset);
}

/* What a cursor finds in one segment, in the same form. */
static void check_segment(dwal_kv *kv, const struct dwal_segment_stats *stats)
{
	uint64_t records = 0, bytes = 0;
	struct dwal_item item;
	dwal_cursor *cursor;

	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	while (dwal_cursor_next(cursor, &item) == 0) {
		records += item.place.segment == stats->id;
		bytes += item.place.segment == stats->id ? item.place.length : 0;
	}
	dwal_cursor_close(cursor);
	CHECK_INT(stats->live_records, records);
	CHECK_INT(stats->live_bytes, bytes);
	CHECK(records <= stats->records && bytes <= stats->bytes);
}

/* How many segments there are. */
static size_t check_stats(dwal_kv *kv)
{
	struct dwal_segment_stats *stats;
	uint64_t live = 0;
	size_t n;

	CHECK_INT(dwal_kv_stats(kv, &stats, &n), 0);
	for (size_t i = 0; i < n; i++) {
		check_segment(kv, &stats[i]);
		live += stats[i].live_records;
	}
	CHECK_INT(live, dwal_kv_len(kv));
	free(stats);
	return n;
}

enum { STEPS = 400, KEYS = 40, MOST = 20 };

/* Puts and Deletes of a few keys, the same one more than once too. */
static size_t random_batch(uint64_t *seed, const char *keys, struct dwal_op *ops)
{
	static const char value[100];
	size_t n = 1 + unit_random(seed) % MOST;

	for (size_t i = 0; i < n; i++) {
		const char *key = keys + unit_random(seed) % KEYS;

		ops[i] = (struct dwal_op){DWAL_PUT, {key, 1}, {value, unit_random(seed) % 100}};
		if (unit_random(seed) % 4 == 0)
			ops[i] = (struct dwal_op){DWAL_DELETE, {key, 1}, {NULL, 0}};
	}
	return n;
}

static void counters_equal_a_walk_after_any_changes(void)
{
	struct short_disk disk = {.io = io_system};
	const struct dwal_options options = {.segment_size = 4096};
	struct dwal_place places[MOST];
	struct dwal_op ops[MOST];
	uint64_t seed = 20260601;
	char keys[KEYS];
	dwal_kv *kv;

	for (int i = 0; i < KEYS; i++)
		keys[i] = (char)i;
	disk.io.pwritev = short_pwritev;
	dir = unit_dir_make();
	kv = open_io(&disk.io, &options);
	for (int step = 0; step < STEPS; step++) {
		size_t n = random_batch(&seed, keys, ops);

		disk.full = unit_random(&seed) % 5 == 0;
		CHECK_INT(dwal_kv_batch(kv, ops, n, NULL, 0, step % 2 ? places : NULL),
			  disk.full ? -ENOSPC : 0);
		check_stats(kv);
		if (step % 40 == 39) {
			CHECK_INT(dwal_kv_close(kv), 0);
			kv = open_reading();
			check_stats(kv);
			CHECK_INT(dwal_kv_close(kv), 0);
			kv = open_io(&disk.io, &options);
			check_stats(kv);
		}
	}
	CHECK(check_stats(kv) > 10);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(stats_count_what_is_live_in_each_segment),
	  UNIT(counters_equal_a_walk_after_any_changes))
