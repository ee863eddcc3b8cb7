/* SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, why);
	exit(1);
}

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

uint64_t number_of(const char *text)
{
	char *end;
	uint64_t number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		fail(text, "not a number");
	return number;
}

void *bytes_of(size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	uint32_t state = 1;

	if (!bytes)
		fail("memory", "none");
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(state >> 24);
	}
	return bytes;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

void print_percentiles(int64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), compare);
	printf("%.1f %.1f %.1f %.1f", (double)ns[n / 2] / 1e3, (double)ns[n - 1 - n / 100] / 1e3,
	       (double)ns[n - 1 - n / 1000] / 1e3, (double)ns[n - 1] / 1e3);
}
