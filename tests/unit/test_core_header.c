/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The header of an operation: what is one, what it says, who may write one.
 */
#include "operations.h"

#include <errno.h>

static struct unit_dir dir;

static struct dwal_record raw(uint64_t txid, const char *key, const char *text, size_t len)
{
	return (struct dwal_record){
		.type = DWAL_RAW, .txid = txid, .key = {key, strlen(key)}, .payload = {text, len}};
}

static bool is_header(uint64_t txid, const char *text)
{
	struct dwal_record record = raw(txid, OPERATION_KEY, text, strlen(text));
	struct dwal_header header;

	return dwal_header_parse(&record, &header);
}

/* The records of the only segment. */
static size_t read_records(struct core_bytes *bytes, struct dwal_record *records, size_t room)
{
	uint64_t offsets[16];
	size_t n;

	*bytes = core_read(dir.path, "00000001.dwal");
	n = frames_of(*bytes, offsets, 16);
	CHECK(n <= room);
	CHECK_INT(offsets[n], bytes->len);
	for (size_t i = 0; i < n; i++)
		CHECK_INT(dwal_frame_decode(bytes->data + offsets[i], bytes->len - offsets[i],
					    &records[i]),
			  DWAL_FRAME_OK);
	return n;
}

static void a_header_announces_the_frames_behind_it(void)
{
	const struct dwal_op ops[] = {{DWAL_PUT, {"a", 1}, {"one", 3}},
				      {DWAL_RAW, {"", 0}, {"", 0}},
				      {DWAL_DELETE, {"b", 1}, {NULL, 0}}};
	const struct dwal_line lines[] = {{"time", "1764000000.123456789"}, {"op", "rename"}};
	struct dwal_place places[3];
	struct dwal_record records[8];
	struct dwal_header header;
	struct core_bytes bytes;
	char text[128];
	dwal_log *log;

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	CHECK_INT(dwal_log_batch(log, ops, 3, lines, 2, places), 0);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(read_records(&bytes, records, 8), 4);
	CHECK(dwal_header_parse(&records[0], &header));
	CHECK_INT(header.txid, 1);
	CHECK_INT(header.n, 3);
	CHECK_INT(header.bytes, bytes.len - records[0].length);
	snprintf(text, sizeof(text), "%08x%08x%08x", records[1].crc32c, records[2].crc32c,
		 records[3].crc32c);
	CHECK_INT(header.crc.len, 24);
	CHECK(memcmp(header.crc.data, text, 24) == 0);
	snprintf(text, sizeof(text),
		 "datawal batch 1\ntxid=1\nn=3\nbytes=89\ncrc=%.24s\ntime=1764000000.123456789\n"
		 "op=rename\n",
		 (const char *)header.crc.data);
	CHECK_INT(records[0].payload.len, strlen(text));
	CHECK(memcmp(records[0].payload.data, text, strlen(text)) == 0);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(places[i].txid, 1);
		CHECK_INT(records[i + 1].txid, 1);
		CHECK_INT(bytes.data + places[i].offset + 24 ==
				  (const unsigned char *)records[i + 1].key.data,
			  1);
		CHECK_INT(places[i].length, records[i + 1].length);
	}
	free(bytes.data);
	unit_dir_remove(&dir);
}

