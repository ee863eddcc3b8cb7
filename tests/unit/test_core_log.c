/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Appending, rotating, syncing, iterating; and each of them failing.
 */
#include "core.h"
#include "fault_io.h"
#include "log.h"

#include <errno.h>

static struct unit_dir dir;
static struct fault_io fault;

static dwal_log *begin(uint64_t segment_size)
{
	struct dwal_options options = {.segment_size = segment_size};

	dir = unit_dir_make();
	fault_init(&fault);
	return core_open_io(&fault.io, dir.path, &options);
}

static void finish(dwal_log *log)
{
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static void places_say_where_records_are_and_txids_rise_from_one(void)
{
	dwal_log *log = begin(0);
	struct dwal_op ops[3] = {{.type = DWAL_PUT, .key = {"k", 1}, .payload = {"v", 1}},
				 {.type = DWAL_DELETE, .key = {"k", 1}},
				 {.type = DWAL_RAW, .key = {"raw", 3}, .payload = {"x", 1}}};
	struct dwal_place places[3];
	struct dwal_record r;
	dwal_iter *iter;

	CHECK_INT(dwal_log_append(log, ops, 3, places), 0);
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(dwal_log_append(log, ops, 3, places), 0);
	CHECK_INT(places[0].segment, 2);
	CHECK_INT(places[0].offset, 0);
	CHECK_INT(places[1].offset, 30);
	CHECK_INT(places[2].offset, 59);
	CHECK_INT(places[2].length, 32);
	CHECK_INT(places[2].txid, 6);

	CHECK_INT(dwal_log_iterate(log, 2, places[1].offset, &iter, NULL), 0);
	CHECK_INT(dwal_log_append(log, ops, 1, NULL), 0); /* not seen any more */
	CHECK_INT(dwal_iter_next(iter, &r, NULL), 0);
	CHECK(r.type == DWAL_DELETE && r.txid == 5 && r.segment == 2 && r.offset == 30);
	CHECK_INT(dwal_iter_next(iter, &r, NULL), 0);
	CHECK(r.type == DWAL_RAW && r.key.len == 3 && memcmp(r.key.data, "raw", 3) == 0);
	CHECK_INT(dwal_iter_next(iter, &r, NULL), DWAL_END);
	CHECK_INT(dwal_iter_next(iter, &r, NULL), DWAL_END);
	dwal_iter_close(iter);
	CHECK_INT(dwal_log_iterate(log, 3, 0, &iter, NULL), 0);
	CHECK_INT(dwal_iter_next(iter, &r, NULL), DWAL_END);
	dwal_iter_close(iter);
	finish(log);
}

static void bad_operations_are_refused_and_write_nothing(void)
{
	dwal_log *log = begin(0);
	struct dwal_op ops[2] = {{.type = DWAL_PUT}, {.type = DWAL_PUT}};

	CHECK_INT(dwal_log_append(log, ops, 0, NULL), -EINVAL);
	ops[1].type = 3;
	CHECK_INT(dwal_log_append(log, ops, 2, NULL), -EINVAL);
	ops[1] = (struct dwal_op){.key = {"", DWAL_MAX_KEY + 1}};
	CHECK_INT(dwal_log_append(log, ops, 2, NULL), DWAL_EKEYSIZE);
	ops[1] = (struct dwal_op){.payload = {"", DWAL_MAX_PAYLOAD + 1}};
	CHECK_INT(dwal_log_append(log, ops, 2, NULL), DWAL_EPAYLOADSIZE);
	CHECK(!strstr(fault.trace, "write"));
	finish(log);
}

static void a_batch_that_a_size_cannot_tell_is_refused(void)
{
#if SIZE_MAX == UINT32_MAX
	enum { N = 70000 }; /* keys of 4.3 GiB, and payloads of 2 GiB, from the same memory */
	struct dwal_op *ops = calloc(N, sizeof(*ops));
	void *bytes = calloc(1, DWAL_MAX_PAYLOAD);
	dwal_log *log = begin(0);

	for (size_t i = 0; i < N; i++)
		ops[i] = (struct dwal_op){.type = DWAL_PUT, .key = {bytes, DWAL_MAX_KEY}};
	CHECK_INT(dwal_log_append(log, ops, N, NULL), -EOVERFLOW);
	for (size_t i = 0; i < 32; i++)
		ops[i] = (struct dwal_op){.type = DWAL_RAW, .payload = {bytes, DWAL_MAX_PAYLOAD}};
	CHECK_INT(dwal_log_append(log, ops, 32, NULL), -EOVERFLOW);
	CHECK(!strstr(fault.trace, "write"));
	finish(log);
	free(bytes);
	free(ops);
#endif
}

static void a_batch_is_one_write_whatever_its_payloads_and_reads_back(void)
{
	enum { FEW = 20, N = 400 }; /* those are 1 MiB, and all 20 */
	static struct dwal_op ops[N];
	static struct dwal_place places[N];
	unsigned char *bytes = malloc(300000), keys[N];
	dwal_log *log = begin(0);
	struct dwal_record r;
	dwal_iter *iter;
	size_t total = 0;
	char *at;

	memset(bytes, 'b', 300000);
	core_payload(1, 4096, bytes);
	for (size_t i = 0; i < N; i++) {
		keys[i] = (unsigned char)i;
		ops[i] = (struct dwal_op){.type = DWAL_PUT,
					  .key = {&keys[i], i % 2},
					  .payload = {bytes + i, i % 3 ? i : 65535 + i * 100}};
	}
	CHECK_INT(dwal_log_append(log, ops, FEW, places), 0);
	at = strstr(fault.trace, "write");
	CHECK(at && !strstr(at + 1, "write"));
	CHECK_INT(dwal_log_append(log, ops, N, NULL), 0);

	CHECK_INT(dwal_log_iterate(log, 0, 0, &iter, NULL), 0);
	for (size_t i = 0; i < FEW + N; i++) {
		const struct dwal_op *op = &ops[i < FEW ? i : i - FEW];

		CHECK_INT(dwal_iter_next(iter, &r, NULL), 0);
		CHECK_INT(r.txid, i + 1);
		CHECK_INT(r.offset, total);
		if (i < FEW)
			CHECK(places[i].offset == total && places[i].length == r.length);
		CHECK(r.key.len == op->key.len && r.payload.len == op->payload.len);
		CHECK(memcmp(r.payload.data, op->payload.data, r.payload.len) == 0);
		total += r.length;
	}
	CHECK_INT(dwal_iter_next(iter, &r, NULL), DWAL_END);
	dwal_iter_close(iter);
	free(bytes);
	finish(log);
}

static void the_largest_record_is_written_and_read(void)
{
	dwal_log *log = begin(1000);
	unsigned char *payload = calloc(1, DWAL_MAX_PAYLOAD), *key = calloc(1, DWAL_MAX_KEY);
	struct dwal_op op = {DWAL_PUT, {key, DWAL_MAX_KEY}, {payload, DWAL_MAX_PAYLOAD}};
	struct dwal_record r;
	dwal_iter *iter;

	payload[DWAL_MAX_PAYLOAD - 1] = 7;
	fault.no_sync = true;
	CHECK_INT(core_append(log, 1, 100), 0);
	CHECK_INT(dwal_log_append(log, &op, 1, NULL), 0);
	CHECK_INT(core_append(log, 2, 100), 0);
	CHECK_INT(dwal_log_active_segment(log), 3);
	CHECK_INT(dwal_log_iterate(log, 2, 0, &iter, NULL), 0);
	CHECK_INT(dwal_iter_next(iter, &r, NULL), 0);
	CHECK_INT(r.length, 28 + DWAL_MAX_KEY + DWAL_MAX_PAYLOAD);
	CHECK(memcmp(r.payload.data, payload, r.payload.len) == 0);
	CHECK_INT(dwal_iter_next(iter, &r, NULL), 0);
	CHECK_INT(core_number(&r), 2);
	dwal_iter_close(iter);
	free(key);
	free(payload);
	finish(log);
}

static void a_segment_rotates_before_it_would_grow_too_large_and_no_batch_is_split(void)
{
	dwal_log *log = begin(200);
	struct dwal_op ops[3] = {
		{.payload = {"x", 1}}, {.payload = {"x", 1}}, {.payload = {"x", 1}}};
	struct dwal_place places[3];

	CHECK_INT(core_append(log, 1, 100), 0); /* 128 bytes */
	CHECK_INT(core_append(log, 2, 44), 0);  /* 200 */
	CHECK_INT(dwal_log_active_segment(log), 1);
	CHECK_INT(core_append(log, 3, 92), 0); /* 120 */
	CHECK_INT(dwal_log_active_segment(log), 2);
	CHECK_INT(dwal_log_append(log, ops, 3, places), 0); /* 87: 207 */
	CHECK_INT(places[0].segment, 3);
	CHECK_INT(places[2].segment, 3);
	CHECK_INT(core_append(log, 4, 1000), 0);
	CHECK_INT(dwal_log_active_segment(log), 4);
	finish(log);
}

static void rotation_syncs_the_old_segment_and_then_the_new_name(void)
{
	dwal_log *log = begin(0);

	CHECK_INT(core_append(log, 1, 100), 0);
	fault.trace[0] = '\0';
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK(strcmp(fault.trace, "fdatasync 00000001.dwal\nlist dir\n" /* still ours? */
				  "create 00000002.dwal\nacl 00000002.dwal\n"
				  "fchmod 00000002.dwal\nfsync dir\n") == 0);
	CHECK_INT(core_append(log, 2, 100), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK(strstr(fault.trace, "write 00000002.dwal\nfdatasync 00000002.dwal\n"));
	fault.trace[0] = '\0';
	CHECK_INT(dwal_log_sync(log), 0); /* nothing to do */
	CHECK(fault.trace[0] == '\0');
	finish(log);
}

static void txids_do_not_wrap(void)
{
	unsigned char frame[64];
	dwal_log *log = begin(0);

	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(dwal_frame_encode(DWAL_RAW, UINT64_MAX - 1, (struct dwal_bytes){0},
				    (struct dwal_bytes){0}, frame),
		  0);
	core_write(dir.path, "00000001.dwal", frame, 28);
	log = core_open(dir.path, NULL);
	CHECK_INT(core_append(log, 1, 8), 0);
	CHECK_INT(core_append(log, 2, 8), -EOVERFLOW);
	CHECK(!dwal_log_refusal(log));
	CHECK_INT(dwal_log_close(log), 0);
	log = core_open(dir.path, NULL);
	CHECK(dwal_log_report(log)->last_txid_seen == UINT64_MAX);
	CHECK_INT(core_append(log, 2, 8), -EOVERFLOW);
	finish(log);
}

static void short_writes_are_finished(void)
{
	dwal_log *log = begin(0);
	uint64_t numbers[4];

	fault.short_write = 7;
	CHECK_INT(core_append(log, 1, 100), 0);
	CHECK_INT(core_append(log, 2, 100), 0);
	CHECK_INT(core_numbers(log, numbers, 4), 2);
	finish(log);
}

static uint64_t size_of(const char *name)
{
	struct stat st;

	CHECK(stat(core_path(dir.path, name), &st) == 0);
	return (uint64_t)st.st_size;
}

/* The k-th write call of a batch that is written 100 bytes at a time fails. */
static void a_failed_batch_is_cut_back_synced_and_leaves_the_log_usable(void)
{
	unsigned char bytes[500];
	struct dwal_op ops[2] = {{.payload = {bytes, 150}}, {.payload = {bytes, 150}}};
	uint64_t numbers[4];

	core_payload(3, 150, bytes);
	for (unsigned k = 1; k <= 4; k++) {
		dwal_log *log = begin(0);

		CHECK_INT(core_append(log, 1, 100), 0);
		fault.short_write = 100;
		fault.fail_at = fault.calls + k;
		fault.fail_with = -ENOSPC;
		fault.trace[0] = '\0';
		CHECK_INT(dwal_log_append(log, ops, 2, NULL), -ENOSPC);
		CHECK(strstr(fault.trace, "ftruncate 00000001.dwal\nfdatasync 00000001.dwal\n"));
		CHECK_INT(size_of("00000001.dwal"), 128);
		CHECK(!dwal_log_refusal(log));
		CHECK_INT(core_append(log, 2, 100), 0);
		CHECK_INT(core_numbers(log, numbers, 4), 2);
		CHECK_INT(dwal_log_close(log), 0);
		log = core_open(dir.path, NULL);
		CHECK_INT(core_numbers(log, numbers, 4), 2);
		CHECK_INT(dwal_log_report(log)->last_txid_seen, 2);
		finish(log);
	}
}

static ssize_t no_large_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
				off_t offset)
{
	size_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	CHECK(bytes <= IO_WRITE_MOST);
	return fault_pwritev(io, fd, iov, n, offset);
}

/* Whichever of its calls fails, until none does. */
static void a_large_batch_takes_calls_of_a_size_and_is_taken_back_as_a_whole(void)
{
	const size_t large = 2 * IO_WRITE_MOST + 5;
	void *bytes = calloc(1, large);
	const struct dwal_op ops[] = {{.payload = {bytes, large}}, {.payload = {bytes, 70000}}};
	dwal_log *log = begin(0);
	unsigned k = 0;
	int rc;

	CHECK_INT(core_append(log, 1, 100), 0);
	fault.io.pwritev = no_large_pwritev;
	fault.fail_with = -ENOSPC;
	do {
		fault.fail_at = fault.calls + ++k;
		rc = dwal_log_append(log, ops, 2, NULL);
		CHECK_INT(size_of("00000001.dwal"), rc ? 128 : 128 + 28 + large + 28 + 70000);
	} while (rc == -ENOSPC);
	fault.fail_at = 0;
	CHECK_INT(rc, 0);
	CHECK_INT(k, 5); /* what is before it, two pieces, the rest; and none */
	CHECK_INT(dwal_log_report(log)->damage_count, 0);
	free(bytes);
	finish(log);
}

static void check_poisoned(dwal_log *log, size_t readable)
{
	const char *refusal = dwal_log_refusal(log);
	uint64_t numbers[8];
	unsigned calls = fault.calls;

	CHECK(dwal_log_is_poisoned(log));
	CHECK(refusal && !strchr(refusal, '\n') && strstr(refusal, "Input/output error"));
	CHECK_INT(core_append(log, 9, 10), DWAL_EPOISONED);
	CHECK_INT(dwal_log_sync(log), DWAL_EPOISONED);
	CHECK_INT(dwal_log_rotate(log), DWAL_EPOISONED);
	CHECK(strcmp(dwal_log_refusal(log), refusal) == 0);
	CHECK_INT(core_numbers(log, numbers, 8), readable);
	CHECK_INT(fault.calls, calls); /* and nothing was tried again */
}

static void a_failed_sync_poisons_and_reading_goes_on(void)
{
	dwal_log *log = begin(0);

	CHECK_INT(core_append(log, 1, 100), 0);
	fault.fail_at = fault.calls + 1;
	CHECK_INT(dwal_log_sync(log), -EIO);
	check_poisoned(log, 1);
	finish(log);
}

static int failing_ftruncate(const struct io *io, int fd, off_t size)
{
	return -EIO;
}

static int failing_sync(const struct io *io, int fd)
{
	return -EIO;
}

static void a_failed_cut_back_poisons(void)
{
	for (unsigned k = 1; k <= 2; k++) {
		dwal_log *log = begin(0);

		CHECK_INT(core_append(log, 1, 100), 0);
		if (k == 1)
			fault.io.ftruncate = failing_ftruncate;
		else
			fault.io.fdatasync = fault.io.fsync = failing_sync;
		fault.fail_at = fault.calls + 1;
		fault.fail_with = -ENOSPC;
		CHECK_INT(core_append(log, 2, 100), -ENOSPC);
		check_poisoned(log, 1);
		finish(log);
	}
}

static void a_rotation_that_cannot_create_changes_nothing_and_a_failed_sync_poisons(void)
{
	/* sync, listing, create, access list, mode, sync of the directory */
	for (unsigned k = 1; k <= 6; k++) {
		dwal_log *log = begin(0);

		CHECK_INT(core_append(log, 1, 100), 0);
		fault.fail_at = fault.calls + k;
		CHECK_INT(dwal_log_rotate(log), k == 2 ? DWAL_EPOISONED : -EIO);
		if (k >= 3 && k <= 5) {
			CHECK(!core_exists(dir.path, "00000002.dwal"));
			CHECK(!dwal_log_refusal(log));
			CHECK_INT(core_append(log, 2, 100), 0);
			CHECK_INT(dwal_log_rotate(log), 0);
			CHECK_INT(dwal_log_active_segment(log), 2);
		} else {
			check_poisoned(log, 1);
		}
		CHECK_INT(dwal_log_close(log), 0);
		CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
		unit_dir_remove(&dir);
	}
}

static void close_does_not_sync_and_releases_everything(void)
{
	dwal_log *log = begin(0);

	CHECK_INT(core_append(log, 1, 50), 0);
	fault.trace[0] = '\0';
	CHECK_INT(dwal_log_close(log), 0);
	CHECK(!strstr(fault.trace, "sync"));
	CHECK(strcmp(fault.trace, "close 00000001.dwal\nclose dir\nclose .lock\n") == 0);
	CHECK_INT(dwal_log_close(NULL), 0);
	unit_dir_remove(&dir);
}

static void a_failed_close_is_told_and_releases_everything_all_the_same(void)
{
	dwal_log *log = begin(0);

	fault.fail_at = fault.calls + 1;
	CHECK_INT(dwal_log_close(log), -EIO);
	CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(places_say_where_records_are_and_txids_rise_from_one),
	  UNIT(bad_operations_are_refused_and_write_nothing),
	  UNIT(a_batch_that_a_size_cannot_tell_is_refused),
	  UNIT(a_batch_is_one_write_whatever_its_payloads_and_reads_back),
	  UNIT(the_largest_record_is_written_and_read),
	  UNIT(a_segment_rotates_before_it_would_grow_too_large_and_no_batch_is_split),
	  UNIT(rotation_syncs_the_old_segment_and_then_the_new_name), UNIT(txids_do_not_wrap),
	  UNIT(short_writes_are_finished),
	  UNIT(a_failed_batch_is_cut_back_synced_and_leaves_the_log_usable),
	  UNIT(a_large_batch_takes_calls_of_a_size_and_is_taken_back_as_a_whole),
	  UNIT(a_failed_sync_poisons_and_reading_goes_on), UNIT(a_failed_cut_back_poisons),
	  UNIT(a_rotation_that_cannot_create_changes_nothing_and_a_failed_sync_poisons),
	  UNIT(close_does_not_sync_and_releases_everything),
	  UNIT(a_failed_close_is_told_and_releases_everything_all_the_same))
