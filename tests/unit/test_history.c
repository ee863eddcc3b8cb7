/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The versions of a key, and which operation a record belongs to.
 */
#include "datawal.h"
#include "unit.h"

static struct dwal_bytes text(const char *string)
{
	return (struct dwal_bytes){string, strlen(string)};
}

static struct dwal_record record(enum dwal_type type, uint64_t txid, const char *key,
				 const char *payload)
{
	return (struct dwal_record){
		.segment = 3,
		.offset = 100 * txid,
		.length = 50,
		.type = type,
		.txid = txid,
		.key = text(key),
		.payload = text(payload),
	};
}

static struct dwal_record header(uint64_t txid, char *out, size_t size, const char *lines)
{
	snprintf(out, size, "datawal batch 1\ntxid=%llu\nn=0\nbytes=0\ncrc=\n%s",
		 (unsigned long long)txid, lines);
	return record(DWAL_RAW, txid, "datawal.batch", out);
}

static dwal_history *history_of(const char *key, const struct dwal_record *records, size_t n)
{
	dwal_history *history;

	CHECK_INT(dwal_history_open(key, strlen(key), &history), 0);
	for (size_t i = 0; i < n; i++)
		CHECK_INT(dwal_history_add(history, &records[i]), 0);
	return history;
}

static void a_history_has_every_put_and_delete_of_its_key_and_nothing_else(void)
{
	const struct dwal_record records[] = {
		record(DWAL_PUT, 1, "a", "one"), record(DWAL_RAW, 2, "a", "of a"),
		record(DWAL_PUT, 3, "ab", "2"),  record(DWAL_PUT, 4, "", "3"),
		record(DWAL_PUT, 5, "b", "4"),   record(DWAL_DELETE, 6, "a", ""),
		record(DWAL_DELETE, 7, "a", ""), record(DWAL_PUT, 8, "a", ""),
	};
	dwal_history *history = history_of("a", records, 8);
	const struct dwal_version *versions;

	CHECK_INT(dwal_history_versions(history, &versions), 4);
	CHECK(versions[0].record.type == DWAL_PUT && versions[0].record.payload.len == 3);
	CHECK(versions[0].record.segment == 3 && versions[0].record.offset == 100 &&
	      versions[0].record.length == 50);
	CHECK(versions[1].record.type == DWAL_DELETE && versions[1].record.txid == 6);
	CHECK(versions[2].record.type == DWAL_DELETE && versions[2].record.txid == 7);
	CHECK(versions[3].record.type == DWAL_PUT && versions[3].record.txid == 8);
	CHECK(!versions[3].record.key.data && !versions[3].record.payload.data);
	dwal_history_close(history);

	history = history_of("", records, 8);
	CHECK_INT(dwal_history_versions(history, &versions), 1);
	CHECK_INT(versions[0].record.txid, 4);
	dwal_history_close(history);

	history = history_of("", NULL, 0);
	for (int i = 0; i < 1000; i++)
		CHECK_INT(dwal_history_add(history, &records[3]), 0);
	CHECK_INT(dwal_history_versions(history, &versions), 1000);
	dwal_history_close(history);
	dwal_history_close(NULL);
}

/* The txid of the version, or 0. */
static uint64_t as_of(const dwal_history *history, uint64_t txid)
{
	struct dwal_version version;
	int ret = dwal_history_as_of(history, txid, &version);

	CHECK(ret == 0 || ret == DWAL_ABSENT);
	return ret ? 0 : version.record.txid;
}

