/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Who writes index files and when, what a scrub finds, and that a compaction believes
 * none of them.
 */
#include "indexed.h"
#include "fault_io.h"
#include "log.h"

#include <stdatomic.h>

static void index_files_are_written_for_sealed_segments_and_for_no_other(void)
{
	struct dwal_scrub_stats stats;
	struct stat segment, index;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "1");
	CHECK_INT(indexed_scrub(kv).segments, 0);
	CHECK_INT(chmod(indexed_path("00000001.dwal"), 0640), 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK(!indexed_is_there("00000001.dwal-index")); /* by nobody but a scrub */
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "b", "2");
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_reading();
	stats = indexed_scrub(kv);
	CHECK(stats.segments == 1 && !stats.written && !stats.failed && !stats.ignored);
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	CHECK_INT(indexed_scrub(kv).written, 1);
	CHECK(stat(indexed_path("00000001.dwal"), &segment) == 0);
	CHECK(stat(indexed_path("00000001.dwal-index"), &index) == 0);
	CHECK_INT(index.st_mode, segment.st_mode);
	CHECK(!indexed_is_there("00000002.dwal-index")); /* it is empty */
	CHECK(!indexed_is_there("00000003.dwal-index")); /* the highest */
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static int count_bytes(void *ctx, uint64_t bytes)
{
	*(uint64_t *)ctx += bytes;
	return 0;
}

static void make_old(const char *name)
{
	struct utimbuf times = {time(NULL) - 1000, time(NULL) - 1000};

	CHECK(utime(indexed_path(name), &times) == 0);
}

