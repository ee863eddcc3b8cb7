/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is told of damage, of the intact records behind it and of missing
 * txids; going on behind damage.
 */
#include "core.h"
#include "fault_io.h"

#include <errno.h>

enum { TXIDS = 40 };

static struct unit_dir dir;

/* What must be counted: exact where no txid comes twice, else at most. */
static uint64_t missing_of(const uint64_t *txids, size_t n, bool *twice)
{
	bool there[TXIDS + 1] = {false};
	uint64_t highest = 0, distinct = 0;

	*twice = false;
	for (size_t i = 0; i < n; i++) {
		*twice |= there[txids[i]];
		distinct += !there[txids[i]] && txids[i];
		there[txids[i]] = true;
		highest = txids[i] > highest ? txids[i] : highest;
	}
	return highest - distinct;
}

static void missing_txids_are_never_more_than_are_missing(void)
{
	uint64_t seed = 7, txids[TXIDS];

	for (int round = 0; round < 20000; round++) {
		struct dwal_txids sequence = {0};
		size_t n = unit_random(&seed) % TXIDS;
		uint64_t last = 0, missing;
		bool twice;

		for (size_t i = 0; i < n; i++) {
			/* rising with gaps, then any order, then with falls */
			last += 1 + unit_random(&seed) % (round % 3 ? 2 : 1);
			if (round % 3 == 2 && unit_random(&seed) % 4 == 0)
				last = unit_random(&seed) % (last + 1);
			txids[i] = last > TXIDS ? TXIDS : last;
		}
		for (size_t i = n; round % 6 > 2 && i > 1; i--) {
			size_t j = unit_random(&seed) % i;
			uint64_t kept = txids[i - 1];

			txids[i - 1] = txids[j];
			txids[j] = kept;
		}
		for (size_t i = 0; i < n; i++)
			dwal_txids_add(&sequence, &(struct dwal_record){.txid = txids[i]});
		missing = missing_of(txids, n, &twice);
		CHECK(sequence.missing <= missing);
		CHECK(sequence.out_of_order || sequence.missing == missing);
		if (round % 6 < 3 && !twice)
			CHECK(sequence.missing == missing);
	}
}

/* Records of 30, 31, 32 ... bytes of payload, with a byte flipped in the
 * payloads of the second and the fourth of them, in segment 1; whole ones in
 * segment 2. */
static void make_damaged_log(void)
{
	dwal_log *log;
	struct core_bytes b;

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	for (uint64_t i = 0; i < 6; i++)
		CHECK_INT(core_append(log, i, 30 + i), 0);
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(core_append(log, 6, 36), 0);
	CHECK_INT(dwal_log_close(log), 0);
	b = core_read(dir.path, "00000001.dwal");
	b.data[58 + 40] ^= 1;
	b.data[58 + 59 + 60 + 40] ^= 1;
	core_write(dir.path, "00000001.dwal", b.data, b.len);
	free(b.data);
}

static size_t numbers_to_the_end(dwal_iter *iter, uint64_t *numbers, int end)
{
	struct dwal_record record;
	size_t n = 0;
	int rc;

	while ((rc = dwal_iter_next(iter, &record, NULL)) == 0)
		numbers[n++] = core_number(&record);
	CHECK_INT(rc, end);
	CHECK_INT(dwal_iter_next(iter, &record, NULL), end); /* and so it stays */
	return n;
}

