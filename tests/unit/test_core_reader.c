/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reading a log without its lock, damaged logs, and the search for intact
 * records.
 */
#include "core.h"
#include "fault_io.h"
#include "logname.h"
#include "reader.h"
#include "recover.h"
#include "scan.h"

#include <errno.h>
#include <sys/resource.h>
#include <time.h>

static struct unit_dir dir;
static struct fault_io fault;

static void begin(void)
{
	dir = unit_dir_make();
	fault_init(&fault);
}

/* Records 1 to 6, in frames of 40 bytes, two a segment. */
static void make_log(void)
{
	dwal_log *log = core_open(dir.path, NULL);

	for (uint64_t i = 1; i <= 6; i++) {
		CHECK_INT(core_append(log, i, 40 - 28), 0);
		if (i == 2 || i == 4)
			CHECK_INT(dwal_log_rotate(log), 0);
	}
	CHECK_INT(dwal_log_close(log), 0);
}

/* Iterates; returns the number of records before the end or the error. */
static unsigned count_records(dwal_reader *reader, int *end, struct dwal_error *error)
{
	struct dwal_record record;
	dwal_iter *iter;
	unsigned n = 0;

	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, NULL), 0);
	while ((*end = dwal_iter_next(iter, &record, error)) == 0)
		n++;
	dwal_iter_close(iter);
	return n;
}

static void flip(const char *name, size_t at)
{
	struct core_bytes b = core_read(dir.path, name);

	b.data[at] ^= 0xFF;
	core_write(dir.path, name, b.data, b.len);
	free(b.data);
}

