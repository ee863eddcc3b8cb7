/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * bench_store put|open|read|fill DIR ...: the store's part of contrib/bench. Prints
 * the seconds that one thing took and nothing else.
 *
 *   put DIR N SIZE    N puts of SIZE bytes, no sync, into a fresh store
 *   open DIR          opening for writing
 *   read DIR          opening for reading only
 *   fill DIR BYTES    one segment of at least so many bytes, 64 KiB values
 */
#include <datawal.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "bench_store: %s: %s\n", what, dwal_strerror(err));
		exit(1);
	}
}

static dwal_kv *open_store(const char *dir, bool read_only)
{
	const struct dwal_options options = {.read_only = read_only};
	struct dwal_error error;
	dwal_kv *kv;

	if (dwal_kv_open(dir, &options, &kv, &error)) {
		fprintf(stderr, "bench_store: %s\n", error.message);
		exit(1);
	}
	return kv;
}

static void *value_of(size_t size)
{
	unsigned char *value = malloc(size + 1);

	if (!value)
		check(-12, "value");
	for (size_t i = 0; i < size; i++)
		value[i] = (unsigned char)(i * 131 + 7);
	return value;
}

static double put(const char *dir, size_t n, size_t size)
{
	dwal_kv *kv = open_store(dir, false);
	void *value = value_of(size);
	double start = now(), seconds;
	char key[24];

	for (size_t i = 0; i < n; i++) {
		int len = snprintf(key, sizeof(key), "key-%09zu", i);

		check(dwal_kv_put(kv, key, (size_t)len, value, size), "put");
	}
	seconds = now() - start;
	check(dwal_kv_sync(kv), "sync"); /* or the next measurement pays for it */
	check(dwal_kv_close(kv), "close");
	free(value);
	return seconds;
}

static double open_only(const char *dir, bool read_only)
{
	double start = now(), seconds;
	dwal_kv *kv = open_store(dir, read_only);

	seconds = now() - start;
	check(dwal_kv_close(kv), "close");
	return seconds;
}

static double fill(const char *dir, uint64_t bytes)
{
	dwal_kv *kv = open_store(dir, false);
	const size_t size = 65536;
	void *value = value_of(size);
	double start = now(), seconds;
	uint64_t written = 0;

	for (uint32_t i = 0; written < bytes; i = (i + 1) % 1000) {
		check(dwal_kv_put(kv, &i, sizeof(i), value, size), "put");
		written += dwal_frame_size(sizeof(i), size);
	}
	seconds = now() - start;
	check(dwal_kv_sync(kv), "sync");
	check(dwal_kv_close(kv), "close");
	free(value);
	return seconds;
}

int main(int argc, char **argv)
{
	double seconds;

	if (argc == 5 && strcmp(argv[1], "put") == 0)
		seconds = put(argv[2], strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	else if (argc == 3 && strcmp(argv[1], "open") == 0)
		seconds = open_only(argv[2], false);
	else if (argc == 3 && strcmp(argv[1], "read") == 0)
		seconds = open_only(argv[2], true);
	else if (argc == 4 && strcmp(argv[1], "fill") == 0)
		seconds = fill(argv[2], strtoull(argv[3], NULL, 10));
	else
		return fprintf(stderr, "usage: bench_store put|open|read|fill DIR ...\n"), 1;
	printf("%.4f\n", seconds);
	return 0;
}
