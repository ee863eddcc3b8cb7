/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Where a log ends: operations cut short at every byte, and all that looks like
 * one that is. The opening writer and every reader must agree.
 */
#include "fault_io.h"
#include "operations.h"

enum { SECTOR = 512, FRAMES = 64 };

static const char segment[] = "00000001.dwal";
static struct unit_dir dir;
static struct fault_io fault;

static void begin(void)
{
	dir = unit_dir_make();
	fault_init(&fault);
	fault.no_sync = true;
}

static void end(void)
{
	unit_dir_remove(&dir);
}

/* The log is this segment alone. */
static void lay_out(const void *data, size_t len)
{
	unit_dir_remove(&dir);
	CHECK(mkdir(dir.path, 0700) == 0);
	core_write(dir.path, segment, data, len);
}

/* The opening writer must find this end, keep what it cuts off, and go on. */
static void check_writer(struct core_bytes found, struct log_end wanted)
{
	struct dwal_options options = {.strict = !wanted.intact};
	const uint64_t kept = wanted.reason ? wanted.offset : found.len;
	struct core_bytes now, side;
	dwal_log *log;

	log = core_open_io(&fault.io, dir.path, &options);
	check_end(end_of_report(dwal_log_report(log)), wanted);
	now = core_read(dir.path, segment);
	CHECK_INT(now.len, kept);
	CHECK(memcmp(now.data, found.data, now.len) == 0);
	free(now.data);
	CHECK(!wanted.reason == !dwal_log_report(log)->made_side_file);
	if (wanted.reason) {
		side = core_read(dir.path, dwal_log_report(log)->made_side_file);
		CHECK_INT(side.len, found.len - kept);
		CHECK(memcmp(side.data, found.data + kept, side.len) == 0);
		free(side.data);
	}
	CHECK_INT(core_append(log, 1, 20), 0);
	CHECK_INT(dwal_log_close(log), 0);
	check_readers(dir.path, (struct log_end){.records = wanted.records + 1});
}

/* Such a segment, read and then opened for writing. */
static void check_everybody(const void *data, size_t len, struct log_end wanted)
{
	struct core_bytes found = {.len = len};

	lay_out(data, len);
	found.data = core_read(dir.path, segment).data;
	check_readers(dir.path, wanted);
	check_writer(found, wanted);
	free(found.data);
}

/* Operations of several shapes. */
static struct shape {
	size_t n, sizes[FRAMES]; /* payloads */
	size_t lines, step;      /* cut at every so manieth byte, and beside each frame's ends */
} shapes[] = {
	{.n = 2, .sizes = {1, 1}, .step = 1},
	{.n = 3, .sizes = {10, 40, 0}, .lines = 2, .step = 1},
	{.n = 5, .step = 1},
	{.n = 20, .sizes = {3, 2, 1}, .lines = 1, .step = 5},
	{.n = 3, .sizes = {70000, 5, 70000}, .step = 997},
	{.n = 4, .sizes = {300000, 5, 200000}, .lines = 1, .step = 49999},
};

static void write_shape(dwal_log *log, const struct shape *shape)
{
	static const struct dwal_line lines[] = {{"time", "1764000000.000000001"}, {"op", "mkdir"}};
	static const char payload[300000];
	struct dwal_op ops[FRAMES];

	for (size_t i = 0; i < shape->n; i++)
		ops[i] = (struct dwal_op){i % 3 == 0   ? DWAL_PUT
					  : i % 3 == 1 ? DWAL_RAW
						       : DWAL_DELETE,
					  {"some/key", i % 9},
					  {payload, shape->sizes[i]}};
	CHECK_INT(dwal_log_batch(log, ops, shape->n, lines, shape->lines, NULL), 0);
}

/* A record, an operation, and one of that shape, which begins at *start. */
static struct core_bytes make_log(const struct shape *shape, size_t *start)
{
	struct core_bytes before;
	dwal_log *log = core_open_io(&fault.io, dir.path, NULL);