static void a_reader_sees_what_was_there_when_it_opened(void)
{
	struct dwal_segment_info info;
	dwal_reader *reader;
	dwal_log *log;
	int end;

	begin();
	make_log();
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	log = core_open(dir.path, NULL); /* a reader takes no lock */
	CHECK_INT(core_append(log, 7, 40), 0);
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(core_append(log, 8, 40), 0);
	CHECK_INT(count_records(reader, &end, NULL), 6);
	CHECK_INT(end, DWAL_END);
	CHECK_INT(dwal_reader_segment_count(reader), 3);
	info = dwal_reader_segment(reader, 2);
	CHECK(info.id == 3 && info.size == 80 && info.active);
	CHECK(!dwal_reader_segment(reader, 0).active);
	dwal_reader_close(reader);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static void a_reader_creates_nothing(void)
{
	struct dwal_error error;
	dwal_reader *reader;
	int end;

	begin();
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(dwal_reader_segment_count(reader), 0);
	CHECK_INT(count_records(reader, &end, NULL), 0);
	dwal_reader_close(reader);
	CHECK_INT(dwal_reader_open(core_path(dir.path, "absent"), &reader, &error), -ENOENT);
	CHECK(strstr(error.message, "absent"));
	CHECK(!core_exists(dir.path, ".lock") && !core_exists(dir.path, "absent"));
	CHECK(rmdir(dir.path) == 0);
}

static void a_torn_tail_ends_a_reader_and_damage_elsewhere_is_an_error(void)
{
	struct dwal_error error;
	dwal_reader *reader;
	int end;

	begin();
	make_log();
	flip("00000003.dwal", 79);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(count_records(reader, &end, &error), 5);
	CHECK_INT(end, DWAL_END);
	dwal_reader_close(reader);

	flip("00000002.dwal", 79);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(count_records(reader, &end, &error), 3);
	CHECK_INT(end, DWAL_ECORRUPT);
	CHECK(error.segment == 2 && error.offset == 40 && error.reason == DWAL_BAD_CRC);
	CHECK(strstr(error.message, "segment 2, offset 40: CRC mismatch"));
	dwal_reader_close(reader);
	unit_dir_remove(&dir);
}

/* What is intact behind the first damage is counted and not replayed. */
static void a_report_goes_past_hard_errors(void)
{
	const struct dwal_report *report;
	dwal_reader *reader;

	begin();
	make_log();
	flip("00000001.dwal", 5);  /* version: 0 records, 1 behind */
	flip("00000002.dwal", 47); /* flags of the second */
	flip("00000003.dwal", 79);
	core_write(dir.path, "00000003.dwal.torn-80", "", 0);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(dwal_reader_report(reader, &report, NULL), 0);
	CHECK_INT(report->files_scanned, 3);
	CHECK_INT(report->records_replayed, 0);
	CHECK_INT(report->unsupported_versions, 1);
	CHECK_INT(report->mid_stream_errors, 1);
	CHECK_INT(report->tail_truncated, 1);
	CHECK_INT(report->tail_bytes_discarded, 40);
	CHECK_INT(report->intact.records, 3);
	CHECK_INT(report->last_txid_seen, 0);
	CHECK_INT(report->damage_count, 3);
	CHECK(report->damage[0].offset == 0 && report->damage[0].bytes == 80);
	CHECK(!report->damage[1].torn_tail && report->damage[2].torn_tail);
	CHECK_INT(report->side_file_count, 1);
	CHECK(strcmp(report->side_files[0], "00000003.dwal.torn-80") == 0);
	CHECK_INT(dwal_reader_report(reader, &report, NULL), 0); /* the same again */
	CHECK_INT(report->intact.records, 3);
	dwal_reader_close(reader);
	unit_dir_remove(&dir);
}

/* What changes between two looks at the directory, at the n-th listing. */
enum change { NOTHING, NAME_APPEARS, NAME_VANISHES, FILE_REPLACED };

static struct {
	enum change change;
	int at; /* this listing, counted from 1; 0: at each */
	int listings;
} meanwhile;

static void replace_segment(void)
{
	struct core_bytes b = core_read(dir.path, "00000002.dwal");

	core_write(dir.path, "00000002.dwal.dwal-tmp", b.data, b.len);
	CHECK(rename(core_path(dir.path, "00000002.dwal.dwal-tmp"),
		     core_path(dir.path, "00000002.dwal")) == 0);
	free(b.data);
}

static int list_then_change(const struct io *io, int dirfd, io_name_fn each, void *ctx)
{
	int rc = fault_list(io, dirfd, each, ctx);
	char name[32];

	meanwhile.listings++;
	if (meanwhile.at && meanwhile.listings != meanwhile.at)
		return rc;
	switch (meanwhile.change) {
	case NOTHING:
		break;
	case NAME_APPEARS:
		snprintf(name, sizeof(name), "%08d.dwal", 10 + meanwhile.listings);
		core_write(dir.path, name, "", 0);
		break;
	case NAME_VANISHES:
		CHECK(unlink(core_path(dir.path, "00000002.dwal")) == 0);
		break;
	case FILE_REPLACED:
		replace_segment();
		break;
	}
	return rc;
}

static void a_reader_retries_when_a_name_appears_vanishes_or_changes_identity(void)
{
	static const struct {
		enum change change;
		int at, listings;
		size_t segments;
	} cases[] = {
		{NOTHING, 0, 2, 3},       {NAME_APPEARS, 1, 4, 4}, /* seen in the second listing */
		{NAME_VANISHES, 1, 3, 2},                          /* already when it is opened */
		{NAME_VANISHES, 2, 4, 2},                          /* only when it is compared */
		{FILE_REPLACED, 1, 2, 3}, /* before it was opened: no harm */
		{FILE_REPLACED, 2, 4, 3}, /* after: another identity */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		dwal_reader *reader;

		begin();
		make_log();
		fault.io.list = list_then_change;
		meanwhile.change = cases[i].change;
		meanwhile.at = cases[i].at;
		meanwhile.listings = 0;
		CHECK_INT(reader_open(&fault.io, dir.path, &reader, NULL), 0);
		CHECK_INT(meanwhile.listings, cases[i].listings);
		CHECK_INT(dwal_reader_segment_count(reader), cases[i].segments);
		dwal_reader_close(reader);
		unit_dir_remove(&dir);
	}
}

static void a_reader_gives_up_when_the_segments_never_rest(void)
{
	struct dwal_error error;
	dwal_reader *reader;

	begin();
	make_log();
	fault.io.list = list_then_change;
	meanwhile.change = FILE_REPLACED;
	meanwhile.at = 0;
	CHECK_INT(reader_open(&fault.io, dir.path, &reader, &error), DWAL_EUNSTABLE);
	unit_dir_remove(&dir);
}

/* Whatever is done to the active segment, what is read is a prefix of what
 * was written, or an error: never anything else. */
static void check_prefix(const struct core_bytes *b)
{
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter;
	uint64_t n = 0;
	int rc;

	core_write(dir.path, "00000003.dwal", b->data, b->len);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, NULL), 0);
	while ((rc = dwal_iter_next(iter, &record, NULL)) == 0)
		CHECK_INT(core_number(&record), ++n);
	CHECK(rc == DWAL_END || rc == DWAL_ECORRUPT);
	CHECK(n >= 4 && n <= 6);
	dwal_iter_close(iter);
	dwal_reader_close(reader);
}

