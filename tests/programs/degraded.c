/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * degraded DIR...: what is left of each of these logs, a line each: "log DIR", "key KEY
 * VALUE" in hexadecimal with a '-' before it, "key KEY !" where the value cannot be
 * read, "lost FILE OFFSET BYTES". Then it is salvaged to DIR.salvaged: "salvaged
 * RECORDS LOST". Whether that is right is judged by somebody else
 * (tests/test_degraded.py).
 */
#include "datawal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_hex(const void *data, size_t len)
{
	const unsigned char *p = data;

	putchar('-');
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
}

static void print_keys(dwal_kv *kv)
{
	struct dwal_item item;
	dwal_cursor *cursor;

	if (dwal_kv_cursor(kv, &cursor))
		abort();
	while (dwal_cursor_next(cursor, &item) == 0) {
		void *value;
		size_t len;
		int err = dwal_kv_get(kv, item.key.data, item.key.len, &value, &len, NULL);

		printf("key ");
		print_hex(item.key.data, item.key.len);
		putchar(' ');
		if (err == DWAL_ECORRUPT) {
			putchar('!');
		} else if (err) {
			printf("%s", dwal_strerror(err));
		} else {
			print_hex(value, len);
			free(value);
		}
		putchar('\n');
	}
	dwal_cursor_close(cursor);
}

static void salvage(const char *dir)
{
	struct dwal_salvage_stats stats;
	struct dwal_error error;
	char target[4096];

	snprintf(target, sizeof(target), "%s.salvaged", dir);
	if (dwal_salvage(dir, target, NULL, &stats, &error))
		printf("%s\n", error.message);
	else
		printf("salvaged %" PRIu64 " %" PRIu64 "\n", stats.records, stats.lost_ranges);
}

int main(int argc, char **argv)
{
	const struct dwal_options options = {.read_only = true, .degraded = true};

	for (int i = 1; i < argc; i++) {
		const struct dwal_report *report;
		struct dwal_error error;
		dwal_kv *kv;

		printf("log %s\n", argv[i]);
		if (dwal_kv_open(argv[i], &options, &kv, &error)) {
			printf("%s\n", error.message);
			continue;
		}
		print_keys(kv);
		report = dwal_kv_report(kv);
		for (size_t k = 0; k < report->lost_count; k++)
			printf("lost %s %" PRIu64 " %" PRIu64 "\n", report->lost[k].file,
			       report->lost[k].offset, report->lost[k].bytes);
		salvage(argv[i]);
		(void)dwal_kv_close(kv); /* nothing was written */
	}
	return 0;
}
