/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bench_beside store|mount DIR N SIZE [compact]: how long each of N puts of SIZE
 * bytes takes, over 1,000 keys of DIR, a store or a mounted one; with "compact"
 * while the store is compacted, again and again. Prints the 50th, 99th and 99.9th
 * of 100 parts and the longest, in microseconds, and the number of
 * compactions that ended.
 *
 * bench_beside fill DIR BYTES KEYS: makes a store to compact: values of 64 KiB,
 * over and over the same keys.
 */
#include <datawal.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mountctl.h"

#define KEYS      1000
#define FILL_SIZE 65536

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_beside: %s: %s\n", what, why);
	exit(1);
}

static void check(int err, const char *what)
{
	if (err < 0)
		fail(what, dwal_strerror(err));
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What is put into, and compacted. */
struct target {
	dwal_kv *kv; /* or a mount: */
	int dir;
	const char *value;
	size_t size;
	atomic_bool done;
	unsigned compactions;
};

static void open_store(struct target *target, const char *dir)
{
	const struct dwal_options options = {.segment_size = (uint64_t)64 << 20};
	struct dwal_error error;

	if (dwal_kv_open(dir, &options, &target->kv, &error))
		fail(dir, error.message);
}

static void put(const struct target *target, size_t i)
{
	char name[24];
	int len = snprintf(name, sizeof(name), "key-%06zu", i % KEYS), fd;

	if (target->kv) {
		check(dwal_kv_put(target->kv, name, (size_t)len, target->value, target->size),
		      "put");
		return;
	}
	fd = openat(target->dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (fd < 0 || write(fd, target->value, target->size) != (ssize_t)target->size || close(fd))
		fail(name, strerror(errno));
}

/* ---- beside it ---- */

static int progress(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	const struct target *target = ctx;

	(void)so_far;
	return atomic_load(&target->done) ? -ECANCELED : 0;
}

static int compact_store(struct target *target)
{
	const struct dwal_rewrite_options options = {.progress = progress, .progress_ctx = target};
	struct dwal_error error;
	int err = dwal_kv_compact(target->kv, &options, NULL, &error);

	if (err && err != -ECANCELED)
		fail("compaction", error.message);
	return err;
}

static int compact_mount(const struct target *target)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const struct mountctl_compact order = {0};
	struct mountctl_compact_state state;

	if (ioctl(target->dir, MOUNTCTL_COMPACT, &order))
		fail("compaction", strerror(errno));
	do {
		(void)nanosleep(&pause, NULL);
		if (ioctl(target->dir, MOUNTCTL_COMPACT_STATE, &state))
			fail("compaction", strerror(errno));
		if (atomic_load(&target->done))
			(void)ioctl(target->dir, MOUNTCTL_COMPACT_STOP);
	} while (state.running);
	if (state.result && state.result != -ECANCELED)
		fail("compaction", state.message);
	return state.result;
}

static void *compact_until_done(void *arg)
{
	struct target *target = arg;

	while (!atomic_load(&target->done))
		if (!(target->kv ? compact_store(target) : compact_mount(target)))
			target->compactions++;
	return NULL;
}

/* ---- the figures ---- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(int64_t *ns, size_t n, unsigned compactions)
{
	qsort(ns, n, sizeof(*ns), compare);
	printf("%.1f %.1f %.1f %.1f %u\n", (double)ns[n / 2] / 1e3,
	       (double)ns[n - 1 - n / 100] / 1e3, (double)ns[n - 1 - n / 1000] / 1e3,
	       (double)ns[n - 1] / 1e3, compactions);
}

static void measure(struct target *target, size_t n, bool beside)
{
	int64_t *ns = calloc(n, sizeof(*ns)), start;
	pthread_t thread;

	if (!ns || (beside && pthread_create(&thread, NULL, compact_until_done, target)))
		fail("memory", "none");
	for (size_t i = 0; i < n; i++) {
		start = now_ns();
		put(target, i);
		ns[i] = now_ns() - start;
	}
	atomic_store(&target->done, true);
	if (beside)
		(void)pthread_join(thread, NULL);
	print(ns, n, target->compactions);
	free(ns);
}

static void fill(const char *dir, uint64_t bytes, uint32_t keys)
{
	struct target target = {.dir = -1};
	char *value = calloc(1, FILL_SIZE);

	open_store(&target, dir);
	for (uint64_t done = 0, i = 0; value && done < bytes; done += FILL_SIZE, i++) {
		uint32_t key = (uint32_t)(i % keys);

		check(dwal_kv_put(target.kv, &key, sizeof(key), value, FILL_SIZE), "put");
	}
	check(dwal_kv_sync(target.kv), "sync");
	check(dwal_kv_close(target.kv), "close");
	free(value);
}

int main(int argc, char **argv)
{
	struct target target = {.dir = -1};
	bool beside = argc == 6 && strcmp(argv[5], "compact") == 0;

	if (argc == 5 && strcmp(argv[1], "fill") == 0) {
		fill(argv[2], strtoull(argv[3], NULL, 10), (uint32_t)strtoul(argv[4], NULL, 10));
		return 0;
	}
	if (argc < 5 || argc != 5 + beside)
		fail("usage", "bench_beside store|mount DIR N SIZE [compact]");
	target.size = strtoul(argv[4], NULL, 10);
	target.value = calloc(1, target.size + 1);
	if (strcmp(argv[1], "store") == 0)
		open_store(&target, argv[2]);
	else if ((target.dir = open(argv[2], O_RDONLY | O_DIRECTORY)) < 0)
		fail(argv[2], strerror(errno));
	measure(&target, strtoul(argv[3], NULL, 10), beside);
	check(dwal_kv_close(target.kv), "close");
	return 0;
}