static void no_truncation_or_flipped_bit_of_a_segment_invents_a_record(void)
{
	struct core_bytes b;
	size_t len;

	begin();
	make_log();
	b = core_read(dir.path, "00000003.dwal");
	len = b.len;
	for (b.len = 0; b.len < len; b.len++)
		check_prefix(&b);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		b.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
		check_prefix(&b);
		b.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	free(b.data);
	unit_dir_remove(&dir);
}

static uint64_t count_intact(const char *name, uint64_t offset)
{
	struct segment *segment;
	struct operation_scan scan = {0};
	struct dwal_damage damage;
	int dirfd = open(dir.path, O_RDONLY | O_DIRECTORY);
	uint32_t id;

	CHECK(logname_parse_segment(name, &id));
	CHECK_INT(segment_open(&io_system, dirfd, id, O_RDONLY, &segment), 0);
	operation_scan_move(&scan, segment, offset - 1, segment->end, true);
	CHECK_INT(recover_count_intact(&scan, &damage), 0);
	CHECK_INT(segment_unref(segment), 0);
	close(dirfd);
	return damage.intact.records;
}

/* Also across the edges of the window through which it is read, and of
 * frames larger than the window. */
static void intact_records_are_found_at_any_byte(void)
{
	const size_t size = 900000;
	unsigned char *bytes = malloc(size), *payload = calloc(1, 400000);
	uint64_t state = 5, frames = 0;
	size_t at = 0;

	begin();
	memset(bytes, 'D', size);
	while (at < size - 500000) {
		uint32_t len = frames == 7 ? 400000 : (uint32_t)(unit_random(&state) % 3000);

		memcpy(bytes + at, "DWALDW", 6); /* false starts between them */
		at += unit_random(&state) % 40;
		CHECK_INT(dwal_frame_encode(DWAL_PUT, frames, (struct dwal_bytes){"k", 1},
					    (struct dwal_bytes){payload, len}, bytes + at),
			  0);
		at += dwal_frame_size(1, len);
		frames++;
	}
	core_write(dir.path, "00000001.dwal", bytes, at);
	CHECK_INT(count_intact("00000001.dwal", 0), frames);
	CHECK_INT(count_intact("00000001.dwal", at - 1), 0);
	CHECK_INT(count_intact("00000001.dwal", at + 100), 0);
	free(payload);
	free(bytes);
	unit_dir_remove(&dir);
}

static void a_frame_in_a_value_is_not_one_more(void)
{
	unsigned char inner[32], outer[80];

	begin();
	CHECK_INT(dwal_frame_encode(DWAL_RAW, 1, (struct dwal_bytes){0},
				    (struct dwal_bytes){"data", 4}, inner),
		  0);
	CHECK_INT(dwal_frame_encode(DWAL_PUT, 1, (struct dwal_bytes){"k", 1},
				    (struct dwal_bytes){inner, 32}, outer),
		  0);
	core_write(dir.path, "00000001.dwal", outer, dwal_frame_size(1, 32));
	CHECK_INT(count_intact("00000001.dwal", 0), 1);
	CHECK_INT(count_intact("00000001.dwal", 1), 1); /* the inner one */
	unit_dir_remove(&dir);
}

