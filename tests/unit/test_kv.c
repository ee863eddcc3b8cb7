/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key/value store against a plain model of it; failed writes, opening,
 * statistics, many threads.
 */
#include "store.h"

#include <errno.h>
#include <pthread.h>

enum { KEYS = 48, STEPS = 3000, LOOKS = 60 };

struct model {
	uint32_t value[KEYS]; /* 0: absent */
};

/* Keys of 0 to 5 bytes, NUL and high bytes among them. */
static struct dwal_bytes model_key(unsigned i, char buffer[8])
{
	size_t len = i % 6;

	memset(buffer, (char)(i * 37), 8);
	if (len > 1)
		buffer[len - 1] = (char)i;
	else if (len == 1)
		buffer[0] = (char)i;
	return (struct dwal_bytes){len ? buffer : NULL, len};
}

/* Several of the numbers are the empty key. */
static unsigned model_slot(unsigned i)
{
	return i % 6 ? i : 0;
}

static void check_against(dwal_kv *kv, const struct model *model)
{
	struct dwal_item item, before = {0};
	size_t live = 0, listed = 0;
	dwal_cursor *cursor;
	char buffer[8], last[8];

	for (unsigned i = 0; i < KEYS; i++) {
		struct dwal_bytes key = model_key(i, buffer);
		uint32_t wanted = model->value[model_slot(i)], size;
		struct dwal_place place;
		void *value;
		size_t len;

		live += i == model_slot(i) && wanted;
		CHECK_INT(dwal_kv_contains(kv, key.data, key.len), wanted != 0);
		CHECK_INT(dwal_kv_ref_of(kv, key.data, key.len, &place, &size), !wanted);
		CHECK_INT(dwal_kv_get(kv, key.data, key.len, &value, &len, &error), !wanted);
		if (!wanted)
			continue;
		CHECK_INT(len, wanted % 7 + 4);
		CHECK_INT(size, len);
		CHECK(memcmp(value, &wanted, 4) == 0);
		free(value);
	}
	CHECK_INT(dwal_kv_len(kv), live);
	CHECK_INT(dwal_kv_is_empty(kv), live == 0);
	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	for (; dwal_cursor_next(cursor, &item) == 0; listed++) {
		size_t common = item.key.len < before.key.len ? item.key.len : before.key.len;
		int order = common ? memcmp(before.key.data, item.key.data, common) : 0;

		CHECK(listed == 0 || order < 0 || (order == 0 && before.key.len < item.key.len));
		if (item.key.len)
			memcpy(last, item.key.data, item.key.len);
		before.key = (struct dwal_bytes){last, item.key.len};
	}
	CHECK_INT(listed, live);
	dwal_cursor_close(cursor);
}

static void change(dwal_kv *kv, struct model *model, uint64_t *seed, uint32_t step)
{
	unsigned i = (unsigned)(unit_random(seed) % KEYS), k = (unsigned)(unit_random(seed) % KEYS);
	char first[8], second[8], value[16] = {0};
	struct dwal_bytes key = model_key(i, first), other = model_key(k, second);

	memcpy(value, &step, 4);
	struct dwal_bytes payload = {value, step % 7 + 4};
	const struct dwal_op ops[] = {
		{DWAL_PUT, other, payload},
		{DWAL_RAW, key, payload},
		{DWAL_DELETE, other, {NULL, 0}},
		{DWAL_PUT, key, payload},
	};
	switch (unit_random(seed) % 8) {
	case 0:
		CHECK_INT(dwal_kv_batch(kv, ops, 4, NULL, 0, NULL), 0);
		model->value[model_slot(k)] = 0;
		model->value[model_slot(i)] = step;
		break;
	case 1:
	case 2:
		CHECK_INT(dwal_kv_delete(kv, key.data, key.len), 0);
		model->value[model_slot(i)] = 0;
		break;
	case 3:
		if (step % 5 == 0)
			CHECK_INT(dwal_kv_rotate(kv), 0);
		break;
	default:
		CHECK_INT(dwal_kv_put(kv, key.data, key.len, payload.data, payload.len), 0);
		model->value[model_slot(i)] = step;
	}
}