	CHECK_INT(core_append(log, 1, 30), 0);
	write_shape(log, &shapes[0]);
	before = core_read(dir.path, segment);
	*start = before.len;
	free(before.data);
	write_shape(log, shape);
	CHECK_INT(dwal_log_close(log), 0);
	return core_read(dir.path, segment);
}

static bool is_beside_an_end(const uint64_t *offsets, size_t n, size_t at)
{
	for (size_t i = 0; i <= n; i++)
		if (at + 1 >= offsets[i] && at <= offsets[i] + 1)
			return true;
	return false;
}

static void cutting_an_operation_at_any_byte_leaves_all_of_it_or_nothing(void)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		uint64_t offsets[FRAMES];
		struct core_bytes whole;
		size_t start, n;

		begin();
		whole = make_log(&shapes[i], &start);
		n = frames_of(whole, offsets, FRAMES);
		CHECK_INT(n, 4 + 1 + shapes[i].n);
		CHECK_INT(offsets[4], start);
		check_everybody(whole.data, start, (struct log_end){.records = 4});
		for (size_t cut = start + 1; cut < whole.len; cut++)
			if (cut % shapes[i].step == 0 || is_beside_an_end(offsets, n, cut))
				check_everybody(whole.data, cut,
						(struct log_end){
							.records = 4,
							.reason = cut < offsets[5] ? DWAL_TRUNCATED
										   : DWAL_PARTIAL,
							.offset = start,
						});
		check_everybody(whole.data, whole.len, (struct log_end){.records = n});
		free(whole.data);
		end();
	}
}

/* As a power cut does it: every set of sectors that did not reach the disk. */
static void any_sectors_of_an_operation_may_be_missing(void)
{
	const struct shape shape = {.n = 5, .sizes = {600, 20, 500, 400, 700}};
	struct core_bytes whole, cut;
	uint64_t offsets[FRAMES];
	size_t start, first, sectors;

	begin();
	whole = make_log(&shape, &start);
	(void)frames_of(whole, offsets, FRAMES);
	first = start / SECTOR;
	sectors = (whole.len + SECTOR - 1) / SECTOR - first;
	CHECK(sectors > 4 && sectors < 9);
	cut.data = malloc(whole.len);
	cut.len = whole.len;
	for (unsigned set = 0; set < 1u << sectors; set++) {
		struct dwal_reader *reader;
		struct log_end wanted = {.records = 4 + 1 + shape.n};
		dwal_iter *iter;

		memcpy(cut.data, whole.data, whole.len);
		for (size_t at = start; at < whole.len; at++)
			if (!(set >> (at / SECTOR - first) & 1))
				cut.data[at] = 0;
		lay_out(cut.data, cut.len);
		if (memcmp(cut.data, whole.data, whole.len) != 0) {
			struct log_end found;

			CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
			CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, NULL), 0);
			found = end_of_iteration(iter);
			dwal_reader_close(reader);
			/* nobody knows what a header announced that is not there */
			CHECK(found.reason && (found.reason != DWAL_PARTIAL || !found.intact));
			wanted = (struct log_end){4, found.reason, start, found.intact};
		}
		check_everybody(cut.data, cut.len, wanted);
	}
	free(cut.data);
	free(whole.data);
	end();
}

/* Another implementation knows no headers: it appends behind the whole records
 * that it finds, with the next txid, and what it has synced is there for good. */
static void what_others_append_behind_a_partial_operation_is_never_cut(void)
{
	const struct shape *shape = &shapes[1];
	struct core_bytes whole, bytes = {0};
	uint64_t offsets[FRAMES];
	size_t start, n;

	begin();
	whole = make_log(shape, &start);
	n = frames_of(whole, offsets, FRAMES);
	for (size_t i = 5; i < n; i++) { /* records 4 (the header) to i - 1 are there */
		bytes.len = 0;
		add_bytes(&bytes, whole.data, offsets[i]);
		/* the last announced record, but for its txid */
		(void)add_frame(&bytes, DWAL_DELETE, 4, "so", "", 0);
		check_everybody(bytes.data, bytes.len, (struct log_end){.records = i + 1});
		/* and an operation of ours behind that, whole and not */
		add_bytes(&bytes, whole.data + start, whole.len - start);
		check_everybody(bytes.data, bytes.len, (struct log_end){.records = i + 1 + n - 4});
		check_everybody(bytes.data, bytes.len - 1,
				(struct log_end){.records = i + 1,
						 .reason = DWAL_PARTIAL,
						 .offset = bytes.len - (whole.len - start)});
	}
	free(bytes.data);
	free(whole.data);
	end();
}