static void as_of_a_txid_the_last_version_at_or_below_it_counts(void)
{
	char text_of[128];
	const struct dwal_record records[] = {
		record(DWAL_PUT, 2, "a", "1"),
		header(4, text_of, sizeof(text_of), ""),
		record(DWAL_DELETE, 4, "a", ""),
		record(DWAL_PUT, 4, "a", "2"),
		record(DWAL_DELETE, 6, "a", ""),
		record(DWAL_PUT, 9, "a", "3"),
		record(DWAL_PUT, 8, "a", "behind a higher one, as a foreign writer may"),
	};
	const uint64_t wanted[] = {0, 0, 2, 2, 4, 4, 0, 0, 8, 8};
	dwal_history *history = history_of("a", records, 7);

	for (uint64_t txid = 0; txid < 10; txid++)
		CHECK_INT(as_of(history, txid), wanted[txid]);
	dwal_history_close(history);
	history = history_of("b", records, 7);
	CHECK_INT(as_of(history, 9), 0);
	dwal_history_close(history);
}

static struct dwal_record horizon(uint64_t txid, const char *lines)
{
	return record(DWAL_RAW, txid, "datawal.horizon", lines);
}

static void check_has(const dwal_history *history, uint64_t txid, bool has)
{
	struct dwal_version version;
	int ret = dwal_history_has(history, txid);

	CHECK_INT(ret, has ? 0 : DWAL_EHORIZON);
	CHECK_INT(dwal_history_as_of(history, txid, &version), ret);
}

/* As two compactions leave it; the second one's horizon stands in the first
 * segment. What is before everything that was dropped stays right. */
static void a_state_that_a_horizon_covers_is_refused(void)
{
	const struct dwal_record records[] = {
		record(DWAL_PUT, 1, "a", "1"),
		horizon(3, "datawal horizon 1\nlo=3\nhi=5\n"),
		record(DWAL_PUT, 5, "a", "5"),
		horizon(7, "datawal horizon 1\nlo=7\nhi=9\nmore=1\n"),
		record(DWAL_PUT, 9, "a", "9"),
		horizon(10, "datawal horizon 1\nlo=4\nhi=4\n"),
		horizon(11, "a horizon of something else\n"),
		record(DWAL_PUT, 12, "datawal.horizon", "datawal horizon 1\nlo=0\nhi=99\n"),
	};
	const bool wanted[] = {true,  true,  true, false, false, true, true,
			       false, false, true, true,  true,  true};
	const char *const keys[] = {"a", "b", NULL};

	for (size_t i = 0; i < 3; i++) {
		dwal_history *history;

		CHECK_INT(dwal_history_open(keys[i], keys[i] ? 1 : 0, &history), 0);
		CHECK_INT(dwal_history_complete_from(history), 0);
		for (size_t k = 0; k < 8; k++)
			CHECK_INT(dwal_history_add(history, &records[k]), 0);
		for (uint64_t txid = 0; txid <= 12; txid++)
			CHECK_INT(dwal_history_has(history, txid),
				  wanted[txid] ? 0 : DWAL_EHORIZON);
		CHECK_INT(dwal_history_complete_from(history), 9);
		CHECK_INT(dwal_history_highest(history), 12);
		if (!i)
			check_has(history, 1, true);
		check_has(history, 3, false);
		check_has(history, 8, false);
		dwal_history_close(history);
	}
}

static void a_state_that_is_not_there_yet_is_refused(void)
{
	const struct dwal_record records[] = {
		record(DWAL_PUT, 3, "a", "1"),
		record(DWAL_RAW, 2, "", "behind a higher one"),
	};
	dwal_history *history = history_of("a", records, 0);
	struct dwal_version version;

	CHECK_INT(dwal_history_as_of(history, 0, &version), DWAL_ABSENT);
	check_has(history, 1, false);
	CHECK_INT(dwal_history_add(history, &records[0]), 0);
	CHECK_INT(dwal_history_add(history, &records[1]), 0);
	check_has(history, 3, true);
	check_has(history, 4, false);
	check_has(history, UINT64_MAX, false);
	dwal_history_close(history);
}