static void an_operation_has_one_txid_and_one_record_alone_no_header(void)
{
	const struct dwal_op ops[] = {{DWAL_PUT, {"a", 1}, {"1", 1}},
				      {DWAL_PUT, {"b", 1}, {"2", 1}}};
	const struct dwal_line line = {"op", "write"};
	struct dwal_record records[8];
	struct dwal_header header;
	struct core_bytes bytes;
	dwal_log *log;

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	CHECK_INT(dwal_log_batch(log, ops, 1, NULL, 0, NULL), 0);
	CHECK_INT(dwal_log_batch(log, ops, 2, NULL, 0, NULL), 0);
	CHECK_INT(dwal_log_batch(log, ops, 1, &line, 1, NULL), 0);
	CHECK_INT(dwal_log_append(log, ops, 2, NULL), 0);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(read_records(&bytes, records, 8), 8);
	for (size_t i = 0; i < 8; i++) {
		static const uint64_t txids[] = {1, 2, 2, 2, 3, 3, 4, 5};

		CHECK_INT(records[i].txid, txids[i]);
		CHECK_INT(dwal_header_parse(&records[i], &header), i == 1 || i == 4);
	}
	CHECK(dwal_header_parse(&records[4], &header));
	CHECK_INT(header.n, 1);
	free(bytes.data);
	/* the next one goes on from there, and nothing is missing or out of order */
	log = core_open(dir.path, NULL);
	CHECK_INT(dwal_log_report(log)->txids.out_of_order, 0);
	CHECK_INT(dwal_log_report(log)->txids.missing, 0);
	CHECK_INT(dwal_log_report(log)->last_txid_seen, 5);
	CHECK_INT(dwal_log_report(log)->records_replayed, 8);
	CHECK_INT(dwal_log_report(log)->raw_records, 2);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static void only_a_payload_of_the_form_that_names_its_own_txid_is_a_header(void)
{
	static const char good[] = "datawal batch 1\ntxid=7\nn=2\nbytes=60\ncrc=0123456789abcdef\n"
				   "time=1.5\na.b-c=x%25%0A y\n";
	static const char *const bad[] = {
		"",
		"datawal batch 1\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=",
		"datawal batch 2\ntxid=7\nn=0\nbytes=0\ncrc=\n",
		" datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=8\nn=0\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=07\nn=0\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=+7\nn=0\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=7 \nn=0\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=18446744073709551623\nn=0\nbytes=0\ncrc=\n", /* 2^64 + 7 */
		"datawal batch 1\ntxid=7\nn=\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=7\nn=00\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=7\nn=4294967297\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=x\ncrc=\n",
		"datawal batch 1\nn=0\ntxid=7\nbytes=0\ncrc=\n",
		"datawal batch 1\ntxid=7\nn=1\nbytes=30\ncrc=\n",
		"datawal batch 1\ntxid=7\nn=1\nbytes=30\ncrc=0123456\n",
		"datawal batch 1\ntxid=7\nn=1\nbytes=30\ncrc=0123456ab\n",
		"datawal batch 1\ntxid=7\nn=1\nbytes=30\ncrc=0123456A\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=01234567\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\n\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\n=x\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nX=x\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\n1x=x\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx y=x\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nn=x\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx=\ty\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx=%\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx=%2\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx=%0a\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx=%G0\n",
		"datawal batch 1\ntxid=7\nn=0\nbytes=0\ncrc=\nx=\xc3\xa9\n",
	};
	struct dwal_record record = raw(7, OPERATION_KEY, good, strlen(good));
	struct dwal_header header;

	CHECK(dwal_header_parse(&record, &header));
	CHECK(is_header(0, "datawal batch 1\ntxid=0\nn=0\nbytes=0\ncrc=\n"));
	CHECK(is_header(UINT64_MAX, "datawal batch 1\ntxid=18446744073709551615\nn=0\n"
				    "bytes=18446744073709551615\ncrc=\nx=\n"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (is_header(7, bad[i])) {
			fprintf(stderr, "taken for a header: %s\n", bad[i]);
			abort();
		}
	for (size_t len = 0; len < strlen(good); len++) { /* whole lines only, from the CRCs on */
		record.payload.len = len;
		CHECK_INT(dwal_header_parse(&record, &header),
			  len && good[len - 1] == '\n' && len > 45);
	}
	record = raw(7, "datawal.batcx", good, strlen(good));
	CHECK(!dwal_header_parse(&record, &header));
	record = raw(7, "datawal.batch2", good, strlen(good));
	CHECK(!dwal_header_parse(&record, &header));
	record = raw(7, OPERATION_KEY, good, strlen(good));
	record.type = DWAL_PUT;
	CHECK(!dwal_header_parse(&record, &header));
	record.type = DWAL_DELETE;
	CHECK(!dwal_header_parse(&record, &header));
	CHECK(!dwal_header_parse(&(struct dwal_record){.type = DWAL_RAW}, &header));
}

static void a_line_gives_back_any_value(void)
{
	char every[256], out[256], small[4];
	const struct dwal_op op = {DWAL_PUT, {"a", 1}, {"1", 1}};
	struct dwal_line lines[] = {{"op", ""}, {"every", every}, {"op", "second"}, {"ab", "xyz"}};
	struct dwal_record records[2];
	struct dwal_header header;
	struct core_bytes bytes;
	dwal_log *log;

	for (size_t i = 0; i < 255; i++)
		every[i] = (char)(i + 1);
	every[255] = '\0';
	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	CHECK_INT(dwal_log_batch(log, &op, 1, lines, 4, NULL), 0);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(read_records(&bytes, records, 2), 2);
	CHECK(dwal_header_parse(&records[0], &header));
	CHECK(dwal_header_line(&header, "op", out, sizeof(out)) && !*out); /* the first */
	CHECK(dwal_header_line(&header, "every", out, sizeof(out)) && strcmp(out, every) == 0);
	CHECK(!dwal_header_line(&header, "every", out, sizeof(out) - 1));
	CHECK(dwal_header_line(&header, "ab", small, 4) && strcmp(small, "xyz") == 0);
	CHECK(!dwal_header_line(&header, "ab", small, 3) && strcmp(small, "xyz") == 0);
	CHECK(!dwal_header_line(&header, "a", out, sizeof(out)));
	CHECK(!dwal_header_line(&header, "n", out, sizeof(out)));
	CHECK(!dwal_header_line(&header, "", out, sizeof(out)));
	CHECK(!dwal_header_line(&header, "op", out, 0));
	free(bytes.data);
	unit_dir_remove(&dir);
}

static void nobody_writes_a_header_but_an_operation(void)
{
	static const char text[] = "datawal batch 1\nand so on";
	const struct dwal_op own[] = {{DWAL_RAW, {OPERATION_KEY, 13}, {text, 16}},
				      {DWAL_RAW, {OPERATION_KEY, 13}, {text, sizeof(text) - 1}}};
	const struct dwal_op fine[] = {{DWAL_RAW, {OPERATION_KEY, 13}, {text, 15}},
				       {DWAL_RAW, {OPERATION_KEY, 13}, {"mine", 4}},
				       {DWAL_PUT, {OPERATION_KEY, 13}, {text, 16}},
				       {DWAL_DELETE, {OPERATION_KEY, 13}, {text, 16}},
				       {DWAL_RAW, {"datawal.batc", 12}, {text, 16}}};
	dwal_log *log;
	dwal_kv *kv;

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct dwal_op two[] = {fine[1], own[i]};

		CHECK_INT(dwal_log_append(log, &own[i], 1, NULL), -EINVAL);
		CHECK_INT(dwal_log_append(log, two, 2, NULL), -EINVAL);
		CHECK_INT(dwal_log_batch(log, two, 2, NULL, 0, NULL), -EINVAL);
	}
	CHECK_INT(dwal_log_append(log, fine, 5, NULL), 0);
	CHECK_INT(dwal_log_batch(log, fine, 5, NULL, 0, NULL), 0);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(dwal_kv_open(dir.path, NULL, &kv, NULL), 0);
	CHECK_INT(dwal_kv_report(kv)->records_replayed, 11);
	CHECK_INT(dwal_kv_batch(kv, own, 1, NULL, 0, NULL), -EINVAL);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void a_line_that_is_none_is_refused_and_nothing_is_written(void)
{
	static const struct dwal_line bad[] = {
		{"", "x"},    {"txid", "1"}, {"n", "1"}, {"bytes", "1"}, {"crc", ""},   {"X", "x"},
		{"1a", "x"},  {"a b", "x"},  {"a=", ""}, {"a\n", ""},    {NULL, "x"},   {"a", NULL},
		{"a_b", "x"}, {"-a", "x"},   {".", "x"}, {"a%", "x"},    {"\xc3", "x"},
	};
	const struct dwal_op op = {DWAL_PUT, {"a", 1}, {"1", 1}};
	char *large = malloc(DWAL_MAX_PAYLOAD + 1);
	struct dwal_line lines[2] = {{"good", "x"}};
	struct dwal_record record;
	struct core_bytes bytes;
	dwal_log *log;

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		lines[1] = bad[i];
		CHECK_INT(dwal_log_batch(log, &op, 1, lines, 2, NULL), -EINVAL);
	}
	CHECK_INT(dwal_log_batch(log, &op, 0, lines, 1, NULL), -EINVAL);
	memset(large, 'x', DWAL_MAX_PAYLOAD);
	large[DWAL_MAX_PAYLOAD] = '\0';
	lines[1] = (struct dwal_line){"large", large};
	CHECK_INT(dwal_log_batch(log, &op, 1, lines, 2, NULL), DWAL_EPAYLOADSIZE);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(read_records(&bytes, &record, 0), 0);
	free(bytes.data);
	free(large);
	unit_dir_remove(&dir);
}

static void a_segment_rotates_before_a_header_would_make_it_too_large(void)
{
	const struct dwal_op ops[] = {{DWAL_PUT, {"a", 1}, {"1", 1}},
				      {DWAL_PUT, {"b", 1}, {"2", 1}}};
	struct dwal_options options = {.segment_size = 100 + 98 + 2 * 30};
	struct dwal_place places[2];
	dwal_log *log;

	for (int more = 0; more < 2; more++) {
		dir = unit_dir_make();
		log = core_open(dir.path, &options);
		CHECK_INT(core_append(log, 1, 72 + (size_t)more), 0); /* a frame of 100 bytes */
		CHECK_INT(dwal_log_batch(log, ops, 2, NULL, 0, places), 0);
		CHECK_INT(places[0].segment, 1 + more);
		CHECK_INT(places[0].offset, more ? 98 : 100 + 98);
		CHECK_INT(dwal_log_close(log), 0);
		unit_dir_remove(&dir);
	}
}

/* Compaction keeps a header with n=0 as long as one of its records stays. */
static void records_belong_to_the_header_before_them_by_their_txid(void)
{
	static const struct {
		uint64_t txid;
		bool header;
		uint64_t out_of_order, missing; /* so far */
	} log[] = {
		{1, true, 0, 0},  {1, false, 0, 0}, {1, false, 0, 0}, {2, false, 0, 0},
		{2, false, 1, 0}, {5, true, 1, 2},  {5, false, 1, 2}, {5, true, 2, 2},
		{5, false, 2, 2}, {3, true, 3, 1},  {3, false, 3, 1}, {4, false, 3, 0},
		{5, false, 3, 0}, {5, false, 4, 0},
	};
	struct dwal_txids txids = {0};

	for (size_t i = 0; i < sizeof(log) / sizeof(*log); i++) {
		struct dwal_record record = raw(log[i].txid, OPERATION_KEY, "", 0);
		char text[64];

		snprintf(text, sizeof(text), "datawal batch 1\ntxid=%u\nn=0\nbytes=0\ncrc=\n",
			 (unsigned)log[i].txid);
		if (log[i].header)
			record.payload = (struct dwal_bytes){text, strlen(text)};
		dwal_txids_add(&txids, &record);
		CHECK_INT(txids.out_of_order, log[i].out_of_order);
		CHECK_INT(txids.missing, log[i].missing);
	}
}

UNIT_MAIN(UNIT(a_header_announces_the_frames_behind_it),
	  UNIT(an_operation_has_one_txid_and_one_record_alone_no_header),
	  UNIT(only_a_payload_of_the_form_that_names_its_own_txid_is_a_header),
	  UNIT(a_line_gives_back_any_value), UNIT(nobody_writes_a_header_but_an_operation),
	  UNIT(a_line_that_is_none_is_refused_and_nothing_is_written),
	  UNIT(a_segment_rotates_before_a_header_would_make_it_too_large),
	  UNIT(records_belong_to_the_header_before_them_by_their_txid))
