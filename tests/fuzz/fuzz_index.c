/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Any bytes as an index file: as they are, or behind what makes them fit. Whoever opens
 * the log gets records that lie within the segment, one behind the other, and no byte
 * that is not there; with a file whose own CRC is wrong he gets the records that are.
 */
#include "fuzz.h"
#include "index.h"

#define MOST 4096

static char dir[160];
static unsigned char good[MOST]; /* the index file of the segment */
static size_t good_len;
static struct index_tail tail;
static uint64_t records_there;

static void put_raw(dwal_kv *kv, const char *key, const char *payload)
{
	const struct dwal_op op = {DWAL_RAW, {key, strlen(key)}, {payload, strlen(payload)}};

	CHECK_INT(dwal_kv_batch(kv, &op, 1, NULL, 0, NULL), 0);
}

/* Made once: one sealed segment, and the highest. */
static void make_log(void)
{
	struct dwal_bytes bytes;
	dwal_kv *kv;
	uint32_t crc;

	snprintf(dir, sizeof(dir), "%s", scratch_dir("log"));
	CHECK_INT(dwal_kv_open(dir, NULL, &kv, NULL), 0);
	CHECK_INT(dwal_kv_put(kv, "a", 1, "value", 5), 0);
	put_raw(kv, "datawal.tag", "datawal tag 1\nname=x\ntxid=1\n");
	CHECK_INT(dwal_kv_put(kv, "", 0, "b\0b", 3), 0);
	CHECK_INT(dwal_kv_delete(kv, "a", 1), 0);
	put_raw(kv, "", "");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT(dwal_kv_put(kv, "last", 4, "1", 1), 0);
	CHECK_INT(dwal_kv_scrub(kv, NULL, NULL), 0);
	records_there = 6;
	CHECK_INT(dwal_kv_close(kv), 0);
	bytes = read_file(dir, "00000001.dwal-index");
	CHECK(bytes.data && bytes.len <= sizeof(good));
	memcpy(good, bytes.data, bytes.len);
	good_len = bytes.len;
	index_parse_tail(good + good_len - INDEX_TAIL_SIZE, &tail, &crc);
	free((void *)(uintptr_t)bytes.data);
}

/* Count and last frame as the entries say, and a CRC that is right. */
static size_t finish(unsigned char *file, size_t len)
{
	struct dwal_record record;
	uint64_t offset = 0;
	size_t at = INDEX_HEAD_SIZE;

	tail.records = 0;
	while (at + INDEX_ENTRY_SIZE <= len && index_parse_entry(file + at, &record)) {
		tail.records++;
		tail.last_offset = offset;
		tail.last_crc = record.crc32c;
		offset += record.length;
		at += INDEX_ENTRY_SIZE + record.key.len + index_kept(&record).len;
	}
	index_put_tail(&tail, dwal_crc32c(0, file, len), file + len);
	return len + INDEX_TAIL_SIZE;
}

static size_t make_file(struct input *input, unsigned char *file, bool *is_told_right)
{
	uint64_t how = take_number(input, 1) % 3;
	size_t len = good_len - INDEX_TAIL_SIZE;
	struct dwal_bytes bytes;

	*is_told_right = how == 0;
	if (how == 2) {
		memcpy(file, good, len);
		while (input->left) {
			size_t at = take_number(input, 1) % len;

			file[at] = (unsigned char)take_number(input, 1);
		}
		return finish(file, len);
	}
	bytes = take_bytes(input, MOST - INDEX_HEAD_SIZE);
	len = how ? INDEX_HEAD_SIZE : 0;
	index_put_head(file);
	memcpy(file + len, bytes.data, bytes.len);
	len += bytes.len;
	return how ? finish(file, len) : len;
}

struct seen {
	uint64_t offset, records;
	unsigned sum;
};

static int see(void *ctx, const struct dwal_record *record)
{
	const unsigned char *key = record->key.data, *payload = record->payload.data;
	struct seen *seen = ctx;

	if (record->segment == 1)
		CHECK_INT(record->offset, (long long)seen->offset);
	seen->offset += record->length;
	seen->records++;
	CHECK_INT(record->length, dwal_frame_size(record->key.len, record->payload.len));
	for (size_t i = 0; i < record->key.len; i++)
		seen->sum += key[i];
	for (size_t i = 0; payload && i < record->payload.len; i++)
		seen->sum += payload[i];
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char file[MOST + INDEX_TAIL_SIZE];
	struct input input = {data, size};
	struct seen seen = {0};
	const struct dwal_options options = {.read_only = true,
					     .verify = DWAL_VERIFY_INDEX,
					     .observe = see,
					     .observe_ctx = &seen};
	bool is_told_right;
	char path[200];
	dwal_kv *kv;
	size_t len;

	if (!*dir)
		make_log();
	len = make_file(&input, file, &is_told_right);
	snprintf(path, sizeof(path), "%s/00000001.dwal-index", dir);
	CHECK_INT(unlink(path), 0);
	write_file(dir, "00000001.dwal-index", (struct dwal_bytes){file, len});
	CHECK_INT(dwal_kv_open(dir, &options, &kv, NULL), 0);
	if (is_told_right)
		CHECK_INT(seen.records, (long long)records_there);
	CHECK_INT(dwal_kv_report(kv)->indexes_used + dwal_kv_report(kv)->indexes_ignored, 1);
	CHECK_INT(dwal_kv_scrub(kv, NULL, NULL), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	return 0;
}
