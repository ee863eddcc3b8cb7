/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Opening for writing: the order of its steps, torn tails, refusals.
 */
#include "core.h"
#include "fault_io.h"

#include <dirent.h>

static struct unit_dir dir;
static struct fault_io fault;

static void begin(void)
{
	dir = unit_dir_make();
	fault_init(&fault);
}

/* Three records in segment 1, and one, cut by `cut` bytes, in segment 2. */
static void make_torn_log(size_t cut)
{
	dwal_log *log = core_open(dir.path, NULL);
	struct core_bytes b;

	for (uint64_t i = 1; i <= 3; i++)
		CHECK_INT(core_append(log, i, 20 * i), 0);
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(core_append(log, 4, 30), 0);
	CHECK_INT(core_append(log, 5, 50), 0);
	CHECK_INT(dwal_log_close(log), 0);
	b = core_read(dir.path, "00000002.dwal");
	CHECK_INT(b.len, 30 + 50 + 2 * 28);
	core_write(dir.path, "00000002.dwal", b.data, b.len - cut);
	free(b.data);
}

static void check_trace(const char *wanted)
{
	const char *at = strstr(fault.trace, wanted);

	if (!at)
		fprintf(stderr, "wanted in one piece:\n%s\ngot:\n%s", wanted, fault.trace);
	CHECK(at);
}

static void a_new_log_is_made_durable_name_by_name(void)
{
	char path[256];

	begin();
	snprintf(path, sizeof(path), "%s/a/b", dir.path);
	CHECK_INT(dwal_log_close(core_open_io(&fault.io, path, NULL)), 0);
	check_trace("mkdir dir\nopen dir\nfsync dir\nclose dir\n"
		    "mkdir dir\nopen dir\nfsync dir\nclose dir\n");
	check_trace("flock .lock\nflock dir\nfsync dir\nlist dir\nopen ..\nfsync ..\nclose ..\n"
		    "create 00000001.dwal\nfchmod 00000001.dwal\nfsync dir\n"
		    "fdatasync 00000001.dwal\nfadvise 00000001.dwal\n");
	CHECK(core_exists(path, "00000001.dwal") && core_exists(path, ".lock"));
	unit_dir_remove(&dir);
}

static void opening_syncs_before_it_reads_and_cuts_only_what_is_saved(void)
{

	begin();
	make_torn_log(5);
	CHECK_INT(dwal_log_close(core_open_io(&fault.io, dir.path, NULL)), 0);
	check_trace("flock .lock\nflock dir\nclose 00000002.dwal\n" /* what .lock is like */
		    "fsync dir\nlist dir\nopen 00000002.dwal\n"
		    "fdatasync 00000002.dwal\nfadvise 00000002.dwal\n"
		    "open 00000001.dwal\n" /* to scan it */
		    "list dir\n"           /* temporary files */
		    "create torn.1.dwal-tmp\nacl torn.1.dwal-tmp\nfchmod torn.1.dwal-tmp\n"
		    "write torn.1.dwal-tmp\nfsync torn.1.dwal-tmp\n"
		    "close torn.1.dwal-tmp\nrename 00000002.dwal.torn-58\nfsync dir\n"
		    "ftruncate 00000002.dwal\nfutimens 00000002.dwal\n"
		    "fdatasync 00000002.dwal\n");
	fault.trace[0] = '\0'; /* and again, with nothing to cut */
	CHECK_INT(dwal_log_close(core_open_io(&fault.io, dir.path, NULL)), 0);
	check_trace("fdatasync 00000002.dwal\nfadvise 00000002.dwal\nopen 00000001.dwal\nlist dir\n"
		    "fdatasync 00000002.dwal\n");
	CHECK(!strstr(fault.trace, "ftruncate"));
	unit_dir_remove(&dir);
}

static void every_cut_of_the_last_record_keeps_all_others_and_saves_its_bytes(void)
{
	for (size_t cut = 1; cut < 50 + 28; cut++) {
		size_t left = 50 + 28 - cut;
		struct core_bytes whole, side;
		const struct dwal_report *report;
		uint64_t numbers[8];
		dwal_log *log;

		begin();
		make_torn_log(cut);
		whole = core_read(dir.path, "00000002.dwal");
		log = core_open(dir.path, NULL);
		report = dwal_log_report(log);
		CHECK_INT(report->records_replayed, 4);
		CHECK_INT(report->tail_truncated, 1);
		CHECK_INT(report->tail_bytes_discarded, left);
		CHECK_INT(report->last_txid_seen, 4);
		CHECK_INT(report->damage_count, 1);
		CHECK_INT(report->damage[0].segment, 2);
		CHECK_INT(report->damage[0].offset, 58);
		CHECK_INT(report->damage[0].reason, DWAL_TRUNCATED);
		CHECK(strcmp(report->made_side_file, "00000002.dwal.torn-58") == 0);
		CHECK_INT(report->side_file_count, 1);
		side = core_read(dir.path, report->made_side_file);
		CHECK_INT(side.len, left);
		CHECK(memcmp(side.data, whole.data + 58, left) == 0);
		free(side.data);
		free(whole.data);

		CHECK_INT(core_append(log, 6, 70), 0);
		CHECK_INT(dwal_log_sync(log), 0);
		CHECK_INT(dwal_log_close(log), 0);
		log = core_open(dir.path, NULL);
		CHECK_INT(dwal_log_report(log)->tail_truncated, 0);
		CHECK_INT(core_numbers(log, numbers, 8), 5);
		CHECK_INT(numbers[4], 6);
		CHECK_INT(dwal_log_close(log), 0);
		unit_dir_remove(&dir);
	}
}