static void a_history_of_no_key_has_no_versions(void)
{
	const struct dwal_record records[] = {
		record(DWAL_PUT, 1, "", "1"),
		record(DWAL_DELETE, 2, "a", ""),
	};
	const struct dwal_version *versions;
	dwal_history *history;

	CHECK_INT(dwal_history_open(NULL, 0, &history), 0);
	for (size_t i = 0; i < 2; i++)
		CHECK_INT(dwal_history_add(history, &records[i]), 0);
	CHECK_INT(dwal_history_versions(history, &versions), 0);
	dwal_history_close(history);
}

static void check_operation(struct dwal_operation *operation, struct dwal_record next, bool begins,
			    const char *op)
{
	CHECK_INT(dwal_operation_add(operation, &next), begins);
	CHECK_INT(operation->txid, next.txid);
	CHECK_INT(operation->has_header, op != NULL);
	CHECK(strcmp(operation->op, op ? op : "") == 0);
}

static void a_record_belongs_to_the_operation_whose_txid_it_bears(void)
{
	struct dwal_operation operation = {0};
	char one[128], two[128], again[128];

	check_operation(&operation, record(DWAL_PUT, 0, "a", ""), true, NULL);
	check_operation(&operation, record(DWAL_PUT, 1, "a", ""), true, NULL);
	check_operation(&operation, record(DWAL_PUT, 1, "a", ""), true, NULL);
	check_operation(&operation, header(2, one, sizeof(one), "op=one\ntime=1.000000000\n"), true,
			"one");
	CHECK(strcmp(operation.time, "1.000000000") == 0);
	check_operation(&operation, record(DWAL_PUT, 2, "a", ""), false, "one");
	check_operation(&operation, record(DWAL_RAW, 2, "", "x"), false, "one");
	check_operation(&operation, header(2, again, sizeof(again), "op=again\n"), true, "again");
	check_operation(&operation, record(DWAL_DELETE, 2, "a", ""), false, "again");
	check_operation(&operation, record(DWAL_RAW, 3, "", "x"), true, NULL);
	CHECK(!*operation.time);
	check_operation(&operation, record(DWAL_RAW, 2, "", "x"), true, NULL);
	check_operation(&operation, header(4, two, sizeof(two), ""), true, "");
	check_operation(&operation, record(DWAL_RAW, 4, "datawal.batch", "no header"), false, "");
	check_operation(&operation, record(DWAL_RAW, 5, "datawal.batch", "no header"), true, NULL);
}

static void a_line_that_is_too_long_is_as_if_it_were_not_there(void)
{
	struct dwal_operation operation = {0};
	char op[sizeof(operation.op) + 1], lines[256], payload[512];
	struct dwal_record fits, long_one;

	memset(op, 'x', sizeof(op));
	op[sizeof(op) - 2] = '\0'; /* with its NUL as long as there is room */
	snprintf(lines, sizeof(lines), "op=%s\n", op);
	fits = header(1, payload, sizeof(payload), lines);
	CHECK(dwal_operation_add(&operation, &fits) && strcmp(operation.op, op) == 0);
	op[sizeof(op) - 2] = 'x';
	op[sizeof(op) - 1] = '\0';
	snprintf(lines, sizeof(lines), "op=%s\ntime=1.%s\n", op, op);
	long_one = header(2, payload, sizeof(payload), lines);
	CHECK(dwal_operation_add(&operation, &long_one));
	CHECK(operation.has_header && !*operation.op && !*operation.time);
}

UNIT_MAIN(UNIT(a_history_has_every_put_and_delete_of_its_key_and_nothing_else),
	  UNIT(as_of_a_txid_the_last_version_at_or_below_it_counts),
	  UNIT(a_state_that_a_horizon_covers_is_refused),
	  UNIT(a_state_that_is_not_there_yet_is_refused), UNIT(a_history_of_no_key_has_no_versions),
	  UNIT(a_record_belongs_to_the_operation_whose_txid_it_bears),
	  UNIT(a_line_that_is_too_long_is_as_if_it_were_not_there))
