/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What it costs to look ahead over an operation before any of it is given out:
 * bytes read, memory, and the work that hostile headers can make.
 */
#include "kv.h"
#include "operations.h"

#include <sys/resource.h>
#include <time.h>

static const char segment[] = "00000001.dwal";
static struct unit_dir dir;
static struct io counting;
static uint64_t bytes_read, calls;

static ssize_t counted_pread(const struct io *io, int fd, void *buffer, size_t n, off_t offset)
{
	ssize_t got = io_system.pread(&io_system, fd, buffer, n, offset);

	bytes_read += got > 0 ? (uint64_t)got : 0;
	calls++;
	return got;
}

static void begin(void)
{
	dir = unit_dir_make();
	counting = io_system;
	counting.pread = counted_pread;
}

static uint64_t size_of_segment(void)
{
	struct stat st;

	CHECK(stat(core_path(dir.path, segment), &st) == 0);
	return (uint64_t)st.st_size;
}

/* What a read-only open, which replays all, reads of the file. */
static void replay(uint64_t records)
{
	const struct dwal_options options = {.read_only = true};
	dwal_kv *kv;

	bytes_read = calls = 0;
	CHECK_INT(kv_open(&counting, dir.path, &options, &kv, NULL), 0);
	CHECK_INT(dwal_kv_report(kv)->records_replayed, records);
	CHECK_INT(dwal_kv_report(kv)->damage_count, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
}

static void small_operations_are_read_once(void)
{
	enum { COUNT = 2000, PAYLOAD = 1000 };
	static const char payload[PAYLOAD];
	const struct dwal_op ops[] = {{DWAL_PUT, {"a", 1}, {payload, PAYLOAD}},
				      {DWAL_RAW, {"a", 1}, {payload, 60}},
				      {DWAL_DELETE, {"b", 1}, {NULL, 0}}};
	dwal_log *log;

	begin();
	log = core_open(dir.path, NULL);
	for (int i = 0; i < COUNT; i++)
		CHECK_INT(dwal_log_batch(log, ops, 3, NULL, 0, NULL), 0);
	CHECK_INT(dwal_log_close(log), 0);
	replay(COUNT * 4);
	printf("  %llu of %llu bytes in %llu calls\n", (unsigned long long)bytes_read,
	       (unsigned long long)size_of_segment(), (unsigned long long)calls);
	CHECK(bytes_read < size_of_segment() + size_of_segment() / 50);
	unit_dir_remove(&dir);
}

static uint64_t peak_kb(void)
{
	struct rusage usage;

	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	return (uint64_t)usage.ru_maxrss;
}

/* 60 MiB in records of 100 kB, and in records of 30 bytes beside one large one. */
static void a_large_operation_needs_memory_for_its_largest_record_only(void)
{
	enum { PAYLOAD = 100000, COUNT = 600, SMALL = 20000 };
	char *payload = calloc(1, PAYLOAD);
	struct dwal_op *ops = calloc(COUNT + SMALL, sizeof(*ops));
	uint64_t before, size;
	dwal_log *log;

	begin();
	for (int i = 0; i < COUNT + SMALL; i++)
		ops[i] = (struct dwal_op){
			DWAL_PUT, {"ab", 2}, {payload, i % 34 || i / 34 >= COUNT ? 0 : PAYLOAD}};
	log = core_open(dir.path, NULL);
	CHECK_INT(dwal_log_batch(log, ops, COUNT + SMALL, NULL, 0, NULL), 0);
	CHECK_INT(dwal_log_close(log), 0);
	free(ops);
	free(payload);
	size = size_of_segment();
	CHECK(size > 55 << 20);
	before = peak_kb();
	replay(COUNT + SMALL + 1);
	printf("  %llu of %llu bytes in %llu calls, peak %llu KiB more\n",
	       (unsigned long long)bytes_read, (unsigned long long)size, (unsigned long long)calls,
	       (unsigned long long)(peak_kb() - before));
	CHECK(peak_kb() - before < 20000); /* a sanitizer's quarantine is in it */
	CHECK(bytes_read < 3 * size);      /* twice, and what does not fit at the end of a window */
	unit_dir_remove(&dir);
}

/* Headers one behind the other that each announce rightly all that follows, but
 * for the last frame: each of them is void, and to know that costs a look at
 * all the others. */
static void headers_that_lie_do_not_make_reading_quadratic(void)
{
	enum { HEADERS = 400, LARGE = 8 << 20 };
	char *payload = calloc(1, LARGE);
	struct core_bytes parts[HEADERS + 2] = {{0}}, all = {0};
	uint32_t crcs[HEADERS + 2];
	struct timespec from, to;

	begin();
	(void)add_frame(&parts[HEADERS + 1], DWAL_PUT, 1, "last", "x", 1);
	crcs[HEADERS + 1] = 0; /* not that one's */
	crcs[HEADERS] = add_frame(&parts[HEADERS], DWAL_PUT, 1, "large", payload, LARGE);
	for (int i = HEADERS - 1; i >= 0; i--) {
		char text[64 + 8 * (HEADERS + 2)], *at = text;

		at += sprintf(at, "datawal batch 1\ntxid=1\nn=%d\nbytes=9\ncrc=", HEADERS + 1 - i);
		for (int k = i + 1; k < HEADERS + 2; k++)
			at += sprintf(at, "%08x", crcs[k]);
		at += sprintf(at, "\n");
		crcs[i] =
			add_frame(&parts[i], DWAL_RAW, 1, OPERATION_KEY, text, (size_t)(at - text));
	}
	for (int i = 0; i < HEADERS + 2; i++) {
		add_bytes(&all, parts[i].data, parts[i].len);
		free(parts[i].data);
	}
	core_write(dir.path, segment, all.data, all.len);
	clock_gettime(CLOCK_MONOTONIC, &from);
	replay(HEADERS + 2);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("  %llu of %llu bytes in %llu calls\n", (unsigned long long)bytes_read,
	       (unsigned long long)all.len, (unsigned long long)calls);
	CHECK(bytes_read < 4 * all.len); /* 3 GiB, were each of them to read the large one */
	CHECK(to.tv_sec - from.tv_sec < 20);
	free(all.data);
	free(payload);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(a_large_operation_needs_memory_for_its_largest_record_only),
	  UNIT(small_operations_are_read_once),
	  UNIT(headers_that_lie_do_not_make_reading_quadratic))