/* It does not cut a torn tail off either. What it appends there is lost to
 * all, but it is told of. */
static void what_others_append_behind_torn_bytes_counts_as_intact(void)
{
	struct core_bytes whole, bytes = {0};
	uint64_t offsets[FRAMES];
	size_t start;

	begin();
	whole = make_log(&shapes[1], &start);
	(void)frames_of(whole, offsets, FRAMES);
	add_bytes(&bytes, whole.data, offsets[7] - 1);
	(void)add_frame(&bytes, DWAL_PUT, 4, "theirs", "x", 1);
	/* and what is still there of the operation does not */
	add_bytes(&bytes, whole.data + offsets[7], offsets[8] - offsets[7]);
	check_everybody(
		bytes.data, bytes.len,
		(struct log_end){
			.records = 4, .reason = DWAL_PARTIAL, .offset = start, .intact = 1});
	free(bytes.data);
	free(whole.data);
	end();
}

/* Nothing is judged where others may follow: a sealed segment is read as it
 * was before there were headers. */
static void a_header_in_a_sealed_segment_is_not_judged(void)
{
	struct core_bytes whole;
	uint64_t offsets[FRAMES];
	size_t start, n;

	begin();
	whole = make_log(&shapes[1], &start);
	n = frames_of(whole, offsets, FRAMES);
	for (size_t i = 5; i <= n; i++) {
		dwal_log *log;

		lay_out(whole.data, offsets[i]);
		core_write(dir.path, "00000002.dwal", "", 0);
		check_readers(dir.path, (struct log_end){.records = i});
		log = core_open(dir.path, NULL);
		check_end(end_of_report(dwal_log_report(log)), (struct log_end){.records = i});
		CHECK_INT(dwal_log_close(log), 0);
	}
	/* and what is torn there is damage, as ever */
	lay_out(whole.data, offsets[6] + 1);
	core_write(dir.path, "00000002.dwal", "", 0);
	CHECK_INT(dwal_log_open(dir.path, NULL, &(dwal_log *){0}, NULL), DWAL_ECORRUPT);
	free(whole.data);
	end();
}

/* A side file, or a segment by itself, is judged like the last one. */
static void a_single_file_ends_before_a_partial_operation(void)
{
	struct core_bytes whole;
	uint64_t offsets[FRAMES];
	dwal_iter *iter;
	size_t start;

	begin();
	whole = make_log(&shapes[1], &start);
	(void)frames_of(whole, offsets, FRAMES);
	core_write(dir.path, "00000001.dwal.torn-7", whole.data + start, offsets[7] - start);
	CHECK_INT(dwal_file_iterate(core_path(dir.path, "00000001.dwal.torn-7"), &iter, NULL), 0);
	check_end(end_of_iteration(iter), (struct log_end){.reason = DWAL_PARTIAL});
	free(whole.data);
	end();
}

static void an_iteration_from_within_an_operation_does_not_judge_it(void)
{
	uint64_t offsets[FRAMES];
	struct core_bytes whole;
	dwal_reader *reader;
	size_t start, n;

	begin();
	whole = make_log(&shapes[1], &start);
	n = frames_of(whole, offsets, FRAMES);
	CHECK(truncate(core_path(dir.path, segment), (off_t)offsets[n - 1]) == 0);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	for (size_t i = 4; i < n; i++) {
		struct log_end wanted = {.records = n - 1 - i};
		dwal_iter *iter;

		if (i == 4) /* from the header on */
			wanted = (struct log_end){.reason = DWAL_PARTIAL, .offset = start};
		CHECK_INT(dwal_reader_iterate(reader, 1, offsets[i], &iter, NULL), 0);
		check_end(end_of_iteration(iter), wanted);
	}
	dwal_reader_close(reader);
	free(whole.data);
	end();
}

