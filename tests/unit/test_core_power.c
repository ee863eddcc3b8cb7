/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Power cuts, kills and failing calls at random moments, several in a row.
 * Beside the directory stands a model of what the disk holds for good: what
 * was synced. A power cut keeps that and, sector by sector and name by name,
 * any part of the rest. A failed sync leaves pages that look written and are
 * not, until they are dropped from the cache.
 */
#include "core.h"
#include "fault_io.h"

#include <dirent.h>
#include <signal.h>

enum { FILES = 64, RECORDS = 512, SECTOR = 512, ROUNDS = 4 };

struct disk_file {
	ino_t ino;
	struct core_bytes durable;
	bool stuck; /* a sync failed: the cache shows more than the disk has */
};

struct disk_name {
	char name[64];
	ino_t ino;
};

static struct disk {
	struct disk_file files[FILES];
	size_t file_count;
	struct disk_name names[FILES];
	size_t name_count;
} disk;

static struct unit_dir dir;
static struct fault_io fault;
static uint64_t seed;

static unsigned pick(unsigned n)
{
	return (unsigned)(unit_random(&seed) >> 33) % n;
}

static struct disk_file *file_of(ino_t ino)
{
	for (size_t i = 0; i < disk.file_count; i++)
		if (disk.files[i].ino == ino)
			return &disk.files[i];
	CHECK(disk.file_count < FILES);
	disk.files[disk.file_count] = (struct disk_file){.ino = ino};
	return &disk.files[disk.file_count++];
}

static struct core_bytes content_of(int fd)
{
	struct core_bytes b = {0};
	char path[64];
	struct stat st;
	int again;

	CHECK(fstat(fd, &st) == 0);
	b.len = (size_t)st.st_size;
	b.data = malloc(b.len + 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fd may be for writing only */
	again = open(path, O_RDONLY);
	CHECK(again >= 0 && pread(again, b.data, b.len, 0) == (ssize_t)b.len);
	close(again);
	return b;
}

static struct disk_file *file_of_fd(int fd)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	return file_of(st.st_ino);
}

/* Any mixture of two contents, sector by sector, with either size. */
static struct core_bytes mix(struct core_bytes a, struct core_bytes b, size_t len)
{
	struct core_bytes m = {calloc(1, len + 1), len};

	for (size_t at = 0; at < len; at += SECTOR) {
		struct core_bytes from = pick(2) ? a : b;

		for (size_t i = at; i < at + SECTOR && i < len && i < from.len; i++)
			m.data[i] = from.data[i];
	}
	return m;
}

static size_t list_names(struct disk_name *names)
{
	DIR *stream = opendir(dir.path);
	struct dirent *entry;
	size_t n = 0;

	CHECK(stream);
	while ((entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		CHECK(n < FILES);
		snprintf(names[n].name, sizeof(names[n].name), "%.63s", entry->d_name);
		names[n++].ino = entry->d_ino;
	}
	closedir(stream);
	return n;
}

static void on_synced(struct fault_io *f, int fd, const char *name)
{
	struct disk_file *file;

	if (strcmp(name, "dir") == 0)
		disk.name_count = list_names(disk.names);
	if (strcmp(name, "dir") == 0 || strcmp(name, "..") == 0)
		return;
	file = file_of_fd(fd);
	if (file->stuck)
		return; /* the pages are clean: the sync wrote nothing */
	free(file->durable.data);
	file->durable = content_of(fd);
}

static void on_sync_failed(struct fault_io *f, int fd, const char *name)
{
	struct core_bytes cached, half;
	struct disk_file *file;

	if (strcmp(name, "dir") == 0 || strcmp(name, "..") == 0)
		return;
	file = file_of_fd(fd);
	cached = content_of(fd);
	half = mix(file->durable, cached, cached.len);
	free(file->durable.data);
	free(cached.data);
	file->durable = half;
	file->stuck = true;
}

/* Where it does not work, nobody can know what the disk has: it is not among
 * the calls that fail here. */
static int drop_from_cache(const struct io *io, int fd, off_t offset, off_t n, int advice)
{
	struct disk_file *file = file_of_fd(fd);

	if (!file->stuck)
		return 0;
	CHECK(pwrite(fd, file->durable.data, file->durable.len, 0) == (ssize_t)file->durable.len);
	file->stuck = false;
	return 0;
}

static void on_created(struct fault_io *f, int fd, const char *name)
{
	struct disk_file *file = file_of_fd(fd);
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	if (st.st_size)
		return;
	free(file->durable.data); /* an inode number may come back */
	file->durable = (struct core_bytes){0};
	file->stuck = false;
}

static ino_t lookup(const struct disk_name *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].ino;
	return 0;
}

static struct core_bytes cached_content(const struct disk_name *names, size_t n, ino_t ino)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].ino == ino)
			return core_read(dir.path, names[i].name);
	return (struct core_bytes){calloc(1, 1), 0};
}

static struct core_bytes content_after_cut(const struct disk_name *names, size_t n, ino_t ino)
{
	struct disk_file *file = file_of(ino);
	struct core_bytes cached = cached_content(names, n, ino), kept;
	size_t len = pick(2) ? file->durable.len : cached.len;

	if (file->stuck)
		kept = mix(file->durable, file->durable, file->durable.len);
	else
		kept = mix(file->durable, cached, len);
	free(cached.data);
	return kept;
}

static void forget_disk(void)
{
	for (size_t i = 0; i < disk.file_count; i++)
		free(disk.files[i].durable.data);
	memset(&disk, 0, sizeof(disk));
}