static void an_iteration_says_its_damage_and_goes_on_behind_it(void)
{
	struct dwal_damage damage = {0};
	dwal_reader *reader;
	uint64_t numbers[8];
	dwal_iter *iter;

	make_damaged_log();
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, NULL), 0);
	CHECK_INT(dwal_iter_damage(iter, &damage), DWAL_ABSENT);
	CHECK_INT(dwal_iter_pass_damage(iter), DWAL_ABSENT);
	CHECK_INT(numbers_to_the_end(iter, numbers, DWAL_ECORRUPT), 1);
	CHECK_INT(dwal_iter_damage(iter, &damage), 0);
	CHECK_INT(damage.offset, 58);
	CHECK_INT(damage.reason, DWAL_BAD_CRC);
	CHECK(!damage.torn_tail);
	CHECK_INT(damage.intact.records, 3);
	CHECK_INT(damage.intact.bytes, 60 + 62 + 63);
	CHECK_INT(damage.intact.lowest_txid, 3);
	CHECK_INT(damage.intact.highest_txid, 6);
	CHECK_INT(dwal_iter_pass_damage(iter), 0);
	CHECK_INT(numbers_to_the_end(iter, numbers, DWAL_END), 4);
	for (size_t i = 0; i < 4; i++)
		CHECK_INT(numbers[i], i ? i + 3 : 2);
	CHECK_INT(dwal_iter_damage(iter, &damage), DWAL_ABSENT);
	dwal_iter_close(iter);
	dwal_reader_close(reader);
	unit_dir_remove(&dir);
}

/* A side file begins with the damage; a copy of a segment has another name. */
static void a_single_file_is_iterated_over_like_a_log(void)
{
	static const char *const names[] = {"00000009.dwal", "00000009.dwal.torn-58", "copy"};
	struct dwal_damage damage;
	struct dwal_record record;
	struct dwal_error error;
	struct core_bytes b;
	uint64_t numbers[8];
	dwal_iter *iter;

	make_damaged_log();
	b = core_read(dir.path, "00000001.dwal");
	for (size_t i = 0; i < 3; i++) {
		size_t skip = i == 1 ? 58 : 0;

		core_write(dir.path, names[i], b.data + skip, b.len - skip);
		CHECK_INT(dwal_file_iterate(core_path(dir.path, names[i]), &iter, NULL), 0);
		CHECK_INT(numbers_to_the_end(iter, numbers, DWAL_END), i == 1 ? 0 : 1);
		CHECK_INT(dwal_iter_damage(iter, &damage), 0);
		CHECK(damage.torn_tail && damage.intact.records == 3);
		CHECK_INT(damage.segment, i == 2 ? 0 : 9);
		CHECK_INT(dwal_iter_pass_damage(iter), 0);
		CHECK_INT(dwal_iter_next(iter, &record, NULL), 0);
		CHECK(record.segment == damage.segment && core_number(&record) == 2);
		dwal_iter_close(iter); /* while searching */
	}
	free(b.data);
	CHECK_INT(dwal_file_iterate(dir.path, &iter, &error), -EINVAL);
	CHECK(strstr(error.message, "not a regular file"));
	CHECK_INT(dwal_file_iterate(core_path(dir.path, "absent"), &iter, &error), -ENOENT);
	unit_dir_remove(&dir);
}

/* Where nothing can be cut off, the line that says why counts them as well. */
static void a_log_that_cannot_be_repaired_says_how_many_are_intact(void)
{
	struct fault_io fault;
	const char *refusal;
	dwal_log *log;

	make_damaged_log();
	unlink(core_path(dir.path, "00000002.dwal"));
	fault_init(&fault);
	fault.fail_name = "torn";
	fault.fail_with = -ENOSPC;
	log = core_open_io(&fault.io, dir.path, NULL);
	refusal = dwal_log_refusal(log);
	CHECK(refusal && strstr(refusal, "3 intact records") && strstr(refusal, "No space left"));
	CHECK_INT(dwal_log_report(log)->intact.records, 3);
	CHECK(!dwal_log_report(log)->made_side_file);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(missing_txids_are_never_more_than_are_missing),
	  UNIT(an_iteration_says_its_damage_and_goes_on_behind_it),
	  UNIT(a_single_file_is_iterated_over_like_a_log),
	  UNIT(a_log_that_cannot_be_repaired_says_how_many_are_intact))
