/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * write_fixture DIR: writes a log with the library as told on stdin, one
 * instruction a line, keys and payloads in hexadecimal, "-" for none:
 *
 *	Raw|Put|Delete KEY PAYLOAD	append
 *	rotate				start the next segment
 *	segment ID			close, make an empty segment of this id, open
 */
#include "datawal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE (2 * 65536 + 2 * 65536 + 64)

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "write_fixture: %s: %s\n", what, why);
	exit(1);
}

static dwal_log *open_log(const char *dir)
{
	struct dwal_error error;
	dwal_log *log;

	if (dwal_log_open(dir, NULL, &log, &error) < 0)
		fail("open", error.message);
	return log;
}

static void check(const char *what, int rc)
{
	if (rc)
		fail(what, dwal_strerror(rc));
}

/* Turns the digits into bytes where they stand. */
static struct dwal_bytes from_hex(char *text)
{
	unsigned char *out = (unsigned char *)text;
	struct dwal_bytes bytes = {.data = text};

	if (!text || strcmp(text, "-") == 0)
		return (struct dwal_bytes){0};
	for (; text[0] && text[1]; text += 2) {
		const char pair[] = {text[0], text[1], 0};

		out[bytes.len++] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return bytes;
}

static void append(dwal_log *log, const char *type_name)
{
	struct dwal_op op = {.type = DWAL_RAW};

	while (strcmp(dwal_type_name(op.type), type_name) != 0)
		if (op.type++ == DWAL_DELETE)
			fail(type_name, "no such instruction");
	op.key = from_hex(strtok(NULL, " \n"));
	op.payload = from_hex(strtok(NULL, " \n"));
	check("append", dwal_log_append(log, &op, 1, NULL));
}

static void make_segment(const char *dir, const char *id)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%08lu.dwal", dir, strtoul(id ? id : "", NULL, 10));
	file = fopen(path, "wx");
	if (!file || fclose(file))
		fail(path, "cannot be made");
}

int main(int argc, char **argv)
{
	static char line[LINE_SIZE];
	dwal_log *log = NULL;

	if (argc != 2)
		fail("usage", "write_fixture DIR");
	while (fgets(line, sizeof(line), stdin)) {
		const char *verb = strtok(line, " \n");

		if (strcmp(verb, "segment") == 0) {
			check("close", dwal_log_close(log));
			make_segment(argv[1], strtok(NULL, " \n"));
			log = open_log(argv[1]);
			continue;
		}
		if (!log)
			log = open_log(argv[1]);
		if (strcmp(verb, "rotate") == 0)
			check("rotate", dwal_log_rotate(log));
		else
			append(log, verb);
	}
	if (!log)
		log = open_log(argv[1]);
	check("sync", dwal_log_sync(log));
	check("close", dwal_log_close(log));
	return 0;
}