static void a_side_file_never_replaces_another(void)
{
	dwal_log *log;

	begin();
	make_torn_log(5);
	core_write(dir.path, "00000002.dwal.torn-58", "mine", 4);
	core_write(dir.path, "00000002.dwal.torn-58.2", "mine", 4);
	log = core_open(dir.path, NULL);
	CHECK(strcmp(dwal_log_report(log)->made_side_file, "00000002.dwal.torn-58.3") == 0);
	CHECK_INT(dwal_log_report(log)->side_file_count, 3);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

/* Where the copy cannot be made, for each step of making it. */
static void without_a_side_file_nothing_is_cut_and_the_log_is_read_only(void)
{
	static const char *const steps[] = {"create torn", "write torn", "fsync torn", "close torn",
					    "rename 00000002"};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct core_bytes before, after;
		const char *at, *refusal;
		unsigned calls = 1;
		uint64_t numbers[8];
		dwal_log *log;

		begin();
		make_torn_log(5);
		/* the number of that call, from a run on a copy of the log */
		CHECK_INT(dwal_log_close(core_open_io(&fault.io, dir.path, NULL)), 0);
		at = strstr(fault.trace, steps[i]);
		CHECK(at);
		for (const char *p = fault.trace; p < at; p++)
			calls += *p == '\n';
		unit_dir_remove(&dir);

		begin();
		make_torn_log(5);
		before = core_read(dir.path, "00000002.dwal");
		fault.fail_at = calls;
		log = core_open_io(&fault.io, dir.path, NULL);
		refusal = dwal_log_refusal(log);
		CHECK(refusal && strstr(refusal, "output error") && strstr(refusal, "00000002"));
		CHECK(!dwal_log_is_poisoned(log));
		CHECK_INT(core_append(log, 9, 9), DWAL_EREADONLY);
		CHECK_INT(dwal_log_rotate(log), DWAL_EREADONLY);
		CHECK_INT(core_numbers(log, numbers, 8), 4);
		CHECK_INT(dwal_log_close(log), 0);
		after = core_read(dir.path, "00000002.dwal");
		CHECK(before.len == after.len && memcmp(before.data, after.data, after.len) == 0);
		CHECK(!core_exists(dir.path, "torn.dwal-tmp"));
		CHECK(!core_exists(dir.path, "00000002.dwal.torn-58"));
		free(before.data);
		free(after.data);
		unit_dir_remove(&dir);
	}
}

/* All names and contents in the directory, in no order: a sum. */
static uint64_t fingerprint(void)
{
	DIR *stream = opendir(dir.path);
	struct dirent *entry;
	uint64_t sum = 0;

	CHECK(stream);
	while ((entry = readdir(stream))) {
		struct core_bytes b;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		b = core_read(dir.path, entry->d_name);
		sum += ((uint64_t)dwal_crc32c(0, entry->d_name, strlen(entry->d_name)) << 32) +
		       dwal_crc32c(1, b.data, b.len) + b.len;
		free(b.data);
	}
	closedir(stream);
	return sum;
}

static void check_refused(const struct dwal_options *options, int code, uint32_t segment,
			  uint64_t offset, enum dwal_frame_status reason)
{
	uint64_t before;
	struct dwal_error error;
	dwal_log *log;

	unlink(core_path(dir.path, ".lock"));
	before = fingerprint();
	CHECK_INT(dwal_log_open(dir.path, options, &log, &error), code);
	CHECK_INT(error.code, code);
	CHECK_INT(error.segment, segment);
	CHECK_INT(error.offset, offset);
	CHECK_INT(error.reason, reason);
	CHECK(strstr(error.message, dir.path) && !strchr(error.message, '\n'));
	CHECK(fingerprint() == before);
}