static void cut_power(void)
{
	struct disk_name now[FILES], all[2 * FILES];
	struct core_bytes kept[2 * FILES];
	size_t n = list_names(now), count = 0;

	for (size_t i = 0; i < n + disk.name_count; i++) {
		const char *name = i < n ? now[i].name : disk.names[i - n].name;
		ino_t cached = lookup(now, n, name);
		ino_t durable = lookup(disk.names, disk.name_count, name);
		ino_t ino = pick(2) ? cached : durable;

		if (lookup(all, count, name) || !ino || (i >= n && cached))
			continue;
		all[count] = (struct disk_name){.ino = ino};
		CHECK(strlen(name) < sizeof(all[count].name));
		strcpy(all[count].name, name);
		kept[count++] = content_after_cut(now, n, ino);
	}
	for (size_t i = 0; i < n; i++)
		CHECK(unlink(core_path(dir.path, now[i].name)) == 0);
	forget_disk();
	for (size_t i = 0; i < count; i++) {
		int fd;

		core_write(dir.path, all[i].name, kept[i].data, kept[i].len);
		fd = open(core_path(dir.path, all[i].name), O_RDONLY);
		file_of_fd(fd)->durable = kept[i];
		close(fd);
	}
	disk.name_count = list_names(disk.names);
}

/* What must, and what may, be in the log: numbers in order. */
static struct expected {
	uint64_t numbers[RECORDS];
	bool joined[RECORDS]; /* of the same operation as the record before */
	size_t known;         /* reported as written, or found by an open */
	size_t possible;      /* and these, of a batch whose fate is open */
	size_t acked;         /* these must survive */
} expected;

static uint64_t next_number;

static void check_recovered(dwal_log *log)
{
	uint64_t numbers[RECORDS];
	size_t n = core_numbers(log, numbers, RECORDS);

	CHECK(n >= expected.acked);
	CHECK(n <= expected.possible);
	CHECK(memcmp(numbers, expected.numbers, n * sizeof(*numbers)) == 0);
	CHECK(n == expected.possible || !expected.joined[n]); /* whole operations only */
	/* An open has synced what it found. */
	expected.known = expected.possible = expected.acked = n;
}

static int append_some(dwal_log *log)
{
	static const struct dwal_line line = {"time", "1764000000.123456789"};
	static unsigned char payloads[3][1500];
	struct dwal_op ops[3];
	size_t n = 1 + pick(3);
	bool is_operation = pick(3);
	int rc;

	for (size_t i = 0; i < n; i++) {
		size_t size = 8 + pick(pick(4) ? 100 : 1400);

		core_payload(next_number, size, payloads[i]);
		expected.joined[expected.known + i] = is_operation && i;
		expected.numbers[expected.known + i] = next_number++;
		ops[i] = (struct dwal_op){.type = DWAL_RAW, .payload = {payloads[i], size}};
	}
	rc = is_operation ? dwal_log_batch(log, ops, n, &line, pick(2), NULL)
			  : dwal_log_append(log, ops, n, NULL);
	if (rc == 0)
		expected.possible = expected.known += n;
	else if (dwal_log_is_poisoned(log) || fault.dead)
		expected.possible = expected.known + n;
	return rc;
}

static void work(dwal_log *log)
{
	for (unsigned i = 0; i < 20 && !dwal_log_refusal(log); i++) {
		size_t known = expected.known;
		int rc;

		switch (pick(6)) {
		case 0:
			rc = dwal_log_sync(log);
			break;
		case 1:
			rc = dwal_log_rotate(log);
			break;
		default:
			rc = append_some(log);
			known = expected.acked;
		}
		if (!rc)
			expected.acked = known;
		else if (fault.dead)
			return; /* this process is gone */
	}
}

static void one_life(bool with_faults)
{
	struct dwal_options options = {.segment_size = pick(2) ? 2000 : 0};
	dwal_log *log;
	int rc;

	fault_init(&fault);
	fault.no_sync = true;
	fault.synced = on_synced;
	fault.sync_failed = on_sync_failed;
	fault.io.fadvise = drop_from_cache;
	fault.created = on_created;
	if (with_faults) {
		fault.fail_at = 1 + pick(90);
		fault.dead = pick(2);
		fault.fail_with = pick(2) ? -EIO : -ENOSPC;
		fault.short_write = pick(3) ? 0 : 100;
	}
	rc = log_open(&fault.io, dir.path, &options, &log, NULL);
	CHECK(rc == 0 || (with_faults && rc == fault.fail_with));
	if (rc)
		return;
	check_recovered(log);
	if (with_faults)
		work(log);
	(void)dwal_log_close(log);
}

static void one_history(uint64_t number)
{
	seed = number;
	for (int i = 0; i < 8; i++)
		(void)unit_random(&seed);
	dir = unit_dir_make();
	memset(&expected, 0, sizeof(expected));
	next_number = 1;
	for (int round = 0; round < ROUNDS; round++) {
		one_life(true);
		if (pick(4))
			cut_power();
	}
	one_life(false);
	forget_disk();
	unit_dir_remove(&dir);
}

static uint64_t history;

static void name_the_seed(int signal_number)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "repeat with DATAWAL_SEED=%llu\n",
			 (unsigned long long)history);

	(void)!write(2, line, (size_t)n);
}

static void synced_records_survive_and_none_is_invented(void)
{
	const char *only = getenv("DATAWAL_SEED");

	signal(SIGABRT, name_the_seed);
	if (only) {
		one_history(strtoull(only, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= 1500; i++) {
		history = i;
		one_history(i);
	}
}

UNIT_MAIN(UNIT(synced_records_survive_and_none_is_invented))
