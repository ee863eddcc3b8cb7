/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * write_fixture DIR: writes a log with the library as told on stdin, one
 * instruction a line, keys and payloads in hexadecimal, "-" for none:
 *
 *	Raw|Put|Delete KEY PAYLOAD	append
 *	batch N NAME VALUE ...		the next N of these as one operation, with lines
 *	rotate				start the next segment
 *	segment ID			close, make an empty segment of this id, open
 */
#include "datawal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OPS  16
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

static struct dwal_op parse_op(const char *type_name)
{
	struct dwal_op op = {.type = DWAL_RAW};

	while (strcmp(dwal_type_name(op.type), type_name) != 0)
		if (op.type++ == DWAL_DELETE)
			fail(type_name, "no such instruction");
	op.key = from_hex(strtok(NULL, " \n"));
	op.payload = from_hex(strtok(NULL, " \n"));
	return op;
}

static void append(dwal_log *log, const char *type_name)
{
	struct dwal_op op = parse_op(type_name);

	check("append", dwal_log_append(log, &op, 1, NULL));
}

/* The rest of the line, names as they are, values in hexadecimal; then n lines. */
static void append_batch(dwal_log *log, const char *n_text)
{
	static char texts[MOST_OPS][LINE_SIZE];
	struct dwal_op ops[MOST_OPS];
	struct dwal_line lines[MOST_OPS];
	char *values[MOST_OPS];
	size_t n = strtoul(n_text ? n_text : "", NULL, 10), n_lines = 0;
	const char *name;

	if (n > MOST_OPS)
		fail("batch", "too many records");
	while ((name = strtok(NULL, " \n")) && n_lines < MOST_OPS) {
		struct dwal_bytes value = from_hex(strtok(NULL, " \n"));

		values[n_lines] = strndup(value.data ? value.data : "", value.len);
		lines[n_lines] = (struct dwal_line){name, values[n_lines]};
		if (!values[n_lines++])
			fail("batch", "no memory");
	}
	for (size_t i = 0; i < n && fgets(texts[i], LINE_SIZE, stdin); i++)
		ops[i] = parse_op(strtok(texts[i], " \n"));
	check("batch", dwal_log_batch(log, ops, n, lines, n_lines, NULL));
	while (n_lines)
		free(values[--n_lines]);
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
		else if (strcmp(verb, "batch") == 0)
			append_batch(log, strtok(NULL, " \n"));
		else
			append(log, verb);
	}
	if (!log)
		log = open_log(argv[1]);
	check("sync", dwal_log_sync(log));
	check("close", dwal_log_close(log));
	return 0;
}
