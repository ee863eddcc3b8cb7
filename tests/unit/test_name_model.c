/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The mapping of keys and file names for another opinion, that of
 * tests/lib/name_model.py, and what it takes for the longest. Knows name.h
 * alone.
 */
#include <time.h>

#include "tree/name.h"
#include "unit.h"

#define ROOM 4096 /* any name made here */

/* The longest chain of full forms, and the most backslashes: each is looked at
 * a few times, not once for each step of the chain. */
static void largest_components_take_no_longer_than_others(void)
{
	const size_t size = 65536 - 1;
	char *key = malloc(size), name[NAME_SIZE];
	struct name_part part = {.raw = key, .len = size, .first = true, .last = true};
	struct timespec start, end;

	CHECK(key);
	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start) == 0);
	for (size_t run = 0; run < 3; run++) {
		size_t period = run == 0 ? size : run == 1 ? 4 : 2500;

		for (size_t i = 0; i < size; i++)
			key[i] = i % period ? "cx5"[i % period % 3] : '\\';
		CHECK(name_encode(&part, false, name) == NAME_IS_LONG);
	}
	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end) == 0);
	CHECK(end.tv_sec - start.tv_sec < 2);
	free(key);
}

/* Hexadecimal digits to bytes, in place; the length. */
static size_t from_hex(char *text)
{
	size_t n = 0;
	unsigned byte;

	for (; sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
		text[n] = (char)byte;
	return n;
}

static void print_hex(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", (unsigned char)bytes[i]);
}

/* For another opinion (tests/lib/name_model.py). Reads lines: the first
 * character says what the rest, in hexadecimal, is; the second, '1' or '0',
 * whether it is the first component. k, v: a component, v with `\value`; its
 * name is printed. f, d: a file's or directory's name; its component is, and a
 * 'v' where it is a value beside a directory; or '!'. */
static void translation(void)
{
	char line[2 * ROOM], name[NAME_SIZE], raw[NAME_SIZE];

	while (fgets(line, sizeof(line), stdin)) {
		size_t len = from_hex(line + 2);
		struct name_part part = {line + 2, len, line[1] == '1', true};
		bool value;

		line[2 + len] = '\0';
		if (line[0] == 'k' || line[0] == 'v') {
			(void)name_encode(&part, line[0] == 'v', name);
			print_hex(name, strlen(name));
		} else if (name_decode(line + 2, part.first, line[0] == 'd' ? NAME_DIR : NAME_FILE,
				       raw, &len, &value) == 0) {
			print_hex(raw, len);
			printf("%s", value ? "v" : "");
		} else {
			putchar('!');
		}
		putchar('\n');
	}
}

UNIT_MAIN(UNIT(largest_components_take_no_longer_than_others), UNIT(translation))