static void a_refused_open_names_the_place_and_changes_nothing(void)
{
	static const struct {
		const char *segment;
		size_t at;
		unsigned char flip;
		uint64_t offset;
		enum dwal_frame_status reason;
	} damages[] = {
		{"00000001.dwal", 30, 0xFF, 0, DWAL_BAD_CRC},
		{"00000001.dwal", 48, 0xFF, 48, DWAL_BAD_MAGIC},
		{"00000002.dwal", 58, 0xFF, 58, DWAL_BAD_MAGIC},
		{"00000002.dwal", 58 + 5, 0xCA, 58, DWAL_BAD_VERSION},
		{"00000002.dwal", 58 + 6, 0x70, 58, DWAL_BAD_TYPE},
		{"00000002.dwal", 58 + 7, 0x01, 58, DWAL_BAD_FLAGS},
		{"00000002.dwal", 58 + 19, 0x01, 58, DWAL_KEY_TOO_LONG},
		{"00000002.dwal", 58 + 23, 0x10, 58, DWAL_PAYLOAD_TOO_LONG},
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		struct core_bytes b;

		begin();
		make_torn_log(i ? 0 : 5); /* also with a torn tail behind the damage */
		core_write(dir.path, "left-over.dwal-tmp", "x", 1);
		b = core_read(dir.path, damages[i].segment);
		b.data[damages[i].at] ^= damages[i].flip;
		core_write(dir.path, damages[i].segment, b.data, b.len);
		free(b.data);
		check_refused(NULL, DWAL_ECORRUPT, damages[i].segment[7] == '1' ? 1 : 2,
			      damages[i].offset, damages[i].reason);
		unit_dir_remove(&dir);
	}
}

static void a_torn_sealed_segment_is_refused(void)
{
	struct core_bytes b;

	begin();
	make_torn_log(0);
	b = core_read(dir.path, "00000001.dwal");
	core_write(dir.path, "00000001.dwal", b.data, b.len - 1);
	check_refused(NULL, DWAL_ECORRUPT, 1, 48 + 68, DWAL_TRUNCATED);
	memset(b.data + 48 + 68, 0, b.len - 48 - 68);
	core_write(dir.path, "00000001.dwal", b.data, b.len);
	check_refused(NULL, DWAL_ECORRUPT, 1, 48 + 68, DWAL_ZEROED_HEADER);
	free(b.data);
	unit_dir_remove(&dir);
}

