/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Index files of sealed segments: an open that believes them shows the same log, and
 * whatever stands in their place changes nothing but how much it reads.
 */
#include "indexed.h"

#define HEADER_AND_CRC 28 /* of the last frame */

static uint64_t bytes_of_segments(void)
{
	uint64_t bytes = 0;
	char name[16];

	for (int i = 1; i <= INDEXED_SEALED + 2; i++) {
		struct stat st;

		snprintf(name, sizeof(name), "%08d.dwal", i);
		CHECK(stat(indexed_path(name), &st) == 0);
		bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

static void an_open_by_index_shows_the_same_log_and_reads_only_its_ends(void)
{
	const struct dwal_options writing = {.verify = DWAL_VERIFY_INDEX};
	struct counting_io counting = counting_new();
	struct indexed_view full, view;

	indexed_make();
	full = indexed_view_io(&counting.io, &indexed_fully);
	CHECK(full.used == 0 && full.ignored == 0);
	CHECK_INT(counting.bytes, (long long)bytes_of_segments()); /* each once */
	counting.bytes = 0;
	view = indexed_view_io(&counting.io, &indexed_by_index);
	CHECK_INT(view.used, INDEXED_SEALED);
	CHECK_INT(view.ignored, 0);
	CHECK_INT(view.crc, full.crc);
	/* of the highest all, and the large Raw record: to see whether it is there, and to tell */
	CHECK_INT(counting.bytes, INDEXED_SEALED * HEADER_AND_CRC + (28 + 4 + 6) +
					  2 * (28 + 9 + INDEX_PAYLOAD_MOST + 1));
	CHECK_INT(indexed_view(&writing).crc, full.crc);
	unit_dir_remove(&dir);
}

/* 64 MiB in values of 1 MiB are opened by what stands at the ends of segments. */
static void large_values_are_not_read_when_a_log_is_opened(void)
{
	const struct dwal_options small = {.segment_size = 8u << 20};
	struct counting_io counting = counting_new();
	struct indexed_view full, view;
	char key[16];
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_with(&small);
	for (int i = 0; i < 64; i++) {
		snprintf(key, sizeof(key), "%d", i);
		indexed_put(kv, key, 1u << 20, (char)i);
	}
	CHECK_INT(dwal_kv_rotate(kv), 0);
	(void)indexed_scrub(kv);
	CHECK_INT(dwal_kv_close(kv), 0);
	view = indexed_view_io(&counting.io, &indexed_by_index);
	CHECK_INT(view.ignored, 0);
	CHECK(view.used >= 8 && view.used <= 10);
	CHECK_INT(counting.bytes, (long long)view.used * HEADER_AND_CRC);
	full = indexed_view(&indexed_fully);
	CHECK_INT(view.crc, full.crc);
	unit_dir_remove(&dir);
}

/* One change of an index file; others: bytes of another one. */
static size_t mutate(unsigned char *bytes, size_t len, struct indexed_bytes other, uint64_t *seed)
{
	size_t at = (size_t)(unit_random(seed) >> 16) % len, n;

	switch ((unit_random(seed) >> 32) % 6) {
	case 0: /* one bit */
		bytes[at] ^= (unsigned char)(1 << (unit_random(seed) >> 40) % 8);
		return len;
	case 1: /* cut */
		return at;
	case 2: /* zeros */
		n = (size_t)(unit_random(seed) >> 40) % (len - at) + 1;
		memset(bytes + at, 0, n);
		return len;
	case 3: /* of another segment, up to there */
		memcpy(bytes, other.data, at < other.len ? at : other.len);
		return len;
	case 4: /* longer */
		memset(bytes + len, (int)(unit_random(seed) >> 40), 40);
		return len + 40;
	default: /* any bytes */
		for (n = 0; n < 8 && at + n < len; n++)
			bytes[at + n] = (unsigned char)(unit_random(seed) >> 40);
		return len;
	}
}

/* So many as told in INDEX_MUTATIONS; 100,000 take half a minute. */
static void whatever_stands_in_an_index_file_changes_nothing_but_time(void)
{
	static const char *const names[] = {"00000001.dwal-index", "00000002.dwal-index"};
	const char *told = getenv("INDEX_MUTATIONS");
	const unsigned long rounds = told ? strtoul(told, NULL, 10) : 300;
	struct indexed_bytes good[2];
	struct indexed_view full;
	uint64_t seed = 20260101, used = 0;

	indexed_make();
	full = indexed_view(&indexed_fully);
	for (int i = 0; i < 2; i++)
		good[i] = indexed_read(names[i]);
	for (unsigned long i = 0; i < rounds; i++) {
		const struct indexed_bytes *of = &good[i % 2];
		unsigned char *bytes = malloc(of->len + 64);
		struct indexed_view view;
		size_t len;

		CHECK(bytes);
		memcpy(bytes, of->data, of->len);
		len = mutate(bytes, of->len, good[!(i % 2)], &seed);
		indexed_write(names[i % 2], bytes, len);
		view = indexed_view(&indexed_by_index);
		CHECK_INT(view.crc, full.crc);
		CHECK_INT(view.used + view.ignored, INDEXED_SEALED);
		/* zeros where there were zeros change nothing */
		CHECK_INT(view.used, len == of->len && !memcmp(bytes, of->data, len) ? 3 : 2);
		used += view.used;
		indexed_write(names[i % 2], of->data, of->len);
		free(bytes);
	}
	CHECK(!rounds || used);
	free(good[0].data);
	free(good[1].data);
	unit_dir_remove(&dir);
}

/* By the same name, of another segment, of the segment as it was, of another log. */
static void an_index_file_of_another_file_is_ignored(void)
{
	struct indexed_bytes one, two;
	struct indexed_view full;
	struct stat st;
	struct utimbuf times = {0, 0};

	indexed_make();
	full = indexed_view(&indexed_fully);
	one = indexed_read("00000001.dwal-index");
	two = indexed_read("00000002.dwal-index");
	indexed_write("00000002.dwal-index", one.data, one.len);
	indexed_write("00000005.dwal-index", two.data, two.len); /* the highest */
	CHECK_INT(indexed_view(&indexed_by_index).used, 2);
	CHECK_INT(indexed_view(&indexed_by_index).crc, full.crc);
	CHECK(stat(indexed_path("00000001.dwal"), &st) == 0);
	CHECK(utime(indexed_path("00000001.dwal"), &times) == 0);
	CHECK_INT(indexed_view(&indexed_by_index).used, 1);
	CHECK_INT(indexed_view(&indexed_by_index).crc, full.crc);
	CHECK(unlink(indexed_path("00000003.dwal-index")) == 0);
	CHECK(symlink("00000001.dwal-index", indexed_path("00000003.dwal-index")) == 0);
	CHECK_INT(indexed_view(&indexed_by_index).used, 0);
	CHECK_INT(indexed_view(&indexed_by_index).crc, full.crc);
	free(one.data);
	free(two.data);
	unit_dir_remove(&dir);
}

/* The old file's is put back beside a rewritten one that has its size, its time and its
 * end: what went was as long as the horizon that stands there now. */
static void the_index_file_of_a_file_that_was_rewritten_is_ignored(void)
{
	const char *name = "00000001.dwal-index";
	struct dwal_rewrite_stats stats;
	struct indexed_view full, view;
	struct indexed_bytes index;
	struct stat before, after;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	indexed_put(kv, "k",
		    strlen("datawal.horizon") - 1 + strlen("datawal horizon 1\nlo=1\nhi=3\n"), 'v');
	put(kv, "l", "stays");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "k", "new");
	CHECK_INT(indexed_scrub(kv).written, 1);
	index = indexed_read(name);
	CHECK(stat(indexed_path("00000001.dwal"), &before) == 0);
	CHECK_INT(dwal_kv_compact(kv, NULL, &stats, &error), 0);
	CHECK_INT(stats.segments_rewritten, 1);
	CHECK(stat(indexed_path("00000001.dwal"), &after) == 0);
	CHECK(before.st_size == after.st_size && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
	CHECK(!indexed_is_there(name)); /* and it was gone before the file had the name */
	CHECK_INT(dwal_kv_close(kv), 0);
	full = indexed_view(&indexed_fully);
	indexed_write(name, index.data, index.len);
	view = indexed_view(&indexed_by_index);
	CHECK_INT(view.ignored, 1);
	CHECK_INT(view.crc, full.crc);
	free(index.data);
	unit_dir_remove(&dir);
}

static void entries_of_an_index_file_read_back_as_they_were_written(void)
{
	struct dwal_record record = {.type = DWAL_RAW,
				     .txid = UINT64_MAX,
				     .crc32c = 0xfedcba98,
				     .key = {NULL, DWAL_MAX_KEY},
				     .payload = {NULL, DWAL_MAX_PAYLOAD}};
	unsigned char entry[INDEX_ENTRY_SIZE];
	struct dwal_record back;

	index_put_entry(&record, entry);
	CHECK(index_parse_entry(entry, &back));
	CHECK(back.txid == UINT64_MAX && back.crc32c == record.crc32c && back.type == DWAL_RAW);
	CHECK_INT(back.length, dwal_frame_size(DWAL_MAX_KEY, DWAL_MAX_PAYLOAD));
	CHECK_INT(index_kept(&back).len, 0);
	for (unsigned flags = 1; flags < 256; flags++) {
		entry[1] = (unsigned char)flags; /* a large Raw record has none */
		CHECK(!index_parse_entry(entry, &back));
	}
	entry[1] = 0;
	entry[0] = DWAL_DELETE + 1;
	CHECK(!index_parse_entry(entry, &back));
	entry[0] = DWAL_RAW;
	entry[12] = 2; /* the key: 131072 bytes */
	CHECK(!index_parse_entry(entry, &back));
}

UNIT_MAIN(UNIT(an_open_by_index_shows_the_same_log_and_reads_only_its_ends),
	  UNIT(large_values_are_not_read_when_a_log_is_opened),
	  UNIT(whatever_stands_in_an_index_file_changes_nothing_but_time),
	  UNIT(an_index_file_of_another_file_is_ignored),
	  UNIT(the_index_file_of_a_file_that_was_rewritten_is_ignored),
	  UNIT(entries_of_an_index_file_read_back_as_they_were_written))
