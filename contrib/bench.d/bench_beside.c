/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bench_beside store|mount DIR N SIZE [compact]: how long each of N puts of SIZE
 * bytes takes, over 1,000 keys of DIR, a store or a mounted one; with "compact"
 * while the store is compacted, again and again. Prints the 50th, 99th and 99.9th
 * of 100 parts and the longest, in microseconds, and the number of
 * compactions that ended.
 *
 * bench_beside rename DIR N SIZE CLIENTS: the same of others' creates of files of 4 KiB,
 * by that many threads, while a directory with N files of SIZE bytes is renamed, and, in
 * place of compactions, the microseconds that the rename took. Counted is what was under
 * way at any time between its begin and its end.
 *
 * bench_beside fill DIR BYTES KEYS: makes a store to compact: values of 64 KiB,
 * over and over the same keys.
 *
 * bench_beside names DIR N: makes a store of N empty values with keys of 14 bytes, in
 * 1,000 directories.
 */
#include <datawal.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "mountctl.h"

#define KEYS      1000
#define FILL_SIZE 65536

static void check(int err, const char *what)
{
	if (err < 0)
		fail(what, dwal_strerror(err));
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
	const struct timespec pause = {.tv_nsec = 20000000};
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
	print_percentiles(ns, n);
	printf(" %u\n", target->compactions);
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

static void make_names(const char *dir, uint64_t n)
{
	struct target target = {.dir = -1};
	char key[32];

	open_store(&target, dir);
	for (uint64_t i = 0; i < n; i++) {
		int len = snprintf(key, sizeof(key), "d%03u/f%08u", (unsigned)(i % 1000),
				   (unsigned)(i / 1000));

		check(dwal_kv_put(target.kv, key, (size_t)len, NULL, 0), "put");
	}
	check(dwal_kv_sync(target.kv), "sync");
	check(dwal_kv_close(target.kv), "close");
}

/* ---- creates beside the rename of a directory ---- */

#define CREATES_MOST 1000000
#define SMALL        4096

struct creator {
	int dir;
	unsigned number;
	atomic_bool *done;
	int64_t *from, *to; /* of each create */
	size_t n;
	pthread_t thread;
};

static void make_dir(int dir, const char *name)
{
	if (mkdirat(dir, name, 0777) != 0)
		fail(name, strerror(errno));
}

static void make_file(int dir, const char *name, const char *content, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0666);

	if (fd < 0 || write(fd, content, size) != (ssize_t)size || close(fd))
		fail(name, strerror(errno));
}

static void *create_until_done(void *arg)
{
	struct creator *creator = arg;
	char *content = bytes_of(SMALL), name[64];

	while (!atomic_load(creator->done) && creator->n < CREATES_MOST) {
		snprintf(name, sizeof(name), "others/%u-%zu", creator->number, creator->n);
		creator->from[creator->n] = now_ns();
		make_file(creator->dir, name, content, SMALL);
		creator->to[creator->n++] = now_ns();
	}
	free(content);
	return NULL;
}

static void start_creators(struct creator *creators, unsigned n, int dir, atomic_bool *done)
{
	for (unsigned i = 0; i < n; i++) {
		creators[i] = (struct creator){.dir = dir, .number = i, .done = done};
		creators[i].from = calloc(CREATES_MOST, sizeof(int64_t));
		creators[i].to = calloc(CREATES_MOST, sizeof(int64_t));
		if (!creators[i].from || !creators[i].to ||
		    pthread_create(&creators[i].thread, NULL, create_until_done, &creators[i]))
			fail("threads", "too many");
	}
}

/* The times of those that were under way between begin and end; returns how many. */
static size_t times_between(const struct creator *creators, unsigned n, int64_t begin, int64_t end,
			    int64_t *ns)
{
	size_t found = 0;

	for (unsigned i = 0; i < n; i++)
		for (size_t k = 0; k < creators[i].n; k++)
			if (creators[i].to[k] > begin && creators[i].from[k] < end)
				ns[found++] = creators[i].to[k] - creators[i].from[k];
	return found;
}

static void fill_directory(int dir, uint64_t n, size_t size)
{
	char *content = bytes_of(size), name[64];

	make_dir(dir, "large");
	for (uint64_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "large/%u", (unsigned)i);
		make_file(dir, name, content, size);
	}
	free(content);
}

static void measure_rename(int dir, unsigned clients)
{
	const struct timespec warm_up = {.tv_nsec = 50000000};
	struct creator *creators = calloc(clients, sizeof(*creators));
	int64_t *ns = calloc((size_t)clients * CREATES_MOST, sizeof(*ns)), begin, end;
	atomic_bool done = false;
	size_t n;

	if (!creators || !ns)
		fail("memory", "none");
	make_dir(dir, "others");
	start_creators(creators, clients, dir, &done);
	(void)nanosleep(&warm_up, NULL);
	begin = now_ns();
	if (renameat(dir, "large", dir, "renamed"))
		fail("rename", strerror(errno));
	end = now_ns();
	(void)nanosleep(&warm_up, NULL);
	atomic_store(&done, true);
	for (unsigned i = 0; i < clients; i++)
		(void)pthread_join(creators[i].thread, NULL);
	n = times_between(creators, clients, begin, end, ns);
	print_percentiles(ns, n ? n : 1); /* none: a rename between two of them */
	printf(" %.1f\n", (double)(end - begin) / 1e3);
}

static int open_dir(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY);

	if (dir < 0)
		fail(path, strerror(errno));
	return dir;
}

static void measure_puts(char **argv, bool beside)
{
	struct target target = {.dir = -1};

	target.size = (size_t)number_of(argv[4]);
	target.value = bytes_of(target.size);
	if (strcmp(argv[1], "store") == 0)
		open_store(&target, argv[2]);
	else
		target.dir = open_dir(argv[2]);
	measure(&target, (size_t)number_of(argv[3]), beside);
	check(dwal_kv_close(target.kv), "close");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool puts = strcmp(what, "store") == 0 || strcmp(what, "mount") == 0;
	bool beside = argc == 6 && strcmp(argv[5], "compact") == 0;

	if (argc == 5 && strcmp(what, "fill") == 0) {
		fill(argv[2], number_of(argv[3]), (uint32_t)number_of(argv[4]));
	} else if (argc == 4 && strcmp(what, "names") == 0) {
		make_names(argv[2], number_of(argv[3]));
	} else if (argc == 6 && strcmp(what, "rename") == 0) {
		fill_directory(open_dir(argv[2]), number_of(argv[3]), (size_t)number_of(argv[4]));
		measure_rename(open_dir(argv[2]), (unsigned)number_of(argv[5]));
	} else if (puts && argc == 5 + beside) {
		measure_puts(argv, beside);
	} else {
		fail("usage", "bench_beside store|mount|rename|fill|names DIR ...");
	}
	return 0;
}