static void a_segment_is_not_compared_again_before_its_time(void)
{
	uint64_t bytes = 0;
	const struct dwal_scrub_options options = {
		.fresh_seconds = 900, .progress = count_bytes, .ctx = &bytes};
	static struct fault_io fault;
	struct dwal_scrub_stats stats;
	dwal_kv *kv;

	indexed_make();
	fault_init(&fault);
	kv = open_io(&fault.io, NULL);
	CHECK_INT(dwal_kv_scrub(kv, &options, &stats), 0);
	CHECK(stats.fresh == INDEXED_SEALED && stats.compared == 0 && bytes == 0);
	make_old("00000001.dwal-index");
	CHECK_INT(dwal_kv_scrub(kv, &options, &stats), 0);
	CHECK(stats.fresh == INDEXED_SEALED - 1 && stats.compared == 1);
	CHECK(bytes > 300000 && bytes < 302000);
	CHECK(strstr(fault.trace, "fadvise 00000001.dwal\n")); /* what was read is not kept */
	CHECK_INT(dwal_kv_scrub(kv, &options, &stats), 0);
	CHECK_INT(stats.fresh, INDEXED_SEALED);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* Each call fails in turn: the scrub goes on, half a file bears no name. */
static void an_index_file_that_cannot_be_written_is_no_error(void)
{
	static struct fault_io fault;
	struct dwal_scrub_stats stats = {0};
	struct indexed_view full, view;
	unsigned before, n;
	bool all = false;

	indexed_make();
	full = indexed_view(&indexed_fully);
	for (n = 1; !all; n++) {
		dwal_kv *kv;

		CHECK(n < 200);
		for (int i = 1; i <= INDEXED_SEALED; i++) {
			char name[32];

			snprintf(name, sizeof(name), "%08d.dwal-index", i);
			(void)unlink(indexed_path(name));
		}
		fault_init(&fault);
		fault.no_sync = true;
		kv = open_io(&fault.io, NULL);
		before = fault.calls;
		fault.fail_at = before + n;
		fault.fail_with = -ENOSPC;
		CHECK_INT(dwal_kv_scrub(kv, NULL, &stats), 0);
		all = fault.calls < fault.fail_at;
		fault.fail_at = 0;
		put(kv, "last", "and it goes on");
		check_value(kv, "last", "and it goes on");
		CHECK_INT(dwal_kv_close(kv), 0);
		view = indexed_view(&indexed_by_index);
		CHECK(view.used == stats.written && view.ignored == 0);
		CHECK_INT(view.records, full.records + n);
	}
	CHECK_INT(stats.written, INDEXED_SEALED);
	CHECK(n > 20);
	unit_dir_remove(&dir);
}

struct told {
	unsigned damaged, ignored;
	struct dwal_error last;
	const char *why;
};

static void tell_damaged(void *ctx, const struct dwal_error *damage)
{
	struct told *told = ctx;

	told->damaged++;
	told->last = *damage;
}

static void tell_ignored(void *ctx, const struct dwal_index_ignored *index)
{
	struct told *told = ctx;

	told->ignored++;
	told->why = index->why;
}

static struct dwal_scrub_stats scrub_and_tell(dwal_kv *kv, struct told *told)
{
	const struct dwal_scrub_options options = {
		.damaged = tell_damaged, .ignored = tell_ignored, .ctx = told};
	struct dwal_scrub_stats stats;

	*told = (struct told){0};
	CHECK_INT(dwal_kv_scrub(kv, &options, &stats), 0);
	return stats;
}

/* As a disk does it: no time of the file changes. */
static void rot(uint64_t offset)
{
	const char *path = indexed_path("00000001.dwal");
	struct stat st;

	CHECK(stat(path, &st) == 0);
	flip(offset);
	CHECK_INT(utimensat(AT_FDCWD, path, (struct timespec[]){st.st_atim, st.st_mtim}, 0), 0);
}

/* What is damaged is an error when it is read, and nothing else is. */
static void damage_behind_an_index_file_is_found_and_left_alone(void)
{
	const struct dwal_options options = {.verify = DWAL_VERIFY_INDEX};
	struct dwal_rewrite_stats rewritten;
	struct dwal_place place;
	struct told told;
	void *value;
	size_t len;
	dwal_kv *kv;

	indexed_make();
	kv = open_store();
	place = place_of(kv, "empty");
	CHECK_INT(dwal_kv_close(kv), 0);
	rot(place.offset + place.length - 1);
	kv = open_with(&options);
	CHECK_INT(dwal_kv_report(kv)->indexes_used, INDEXED_SEALED);
	CHECK_INT(dwal_kv_get(kv, "empty", 5, &value, &len, &error), DWAL_ECORRUPT);
	check_value(kv, "", "the empty key");
	check_value(kv, "last", "of all");
	CHECK_INT(scrub_and_tell(kv, &told).damaged, 1);
	CHECK(told.damaged == 1 && told.ignored == 0);
	CHECK(told.last.segment == 1 && told.last.offset == place.offset);
	CHECK_INT(told.last.code, DWAL_ECORRUPT);
	CHECK(indexed_is_there("00000001.dwal-index"));
	CHECK_INT(dwal_kv_compact(kv, NULL, &rewritten, &error), 0);
	CHECK_INT(rewritten.segments_damaged, 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK_INT(dwal_kv_open(dir.path, NULL, &kv, &error), DWAL_ECORRUPT);
	kv = open_with(&options);
	check_value(kv, "", "the empty key");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* An index file, right in all its parts, that names another key than the segment. */
static void forge(dwal_kv *kv, uint32_t id, const char *key)
{
	struct segment *segment = kv_segment(kv, id);
	struct index_writer writer;
	unsigned char frame[256];
	struct dwal_record record;
	size_t got;

	CHECK_INT(segment_enter(segment), 0);
	CHECK_INT(segment_pread(segment, frame, sizeof(frame), 0, &got), 0);
	CHECK_INT(dwal_frame_decode(frame, got, &record), DWAL_FRAME_OK);
	CHECK_INT(record.length, got);
	record.key.data = key;
	CHECK_INT(index_create(&writer, kv_dirfd(kv), segment), 0);
	CHECK_INT(index_add(&writer, &record), 0);
	CHECK_INT(index_finish(&writer), 0);
	CHECK_INT(log_publish_index(kv->log, segment, &writer), 0);
	index_writer_release(&writer);
	segment_leave(segment);
	(void)segment_unref(segment);
}

static void nothing_goes_because_of_what_an_index_file_says(void)
{
	const struct dwal_options options = {.verify = DWAL_VERIFY_INDEX};
	struct dwal_rewrite_stats stats;
	struct told told;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "k", "the only value");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "x", "of another key");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "y", "1");
	CHECK_INT(indexed_scrub(kv).written, 2);
	forge(kv, 2, "k");
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_with(&options);
	CHECK(!dwal_kv_contains(kv, "x", 1)); /* it is believed, so far */
	CHECK_INT(dwal_kv_compact(kv, NULL, &stats, &error), 0);
	CHECK_INT(stats.records_dropped, 0);
	CHECK_INT(stats.segments_damaged, 1);
	CHECK_INT(scrub_and_tell(kv, &told).written, 1);
	CHECK(told.ignored == 1 && told.damaged == 1 && told.last.segment == 2);
	CHECK_INT(told.last.reason, DWAL_FRAME_OK);
	CHECK_INT(scrub_and_tell(kv, &told).ignored, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_with(&options);
	check_value(kv, "k", "the only value");
	check_value(kv, "x", "of another key");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* The segment is rewritten between the reading and the naming. */
static void an_index_file_never_gets_the_name_beside_another_file(void)
{
	struct segment *segment;
	struct index_writer writer;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "k", "old");
	put(kv, "l", "stays");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "k", "new");
	segment = kv_segment(kv, 1);
	CHECK_INT(segment_enter(segment), 0);
	CHECK_INT(index_create(&writer, kv_dirfd(kv), segment), 0);
	CHECK_INT(index_finish(&writer), 0);
	CHECK_INT(dwal_kv_compact(kv, NULL, NULL, &error), 0);
	CHECK_INT(log_publish_index(kv->log, segment, &writer), -ESTALE);
	index_writer_release(&writer);
	segment_leave(segment);
	(void)segment_unref(segment);
	CHECK(!indexed_is_there("00000001.dwal-index"));
	CHECK(!indexed_is_there("index.00000001.dwal-tmp"));
	CHECK_INT(indexed_scrub(kv).written, 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* In that order: the index file goes for good, then another file takes the name. */
static void an_index_file_is_gone_for_good_before_its_segment_is_rewritten(void)
{
	static struct fault_io fault;
	const char *gone, *synced, *named;
	dwal_kv *kv;

	dir = unit_dir_make();
	fault_init(&fault);
	kv = open_io(&fault.io, NULL);
	put(kv, "k", "old");
	put(kv, "l", "stays");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "k", "new");
	CHECK_INT(indexed_scrub(kv).written, 1);
	fault.trace[0] = '\0';
	CHECK_INT(dwal_kv_compact(kv, NULL, NULL, &error), 0);
	gone = strstr(fault.trace, "unlink 00000001.dwal-index\n");
	CHECK(gone);
	synced = strstr(gone, "fsync dir\n");
	named = strstr(gone, "rename ");
	if (!synced || !named || synced > named)
		fprintf(stderr, "%s", fault.trace);
	CHECK(synced && named && synced < named);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

struct beside {
	dwal_kv *kv;
	atomic_bool done;
	uint64_t written, damaged, ignored;
};

static void *scrub_beside(void *arg)
{
	struct beside *beside = arg;

	while (!atomic_load(&beside->done)) {
		struct dwal_scrub_stats stats = indexed_scrub(beside->kv);

		beside->written += stats.written;
		beside->damaged += stats.damaged;
		beside->ignored += stats.ignored;
	}
	return NULL;
}

static void scrubs_beside_writing_and_compaction_change_nothing(void)
{
	struct indexed_view full, view;
	struct beside beside = {0};
	pthread_t thread;
	char key[16];

	dir = unit_dir_make();
	beside.kv = open_store();
	CHECK(pthread_create(&thread, NULL, scrub_beside, &beside) == 0);
	for (int i = 0; i < 40; i++) {
		for (int k = 0; k < 5; k++) {
			snprintf(key, sizeof(key), "%d", (i * k) % 7);
			indexed_put(beside.kv, key, 100 + (size_t)i, 'v');
		}
		CHECK_INT(dwal_kv_rotate(beside.kv), 0);
		if (i % 4 == 3)
			CHECK_INT(dwal_kv_compact(beside.kv, NULL, NULL, &error), 0);
	}
	atomic_store(&beside.done, true);
	pthread_join(thread, NULL);
	(void)indexed_scrub(beside.kv);
	CHECK_INT(dwal_kv_close(beside.kv), 0);
	CHECK(beside.written && !beside.damaged && !beside.ignored);
	full = indexed_view(&indexed_fully);
	view = indexed_view(&indexed_by_index);
	CHECK(view.used && !view.ignored);
	CHECK_INT(view.crc, full.crc);
	unit_dir_remove(&dir);
}

static int stop(void *ctx, uint64_t bytes)
{
	return -ECANCELED;
}

static void a_scrub_that_is_stopped_leaves_no_file(void)
{
	const struct dwal_scrub_options options = {.progress = stop};
	dwal_kv *kv;

	indexed_make();
	CHECK(unlink(indexed_path("00000001.dwal-index")) == 0);
	kv = open_store();
	CHECK_INT(dwal_kv_scrub(kv, &options, NULL), -ECANCELED);
	CHECK(!indexed_is_there("00000001.dwal-index"));
	CHECK(!indexed_is_there("index.00000001.dwal-tmp"));
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* Neither its memory nor what it reads at a time grows with a value. */
static void a_scrub_reads_a_large_value_in_pieces(void)
{
	static char value[3 << 20];
	struct counting_io counting = counting_new();
	struct dwal_scrub_stats stats;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_io(&counting.io, NULL);
	CHECK_INT(dwal_kv_put(kv, "f", 1, value, sizeof(value)), 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	for (unsigned i = 0; i < 2; i++) {
		counting.bytes = 0;
		stats = indexed_scrub(kv);
		CHECK(stats.damaged == 0 && stats.written == !i && stats.compared == i);
		CHECK(counting.bytes >= sizeof(value) && counting.most <= 256 << 10);
	}
	flip(1 << 20);
	CHECK_INT(indexed_scrub(kv).damaged, 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(a_scrub_reads_a_large_value_in_pieces),
	  UNIT(index_files_are_written_for_sealed_segments_and_for_no_other),
	  UNIT(a_segment_is_not_compared_again_before_its_time),
	  UNIT(an_index_file_that_cannot_be_written_is_no_error),
	  UNIT(damage_behind_an_index_file_is_found_and_left_alone),
	  UNIT(nothing_goes_because_of_what_an_index_file_says),
	  UNIT(an_index_file_never_gets_the_name_beside_another_file),
	  UNIT(an_index_file_is_gone_for_good_before_its_segment_is_rewritten),
	  UNIT(scrubs_beside_writing_and_compaction_change_nothing),
	  UNIT(a_scrub_that_is_stopped_leaves_no_file))