static void store_equals_a_naive_fold_also_when_opened_again(void)
{
	uint64_t seed = 0xda7a;
	struct model model = {{0}};
	dwal_kv *kv, *reading;

	dir = unit_dir_make();
	kv = open_store();
	for (uint32_t step = 1; step <= STEPS; step++) {
		change(kv, &model, &seed, step);
		if (step % LOOKS)
			continue;
		check_against(kv, &model);
		reading = open_reading();
		check_against(reading, &model);
		CHECK_INT(dwal_kv_close(reading), 0);
		CHECK_INT(dwal_kv_close(kv), 0);
		kv = open_store();
		check_against(kv, &model);
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void batch_is_applied_in_order(void)
{
	const struct dwal_bytes a = {"a", 1}, b = {"b", 1}, one = {"1", 1}, two = {"2", 1};
	const struct dwal_op ops[] = {
		{DWAL_PUT, a, one}, {DWAL_DELETE, a, {NULL, 0}}, {DWAL_PUT, a, two},
		{DWAL_PUT, b, one}, {DWAL_DELETE, b, {NULL, 0}},
	};
	struct dwal_place places[5], found;
	uint32_t len;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	CHECK_INT(dwal_kv_batch(kv, ops, 0, NULL, 0, NULL), -EINVAL);
	CHECK_INT(dwal_kv_batch(kv, ops, 5, NULL, 0, places), 0);
	check_value(kv, "a", "2");
	check_value(kv, "b", NULL);
	CHECK_INT(dwal_kv_len(kv), 1);
	CHECK_INT(dwal_kv_ref_of(kv, "a", 1, &found, &len), 0);
	CHECK_INT(found.offset, places[2].offset);
	CHECK_INT(found.txid, places[2].txid);
	CHECK_INT(found.length, places[2].length);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* As a rename is written: the new name, then the tombstone. */
static void a_batch_cut_short_changes_no_key(void)
{
	const struct dwal_op ops[] = {{DWAL_PUT, {"new", 3}, {"value", 5}},
				      {DWAL_RAW, {"new", 3}, {"mode=600", 8}},
				      {DWAL_DELETE, {"old", 3}, {NULL, 0}}};
	off_t start, whole, size;
	struct stat st;
	char path[96];
	dwal_kv *kv;

	dir = unit_dir_make();
	snprintf(path, sizeof(path), "%s/00000001.dwal", dir.path);
	kv = open_store();
	put(kv, "old", "value");
	CHECK(stat(path, &st) == 0);
	start = st.st_size;
	CHECK_INT(dwal_kv_batch(kv, ops, 3, NULL, 0, NULL), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK(stat(path, &st) == 0);
	whole = st.st_size;
	for (size = whole; size > start; size--) {
		CHECK(truncate(path, size) == 0);
		kv = open_reading();
		check_value(kv, "old", size < whole ? "value" : NULL);
		check_value(kv, "new", size < whole ? NULL : "value");
		CHECK_INT(dwal_kv_close(kv), 0);
	}
	kv = open_store(); /* what is put next does not make half of it real */
	put(kv, "other", "x");
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	CHECK_INT(dwal_kv_len(kv), 2);
	check_value(kv, "old", "value");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

struct full_disk {
	struct io io;
	bool full;
};

static ssize_t full_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
			    off_t offset)
{
	if (((const struct full_disk *)io)->full)
		return -ENOSPC;
	return io_system.pwritev(io, fd, iov, n, offset);
}

static void failed_put_leaves_the_old_value_and_no_new_key(void)
{
	struct full_disk disk = {.io = io_system};
	const struct dwal_op ops[] = {
		{DWAL_PUT, {"new", 3}, {"x", 1}},
		{DWAL_DELETE, {"old", 3}, {NULL, 0}},
	};
	static char big[DWAL_MAX_KEY + 1];
	dwal_kv *kv;

	dir = unit_dir_make();
	disk.io.pwritev = full_pwritev;
	kv = open_io(&disk.io, NULL);
	put(kv, "old", "value");
	disk.full = true;
	CHECK_INT(dwal_kv_put(kv, "old", 3, "x", 1), -ENOSPC);
	CHECK_INT(dwal_kv_batch(kv, ops, 2, NULL, 0, NULL), -ENOSPC);
	CHECK_INT(dwal_kv_delete(kv, "old", 3), -ENOSPC);
	check_value(kv, "old", "value");
	check_value(kv, "new", NULL);
	CHECK_INT(dwal_kv_len(kv), 1);
	disk.full = false;
	CHECK_INT(dwal_kv_put(kv, big, sizeof(big), "x", 1), DWAL_EKEYSIZE);
	CHECK_INT(dwal_kv_put(kv, "new", 3, "x", DWAL_MAX_PAYLOAD + 1ul), DWAL_EPAYLOADSIZE);
	CHECK_INT(dwal_kv_len(kv), 1);
	put(kv, "new", "x");
	CHECK(!dwal_kv_is_poisoned(kv) && !dwal_kv_refusal(kv));
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	check_value(kv, "old", "value");
	check_value(kv, "new", "x");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static int count_records(void *ctx, const struct dwal_record *record)
{
	int *left = ctx;

	return --*left < 0 ? -ECANCELED : 0;
}

static void open_hands_every_record_to_the_observer_which_can_stop_it(void)
{
	int left = 3;
	struct dwal_options options = {.observe = count_records, .observe_ctx = &left};
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "1");
	put(kv, "a", "2");
	CHECK_INT(dwal_kv_delete(kv, "b", 1), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	for (int reading = 0; reading < 2; reading++) {
		options.read_only = reading;
		left = 3;
		CHECK_INT(dwal_kv_close(open_with(&options)), 0);
		CHECK_INT(left, 0);
		left = 2;
		CHECK_INT(dwal_kv_open(dir.path, &options, &kv, &error), -ECANCELED);
	}
	unit_dir_remove(&dir);
}

static void unusual_records_are_accepted(void)
{
	const struct dwal_op ops[] = {
		{DWAL_PUT, {"a", 1}, {"1", 1}},  {DWAL_RAW, {"a", 1}, {"raw", 3}},
		{DWAL_PUT, {"b", 1}, {"2", 1}},  {DWAL_DELETE, {"b", 1}, {"why", 3}},
		{DWAL_PUT, {NULL, 0}, {"3", 1}},
	};
	dwal_log *log;
	dwal_kv *kv;

	dir = unit_dir_make();
	CHECK_INT(dwal_log_open(dir.path, NULL, &log, &error), 0);
	CHECK_INT(dwal_log_append(log, ops, 5, NULL), 0);
	CHECK_INT(dwal_log_close(log), 0);
	for (int reading = 0; reading < 2; reading++) {
		kv = reading ? open_reading() : open_store();
		check_value(kv, "a", "1");
		check_value(kv, "b", NULL);
		check_value(kv, "", "3");
		CHECK_INT(dwal_kv_report(kv)->raw_records, 1);
		CHECK_INT(dwal_kv_close(kv), 0);
	}
	unit_dir_remove(&dir);
}

static void deleting_an_absent_key_writes_a_tombstone(void)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	CHECK_INT(dwal_kv_delete(kv, "never", 5), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_reading();
	CHECK_INT(dwal_kv_report(kv)->records_replayed, 1);
	CHECK_INT(dwal_kv_len(kv), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void reading_store_takes_no_lock_and_changes_nothing(void)
{
	dwal_kv *kv, *reading;
	struct stat st;
	int fd;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "1");
	reading = open_reading();
	check_value(reading, "a", "1");
	put(kv, "a", "2");
	check_value(reading, "a", "1");
	CHECK_INT(dwal_kv_put(reading, "a", 1, "x", 1), DWAL_EREADONLY);
	CHECK_INT(dwal_kv_delete(reading, "a", 1), DWAL_EREADONLY);
	CHECK_INT(dwal_kv_sync(reading), DWAL_EREADONLY);
	CHECK_INT(dwal_kv_rotate(reading), DWAL_EREADONLY);
	CHECK(dwal_kv_refusal(reading) && !dwal_kv_is_poisoned(reading));
	CHECK_INT(dwal_kv_close(reading), 0);
	CHECK_INT(dwal_kv_close(kv), 0);

	fd = open_segment();
	CHECK(fstat(fd, &st) == 0 && ftruncate(fd, st.st_size - 1) == 0);
	reading = open_reading();
	check_value(reading, "a", "1");
	CHECK_INT(dwal_kv_report(reading)->tail_truncated, 1);
	CHECK_INT(dwal_kv_report(reading)->records_replayed, 1);
	CHECK_INT(dwal_kv_close(reading), 0);
	struct stat after;
	CHECK(fstat(fd, &after) == 0 && after.st_size == st.st_size - 1);
	close(fd);
	unit_dir_remove(&dir);
}

static void reading_a_damaged_log_is_an_error_that_says_where(void)
{
	dwal_kv *kv = NULL;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "1");
	put(kv, "b", "2");
	uint64_t at = place_of(kv, "b").offset;
	CHECK_INT(dwal_kv_close(kv), 0);
	flip(at + 7);
	kv = NULL;
	CHECK_INT(dwal_kv_open(dir.path, &(struct dwal_options){.read_only = true}, &kv, &error),
		  DWAL_ECORRUPT);
	CHECK(!kv);
	CHECK_INT(error.segment, 1);
	CHECK_INT(error.offset, at);
	CHECK_INT(error.reason, DWAL_BAD_FLAGS);
	unit_dir_remove(&dir);
}

enum { THREADS = 4, ROUNDS = 1500 };

struct worker {
	pthread_t thread;
	dwal_kv *kv;
	uint64_t seed;
};

/* Every value is its key's number again and again, so a mixture shows. */
static void *put_and_get(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t random = unit_random(&worker->seed);
		uint8_t key = random % 16, bytes[64];
		size_t len, n = (random >> 8) % sizeof(bytes);
		void *value;

		memset(bytes, key, sizeof(bytes));
		if (random >> 60 == 0)
			CHECK_INT(dwal_kv_delete(worker->kv, &key, 1), 0);
		else if (random >> 60 == 1 && i % 8 == 0)
			CHECK_INT(dwal_kv_rotate(worker->kv), 0);
		else if (random >> 60 < 8)
			CHECK_INT(dwal_kv_put(worker->kv, &key, 1, bytes, n), 0);
		else if (dwal_kv_get(worker->kv, &key, 1, &value, &len, NULL) == 0) {
			CHECK(len < sizeof(bytes) && memcmp(value, bytes, len) == 0);
			free(value);
		}
	}
	return NULL;
}

static void threads_see_whole_values_and_leave_what_a_new_open_finds(void)
{
	struct worker workers[THREADS];
	struct dwal_place live[16], found;
	bool had[16];
	uint32_t len;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.kv = kv, .seed = 77 + (uint64_t)i};
		CHECK(!pthread_create(&workers[i].thread, NULL, put_and_get, &workers[i]));
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(workers[i].thread, NULL));
	for (uint8_t key = 0; key < 16; key++)
		had[key] = dwal_kv_ref_of(kv, &key, 1, &live[key], &len) == 0;
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	for (uint8_t key = 0; key < 16; key++) {
		CHECK_INT(dwal_kv_ref_of(kv, &key, 1, &found, &len), !had[key]);
		CHECK(!had[key] ||
		      (live[key].txid == found.txid && live[key].offset == found.offset));
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void each_open_takes_a_seed_of_its_own(void)
{
	const struct dwal_options reading = {.read_only = true};
	uint64_t seeds[3];

	dir = unit_dir_make();
	for (size_t i = 0; i < 3; i++) {
		dwal_kv *kv = open_with(i == 2 ? &reading : NULL);

		seeds[i] = kv->keydir.seed;
		CHECK_INT(dwal_kv_close(kv), 0);
	}
	CHECK(seeds[0] != seeds[1] && seeds[1] != seeds[2] && seeds[0] != seeds[2]);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(each_open_takes_a_seed_of_its_own),
	  UNIT(store_equals_a_naive_fold_also_when_opened_again), UNIT(batch_is_applied_in_order),
	  UNIT(a_batch_cut_short_changes_no_key),
	  UNIT(failed_put_leaves_the_old_value_and_no_new_key),
	  UNIT(open_hands_every_record_to_the_observer_which_can_stop_it),
	  UNIT(unusual_records_are_accepted), UNIT(deleting_an_absent_key_writes_a_tombstone),
	  UNIT(reading_store_takes_no_lock_and_changes_nothing),
	  UNIT(reading_a_damaged_log_is_an_error_that_says_where),
	  UNIT(threads_see_whole_values_and_leave_what_a_new_open_finds))
