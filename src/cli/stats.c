/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * stats: how much of each segment is live. It takes no lock and changes
 * nothing.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cli.h"
#include "findings.h"

#define ROW "%8s  %10s  %12s  %12s  %12s  %12s\n"

static void print_row(const char *name, const struct dwal_segment_stats *s)
{
	printf("%8s  %10" PRIu64 "  %12" PRIu64 "  %12" PRIu64 "  %12" PRIu64 "  %12" PRIu64 "\n",
	       name, s->records, s->bytes, s->live_records, s->live_bytes,
	       s->bytes - s->live_bytes);
}

static void print_segment(const struct args *args, const struct dwal_segment_stats *s)
{
	char name[16];
	struct json json;

	if (!args->json) {
		(void)snprintf(name, sizeof(name), "%u", s->id);
		print_row(name, s);
		return;
	}
	json = json_line("stats");
	json_number(&json, "segment", s->id);
	json_bool(&json, "active", s->active);
	findings_sizes_json(&json, s);
	json_close(&json, '}');
}

static void print_total(const struct args *args, const struct dwal_segment_stats *total,
			size_t segments, size_t keys)
{
	struct json json;

	if (!args->json) {
		print_row("total", total);
		printf("keys  %zu\n", keys);
		return;
	}
	json = json_line("stats");
	json_number(&json, "segments", segments);
	findings_sizes_json(&json, total);
	json_number(&json, "keys", keys);
	json_close(&json, '}');
}

static void print_stats(const struct args *args, const struct dwal_segment_stats *stats, size_t n,
			size_t keys)
{
	struct dwal_segment_stats total = {.id = 0};

	if (!args->json)
		printf(ROW, "segment", "records", "bytes", "live records", "live bytes",
		       "dead bytes");
	for (size_t i = 0; i < n && !ferror(stdout); i++) {
		print_segment(args, &stats[i]);
		total.bytes += stats[i].bytes;
		total.records += stats[i].records;
		total.live_records += stats[i].live_records;
		total.live_bytes += stats[i].live_bytes;
	}
	print_total(args, &total, n, keys);
}

enum status cmd_stats(const struct args *args)
{
	struct dwal_segment_stats *stats;
	size_t n;
	dwal_kv *kv;
	enum status status = open_store(args, &kv);
	int ret;

	if (status != DONE)
		return status;
	ret = dwal_kv_stats(kv, &stats, &n);
	if (!ret) {
		print_stats(args, stats, n, dwal_kv_len(kv));
		free(stats);
	}
	(void)dwal_kv_close(kv); /* nothing was written */
	return ret ? fail(args->operand[0], ret, NULL) : DONE;
}