/* The search reads 256 KiB at a time. */
static void an_intact_record_is_found_across_the_edge_of_what_is_read_at_once(void)
{
	const size_t size = 300000, edge = 256 << 10;
	unsigned char *bytes = malloc(size);

	begin();
	for (size_t at = edge - 40; at < edge + 4; at++) {
		memset(bytes, 'x', size);
		CHECK_INT(dwal_frame_encode(DWAL_RAW, 1, (struct dwal_bytes){0},
					    (struct dwal_bytes){"data", 4}, bytes + at),
			  0);
		core_write(dir.path, "00000001.dwal", bytes, size);
		CHECK_INT(count_intact("00000001.dwal", 0), 1);
	}
	free(bytes);
	unit_dir_remove(&dir);
}

/* Bytes that look like the start of a huge frame at every step. */
static void hostile_bytes_do_not_make_the_search_quadratic(void)
{
	const size_t size = 16 << 20;
	unsigned char *bytes = calloc(1, size), header[28];
	struct timespec from, to;

	begin();
	CHECK_INT(dwal_frame_encode(DWAL_PUT, 1, (struct dwal_bytes){0}, (struct dwal_bytes){0},
				    header),
		  0);
	header[22] = 0x7F; /* 8 MiB and a little */
	for (size_t at = 0; at + 24 <= size; at += 24)
		memcpy(bytes + at, header, 24);
	core_write(dir.path, "00000001.dwal", bytes, size);
	clock_gettime(CLOCK_MONOTONIC, &from);
	CHECK_INT(count_intact("00000001.dwal", 0), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	CHECK(to.tv_sec - from.tv_sec < 20); /* 350,000 checks of 8 MiB take minutes */
	free(bytes);
	unit_dir_remove(&dir);
}

static uint64_t peak_kb(void)
{
	struct rusage usage;

	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	return (uint64_t)usage.ru_maxrss;
}

static void a_scan_needs_memory_for_the_largest_record_only(void)
{
	enum { PAYLOAD = 1000000, COUNT = 200 };
	unsigned char *payload = calloc(1, PAYLOAD);
	struct dwal_error error;
	dwal_reader *reader;
	dwal_log *log;
	uint64_t before;
	int end;

	begin();
	log = core_open(dir.path, NULL);
	for (int i = 0; i < COUNT; i++)
		CHECK_INT(dwal_log_append_raw(log, payload, PAYLOAD, NULL), 0);
	CHECK_INT(dwal_log_close(log), 0);
	free(payload);
	before = peak_kb();
	CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(count_records(reader, &end, &error), COUNT);
	dwal_reader_close(reader);
	printf("  peak %llu KiB more for %d MB\n", (unsigned long long)(peak_kb() - before),
	       PAYLOAD / 1000000 * COUNT);
	CHECK(peak_kb() - before < 20000); /* a sanitizer's quarantine is in it */
	unit_dir_remove(&dir);
}

static void a_file_cut_while_it_is_read_ends_the_iteration(void)
{
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter;

	begin();
	make_log();
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK(truncate(core_path(dir.path, "00000003.dwal"), 50) == 0);
	CHECK_INT(dwal_reader_iterate(reader, 3, 0, &iter, NULL), 0);
	CHECK_INT(dwal_iter_next(iter, &record, NULL), 0);
	CHECK_INT(dwal_iter_next(iter, &record, NULL), DWAL_END);
	dwal_iter_close(iter);
	dwal_reader_close(reader);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(a_scan_needs_memory_for_the_largest_record_only),
	  UNIT(a_reader_sees_what_was_there_when_it_opened), UNIT(a_reader_creates_nothing),
	  UNIT(a_torn_tail_ends_a_reader_and_damage_elsewhere_is_an_error),
	  UNIT(a_report_goes_past_hard_errors),
	  UNIT(a_reader_retries_when_a_name_appears_vanishes_or_changes_identity),
	  UNIT(a_reader_gives_up_when_the_segments_never_rest),
	  UNIT(no_truncation_or_flipped_bit_of_a_segment_invents_a_record),
	  UNIT(intact_records_are_found_at_any_byte), UNIT(a_frame_in_a_value_is_not_one_more),
	  UNIT(an_intact_record_is_found_across_the_edge_of_what_is_read_at_once),
	  UNIT(hostile_bytes_do_not_make_the_search_quadratic),
	  UNIT(a_file_cut_while_it_is_read_ends_the_iteration))
