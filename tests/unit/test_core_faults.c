/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Each system call of each operation fails once, those that only look as well:
 * then the operation says so or is right, nothing is left open, and what was
 * acknowledged is there when the log is opened again. Interrupted and short
 * calls are no failures.
 */
#include "core.h"
#include "fault_io.h"
#include "kv.h"
#include "log.h"
#include "reader.h"

static struct unit_dir dir;
static struct fault_io fault;
static struct dwal_error error;

/* Puts of k0 .. k9 in two segments, the last two as one operation, and another
 * that is cut short. */
static void make_log(void)
{
	const struct dwal_op last[] = {{DWAL_PUT, {"k8", 2}, {"k8", 2}},
				       {DWAL_PUT, {"k9", 2}, {"k9", 2}}};
	const struct dwal_op torn[] = {{DWAL_PUT, {"torn", 4}, {"x", 1}},
				       {DWAL_DELETE, {"k0", 2}, {NULL, 0}}};
	const char *path = core_path(dir.path, "00000002.dwal");
	struct stat st;
	dwal_kv *kv;

	fault_init(&fault);
	fault.no_sync = true;
	CHECK_INT(kv_open(&fault.io, dir.path, NULL, &kv, &error), 0);
	for (int i = 0; i < 8; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		CHECK_INT(dwal_kv_put(kv, key, 2, key, 2), 0);
		if (i == 4)
			CHECK_INT(dwal_kv_rotate(kv), 0);
	}
	CHECK_INT(dwal_kv_batch(kv, last, 2, NULL, 0, NULL), 0);
	CHECK_INT(dwal_kv_batch(kv, torn, 2, NULL, 0, NULL), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK(stat(path, &st) == 0 && truncate(path, st.st_size - 3) == 0);
}

/* k0 .. k(n-1), and no more. */
static void check_keys(dwal_kv *kv, int n)
{
	CHECK_INT(dwal_kv_len(kv), n);
	for (int i = 0; i < n; i++) {
		char key[16];
		void *value;
		size_t len;

		snprintf(key, sizeof(key), "k%d", i);
		CHECK_INT(dwal_kv_get(kv, key, strlen(key), &value, &len, &error), 0);
		CHECK(len == 2 && memcmp(value, key, 2) == 0);
		free(value);
	}
}

/* Opening for writing, and closing. */
static bool open_and_close(int *keys)
{
	dwal_kv *kv;
	int rc = kv_open(&fault.io, dir.path, NULL, &kv, &error);

	CHECK(!rc || (rc == error.code && *error.message && !strchr(error.message, '\n')));
	if (rc)
		return false;
	CHECK_INT(dwal_kv_len(kv), 10);
	(void)dwal_kv_close(kv); /* may be the call that fails */
	return true;
}

/* *keys is what was acknowledged as durable, *keys + 1 may be there. */
static bool put_rotate_and_sync(int *keys)
{
	bool good = true;
	dwal_kv *kv;

	if (kv_open(&fault.io, dir.path, NULL, &kv, &error))
		return false;
	for (int i = 10; good && i < 14; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		if (i % 2)
			good = dwal_kv_put(kv, key, 3, key, 2) == 0;
		else
			good = dwal_kv_batch(kv, &(struct dwal_op){DWAL_PUT, {key, 3}, {key, 2}}, 1,
					     &(struct dwal_line){"op", "put"}, 1, NULL) == 0;
		if (good && i == 11)
			good = dwal_kv_rotate(kv) == 0;
		if (good)
			good = dwal_kv_sync(kv) == 0;
		if (good)
			*keys = i + 1;
	}
	if (good)
		good = dwal_kv_check(kv) == 0;
	(void)dwal_kv_close(kv); /* may be the call that fails */
	return good;
}

static bool read_values(int *keys)
{
	const struct dwal_options reading = {.read_only = true};
	bool good = true;
	dwal_kv *kv;

	if (kv_open(&fault.io, dir.path, &reading, &kv, &error))
		return false;
	for (int i = 0; good && i < 10; i++) {
		char key[16];
		void *value;
		size_t len;
		int rc;

		snprintf(key, sizeof(key), "k%d", i);
		rc = dwal_kv_get(kv, key, 2, &value, &len, &error);
		CHECK(rc == 0 || rc == -EIO); /* never absent, never damage */
		good = rc == 0;
		if (good) {
			CHECK(len == 2 && memcmp(value, key, 2) == 0);
			free(value);
		}
	}
	(void)dwal_kv_close(kv);
	return good;
}

static bool report_and_iterate(int *keys)
{
	const struct dwal_report *report;
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter = NULL;
	int rc, n = 0;

	if (reader_open(&fault.io, dir.path, &reader, &error))
		return false;
	rc = dwal_reader_report(reader, &report, &error);
	if (!rc)
		CHECK(report->records_replayed == 11 && report->tail_truncated == 1 &&
		      report->damage_count == 1 && report->damage->reason == DWAL_PARTIAL);
	if (!rc)
		rc = dwal_reader_iterate(reader, 0, 0, &iter, &error);
	while (!rc && (rc = dwal_iter_next(iter, &record, &error)) == 0)
		n++;
	CHECK(rc == -EIO || (rc == DWAL_END && n == 11)); /* with one header */
	dwal_iter_close(iter);
	dwal_reader_close(reader);
	return rc == DWAL_END;
}

static void check_reopened(int keys)
{
	dwal_kv *kv;
	size_t n;

	fault_init(&fault);
	fault.no_sync = true;
	CHECK_INT(kv_open(&fault.io, dir.path, NULL, &kv, &error), 0);
	n = dwal_kv_len(kv);
	CHECK(n == (size_t)keys || n == (size_t)keys + 1);
	check_keys(kv, (int)n);
	CHECK_INT(dwal_kv_close(kv), 0);
}

static void fail_each_call_of(bool (*operation)(int *keys), unsigned least)
{
	unsigned n = 0, failed = 0;
	bool fired;

	do {
		unsigned before;
		int keys = 10;
		bool good;

		dir = unit_dir_make();
		make_log();
		fault.fail_every = fault.every + ++n;
		before = core_open_files();
		good = operation(&keys);
		failed += !good;
		CHECK_INT(core_open_files(), before);
		fired = fault.every >= fault.fail_every;
		CHECK(good || fired); /* without a fault it works */
		check_reopened(keys);
		unit_dir_remove(&dir);
	} while (fired);
	printf("  %u calls, %u of them matter\n", n - 1, failed);
	CHECK(n > least);
}

static void an_open_fails_or_is_right_whatever_call_fails(void)
{
	fail_each_call_of(open_and_close, 40);
}

static void puts_syncs_and_rotations_fail_or_are_durable_whatever_call_fails(void)
{
	fail_each_call_of(put_rotate_and_sync, 70);
}

static void reading_values_fails_or_is_right_whatever_call_fails(void)
{
	fail_each_call_of(read_values, 20);
}

static void a_report_and_an_iteration_fail_or_are_right_whatever_call_fails(void)
{
	fail_each_call_of(report_and_iterate, 15);
}

static void interrupted_and_short_calls_are_no_failures(void)
{
	for (unsigned i = 2; i <= 4; i++) {
		int keys = 10;

		dir = unit_dir_make();
		make_log();
		fault.interrupt = i;
		fault.short_read = fault.short_write = 2 * i - 3;
		CHECK(read_values(&keys));
		CHECK(report_and_iterate(&keys));
		CHECK(open_and_close(&keys));
		CHECK(put_rotate_and_sync(&keys));
		CHECK_INT(keys, 14);
		CHECK(fault.interruptible > 200);
		check_reopened(keys);
		unit_dir_remove(&dir);
	}
}

UNIT_MAIN(UNIT(an_open_fails_or_is_right_whatever_call_fails),
	  UNIT(puts_syncs_and_rotations_fail_or_are_durable_whatever_call_fails),
	  UNIT(reading_values_fails_or_is_right_whatever_call_fails),
	  UNIT(a_report_and_an_iteration_fail_or_are_right_whatever_call_fails),
	  UNIT(interrupted_and_short_calls_are_no_failures))