/* What a header announces is believed only as far as it is so. */
static void a_header_that_lies_voids_itself_or_is_none(void)
{
	const uint32_t a = crc_of_frame(DWAL_PUT, 2, "a", "1"),
		       b = crc_of_frame(DWAL_PUT, 2, "b", "2"),
		       other = crc_of_frame(DWAL_PUT, 3, "a", "1");
	const struct {
		const char *text; /* but for the CRCs */
		uint64_t txid;    /* of the records */
		uint32_t crcs[3];
		struct log_end wanted;
	} lies[] = {
		{"txid=2\nn=2\nbytes=60\ncrc=%08x%08x\n", 2, {a, b}, {.records = 4}},
		/* more than there are: as if cut short */
		{"txid=2\nn=3\nbytes=90\ncrc=%08x%08x%08x\n",
		 2,
		 {a, b, a},
		 {1, DWAL_PARTIAL, 29, 0}},
		/* fewer */
		{"txid=2\nn=1\nbytes=30\ncrc=%08x\n", 2, {a}, {.records = 4}},
		{"txid=2\nn=0\nbytes=0\ncrc=\n", 2, {0}, {.records = 4}},
		/* another length of what is there, or of what is not */
		{"txid=2\nn=2\nbytes=1\ncrc=%08x%08x\n", 2, {a, b}, {.records = 4}},
		{"txid=2\nn=2\nbytes=18446744073709551615\ncrc=%08x%08x\n",
		 2,
		 {a, b},
		 {.records = 4}},
		{"txid=2\nn=3\nbytes=0\ncrc=%08x%08x%08x\n",
		 2,
		 {a, b, a},
		 {1, DWAL_PARTIAL, 29, 0}},
		{"txid=2\nn=3\nbytes=18446744073709551615\ncrc=%08x%08x%08x\n",
		 2,
		 {a, b, a},
		 {1, DWAL_PARTIAL, 29, 0}},
		/* other records, or in another order: others wrote them */
		{"txid=2\nn=3\nbytes=90\ncrc=%08x%08x%08x\n", 2, {a, b + 1, a}, {.records = 4}},
		{"txid=2\nn=3\nbytes=90\ncrc=%08x%08x%08x\n", 2, {b, a, a}, {.records = 4}},
		/* of another txid */
		{"txid=2\nn=3\nbytes=90\ncrc=%08x%08x%08x\n", 3, {other, other, a}, {.records = 4}},
		/* another txid than its own: no header */
		{"txid=3\nn=3\nbytes=90\ncrc=%08x%08x%08x\n", 2, {a, b, a}, {.records = 4}},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct core_bytes bytes = {0};
		char text[256];

		begin();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), lies[i].text, lies[i].crcs[0], lies[i].crcs[1],
			 lies[i].crcs[2]);
#pragma GCC diagnostic pop
		(void)add_frame(&bytes, DWAL_PUT, 1, "", "x", 1);
		add_header(&bytes, 2, "datawal batch 1\n%s", text);
		if (lies[i].txid != 2) {
			(void)add_frame(&bytes, DWAL_PUT, lies[i].txid, "a", "1", 1);
			(void)add_frame(&bytes, DWAL_PUT, lies[i].txid, "a", "1", 1);
		} else {
			(void)add_frame(&bytes, DWAL_PUT, 2, "a", "1", 1);
			(void)add_frame(&bytes, DWAL_PUT, 2, "b", "2", 1);
		}
		check_everybody(bytes.data, bytes.len, lies[i].wanted);
		free(bytes.data);
		end();
	}
}

/* Neither one of one record, nor what compaction leaves, nor anybody's own
 * record of that name. */