/* What the reference leaves when it appends behind a torn tail. */
static void strict_refuses_intact_records_behind_a_torn_tail(void)
{
	struct dwal_options strict = {.strict = true};
	struct core_bytes b;
	unsigned char bytes[400];
	dwal_log *log;

	begin();
	make_torn_log(0);
	b = core_read(dir.path, "00000002.dwal");
	memcpy(bytes, b.data, 58 + 40); /* record 4, a part of record 5 */
	memcpy(bytes + 98, b.data, b.len);
	core_write(dir.path, "00000002.dwal", bytes, 98 + b.len);
	free(b.data);
	check_refused(&strict, DWAL_EBEHIND, 2, 58, DWAL_BAD_CRC);
	log = core_open(dir.path, NULL);
	CHECK_INT(dwal_log_report(log)->intact.records, 2);
	CHECK_INT(dwal_log_report(log)->records_replayed, 4);
	CHECK_INT(dwal_log_close(log), 0);
	log = core_open(dir.path, &strict); /* they are in a side file now */
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static void zeros_are_never_records_and_end_the_log(void)
{
	unsigned char zeros[1000] = {0};
	struct core_bytes b;
	unsigned char bytes[2000] = {0};
	dwal_log *log;

	for (size_t n = 1; n <= sizeof(zeros); n = n < 30 ? n + 1 : n * 3) {
		begin();
		make_torn_log(0);
		b = core_read(dir.path, "00000002.dwal");
		memcpy(bytes, b.data, b.len);
		memset(bytes + b.len, 0, sizeof(bytes) - b.len);
		core_write(dir.path, "00000002.dwal", bytes, b.len + n);
		log = core_open(dir.path, NULL);
		CHECK_INT(dwal_log_report(log)->records_replayed, 5);
		CHECK_INT(dwal_log_report(log)->tail_bytes_discarded, n);
		CHECK_INT(dwal_log_report(log)->damage[0].reason,
			  n < 24 ? DWAL_TRUNCATED : DWAL_ZEROED_HEADER);
		CHECK_INT(dwal_log_close(log), 0);
		free(b.data);
		unit_dir_remove(&dir);
	}
}

static void must_exist_creates_nothing(void)
{
	struct dwal_options options = {.must_exist = true};
	struct dwal_error error;
	dwal_log *log;
	char path[256];

	begin();
	CHECK_INT(dwal_log_open(dir.path, &options, &log, &error), -ENOENT);
	CHECK(fingerprint() == 0);
	snprintf(path, sizeof(path), "%s/absent", dir.path);
	CHECK_INT(dwal_log_open(path, &options, &log, &error), -ENOENT);
	CHECK(fingerprint() == 0);
	unit_dir_remove(&dir);
}

static void only_segment_names_count_and_gaps_and_empty_files_are_fine(void)
{
	static const char *const foreign[] = {
		"1.dwal",        "000000003.dwal", "0000000a.dwal",     "00000009.dwal~",
		"00000009.DWAL", "notes",          "00000009.dwal.bak", "x00000009.dwal"};
	struct core_bytes b;
	uint64_t numbers[8];
	dwal_log *log;

	begin();
	make_torn_log(0);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		core_write(dir.path, foreign[i], "junk", 4);
	CHECK(rename(core_path(dir.path, "00000002.dwal"), core_path(dir.path, "00000010.dwal")) ==
	      0);
	core_write(dir.path, "00000004.dwal", "", 0);
	b = core_read(dir.path, "00000001.dwal");
	core_write(dir.path, "00000000.dwal", b.data, 48);
	free(b.data);
	log = core_open(dir.path, NULL);
	CHECK_INT(dwal_log_report(log)->files_scanned, 4);
	CHECK_INT(dwal_log_report(log)->txids.out_of_order, 1); /* 1, then 1 again */
	CHECK_INT(dwal_log_active_segment(log), 10);
	CHECK_INT(core_numbers(log, numbers, 8), 6);
	CHECK_INT(numbers[5], 5);
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(dwal_log_active_segment(log), 11);
	CHECK_INT(dwal_log_close(log), 0);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		CHECK(core_exists(dir.path, foreign[i]));
	unit_dir_remove(&dir);
}

static void the_last_segment_is_not_rotated_past(void)
{
	struct dwal_options small = {.segment_size = 64};
	dwal_log *log;

	begin();
	core_write(dir.path, "99999999.dwal", "", 0);
	log = core_open(dir.path, &small);
	CHECK_INT(core_append(log, 1, 50), 0);
	CHECK_INT(dwal_log_rotate(log), DWAL_ESEGMENTS);
	CHECK_INT(core_append(log, 2, 50), DWAL_ESEGMENTS);
	CHECK(!dwal_log_refusal(log));
	CHECK_INT(dwal_log_close(log), 0);
	log = core_open(dir.path, NULL);
	CHECK_INT(core_append(log, 2, 50), 0);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static void left_over_temporary_files_go_and_side_files_stay(void)
{
	begin();
	make_torn_log(0);
	core_write(dir.path, "torn.dwal-tmp", "junk", 4);
	core_write(dir.path, "00000001.dwal.dwal-tmp", "junk", 4);
	core_write(dir.path, "00000001.dwal.torn-7", "torn", 4);
	CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
	CHECK(!core_exists(dir.path, "torn.dwal-tmp"));
	CHECK(!core_exists(dir.path, "00000001.dwal.dwal-tmp"));
	CHECK(core_exists(dir.path, "00000001.dwal.torn-7"));
	unit_dir_remove(&dir);
}

static int stop_at_three(void *ctx, const struct dwal_record *record)
{
	int *seen = ctx;

	CHECK_INT(record->txid, ++*seen);
	return record->txid == 3 ? -ECANCELED : 0;
}

static void the_observer_sees_every_record_and_may_stop_the_open(void)
{
	int seen = 0;
	struct dwal_options options = {.observe = stop_at_three, .observe_ctx = &seen};
	dwal_log *log;

	begin();
	make_torn_log(0);
	CHECK_INT(dwal_log_open(dir.path, &options, &log, NULL), -ECANCELED);
	CHECK_INT(seen, 3);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(a_new_log_is_made_durable_name_by_name),
	  UNIT(opening_syncs_before_it_reads_and_cuts_only_what_is_saved),
	  UNIT(every_cut_of_the_last_record_keeps_all_others_and_saves_its_bytes),
	  UNIT(a_side_file_never_replaces_another),
	  UNIT(without_a_side_file_nothing_is_cut_and_the_log_is_read_only),
	  UNIT(a_refused_open_names_the_place_and_changes_nothing),
	  UNIT(a_torn_sealed_segment_is_refused),
	  UNIT(strict_refuses_intact_records_behind_a_torn_tail),
	  UNIT(zeros_are_never_records_and_end_the_log), UNIT(must_exist_creates_nothing),
	  UNIT(only_segment_names_count_and_gaps_and_empty_files_are_fine),
	  UNIT(the_last_segment_is_not_rotated_past),
	  UNIT(left_over_temporary_files_go_and_side_files_stay),
	  UNIT(the_observer_sees_every_record_and_may_stop_the_open))
