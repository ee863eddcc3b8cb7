/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the programs of contrib/bench share: the clock, numbers, giving up.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

/* Says "PROGRAM: what: why", and ends the program with 1. */
_Noreturn void fail(const char *what, const char *why);

int64_t now_ns(void);

/* A number of decimal digits; fails for any other text. */
uint64_t number_of(const char *text);

/* size bytes that do not compress well, to be freed. */
void *bytes_of(size_t size);

/* Sorts n times, at least one, and prints the 50th, 99th and 99.9th of 100 parts and
 * the longest, in microseconds. */
void print_percentiles(int64_t *ns, size_t n);

#endif