static void what_announces_nothing_is_never_cut(void)
{
	struct core_bytes bytes = {0};

	begin();
	add_header(&bytes, 1, "datawal batch 1\ntxid=1\nn=1\nbytes=30\ncrc=00000000\n");
	check_everybody(bytes.data, bytes.len, (struct log_end){.records = 1});
	add_header(&bytes, 2, "datawal batch 1\ntxid=2\nn=0\nbytes=0\ncrc=\ntime=1.5\n");
	check_everybody(bytes.data, bytes.len, (struct log_end){.records = 2});
	add_header(&bytes, 3, "user.comment=mine\n");
	check_everybody(bytes.data, bytes.len, (struct log_end){.records = 3});
	add_header(&bytes, 4, "datawal batch 1\nn=2\n");
	check_everybody(bytes.data, bytes.len, (struct log_end){.records = 4});
	free(bytes.data);
	end();
}

/* Bytes of the last operation that no crash leaves are damage, and nothing is
 * cut. */
static void damage_within_an_operation_is_no_crash(void)
{
	struct core_bytes whole;
	uint64_t offsets[FRAMES];
	struct dwal_error error;
	size_t start;

	begin();
	whole = make_log(&shapes[1], &start);
	(void)frames_of(whole, offsets, FRAMES);
	whole.data[offsets[6]] ^= 1;
	lay_out(whole.data, whole.len);
	CHECK_INT(dwal_log_open(dir.path, NULL, &(dwal_log *){0}, &error), DWAL_ECORRUPT);
	CHECK_INT(error.reason, DWAL_BAD_MAGIC);
	CHECK_INT(error.offset, offsets[6]);
	free(whole.data);
	end();
}

/* Whatever call fails: nothing of the operation is in the log, nor in the file
 * once the log goes on. */
static void an_operation_that_cannot_be_written_is_cut_back_from_its_header_on(void)
{
	for (unsigned n = 1; n < 9; n++) {
		const struct dwal_op ops[] = {{DWAL_PUT, {"a", 1}, {"1", 1}},
					      {DWAL_PUT, {"b", 1}, {"2", 1}}};
		struct dwal_place places[2];
		struct core_bytes bytes;
		dwal_log *log;

		begin();
		log = core_open_io(&fault.io, dir.path, NULL);
		CHECK_INT(core_append(log, 1, 30), 0);
		fault.short_write = 30;
		fault.fail_at = fault.calls + n; /* the write of the n-th piece */
		fault.fail_with = -ENOSPC;
		CHECK_INT(dwal_log_batch(log, ops, 2, NULL, 0, places), n < 7 ? -ENOSPC : 0);
		bytes = core_read(dir.path, segment);
		CHECK_INT(bytes.len, n < 7 ? 58 : 58 + 98 + 60);
		free(bytes.data);
		fault.short_write = fault.fail_at = 0;
		CHECK(!dwal_log_refusal(log));
		CHECK_INT(dwal_log_batch(log, ops, 2, NULL, 0, places), 0);
		CHECK_INT(places[1].txid, n < 7 ? 2 : 3);
		CHECK_INT(dwal_log_close(log), 0);
		check_readers(dir.path, (struct log_end){.records = n < 7 ? 4 : 7});
		end();
	}
}

UNIT_MAIN(UNIT(cutting_an_operation_at_any_byte_leaves_all_of_it_or_nothing),
	  UNIT(any_sectors_of_an_operation_may_be_missing),
	  UNIT(what_others_append_behind_a_partial_operation_is_never_cut),
	  UNIT(what_others_append_behind_torn_bytes_counts_as_intact),
	  UNIT(a_header_in_a_sealed_segment_is_not_judged),
	  UNIT(a_single_file_ends_before_a_partial_operation),
	  UNIT(an_iteration_from_within_an_operation_does_not_judge_it),
	  UNIT(a_header_that_lies_voids_itself_or_is_none),
	  UNIT(what_announces_nothing_is_never_cut), UNIT(damage_within_an_operation_is_no_crash),
	  UNIT(an_operation_that_cannot_be_written_is_cut_back_from_its_header_on))
