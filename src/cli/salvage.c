/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * salvage: what is intact of a damaged log, into a new one, and what is not. It
 * takes no lock on the source and does not change it.
 */
#include <errno.h>
#include <inttypes.h>

#include "cli.h"
#include "findings.h"

struct salvage {
	bool json;
	struct progress progress;
	uint64_t done, total; /* bytes */
};

static int tell_lost(void *ctx, const struct dwal_lost *lost)
{
	struct salvage *s = ctx;
	struct json json;

	progress_end(&s->progress);
	if (s->json) {
		json = json_line("lost");
		findings_lost_json(&json, lost);
		json_close(&json, '}');
		return 0;
	}
	fputs("lost: ", stdout);
	findings_lost_text(stdout, lost);
	putchar('\n');
	return 0;
}

static int advance(void *ctx, uint64_t bytes)
{
	struct salvage *s = ctx;

	s->done += bytes;
	if (progress_due(&s->progress))
		progress_show(&s->progress, s->done, s->total);
	return interrupt_came() ? -EINTR : 0;
}

static void print_stats(const struct dwal_salvage_stats *stats)
{
	printf("records kept           %" PRIu64 "\n", stats->records);
	printf("  from side files      %" PRIu64 "\n", stats->side_records);
	printf("lost                   %" PRIu64 " bytes in %" PRIu64 " places\n",
	       stats->lost_bytes, stats->lost_ranges);
	printf("operations incomplete  %" PRIu64 "\n", stats->incomplete);
	printf("left out               %" PRIu64 " (horizons, tags, copied headers)\n",
	       stats->left_out);
}

static void print_stats_json(const struct dwal_salvage_stats *stats)
{
	struct json json = json_line("salvage");

	json_number(&json, "records_kept", stats->records);
	json_number(&json, "records_from_side_files", stats->side_records);
	json_number(&json, "lost_ranges", stats->lost_ranges);
	json_number(&json, "lost_bytes", stats->lost_bytes);
	json_number(&json, "operations_incomplete", stats->incomplete);
	json_number(&json, "left_out", stats->left_out);
	json_close(&json, '}');
}

static enum status salvage(const struct args *args)
{
	struct salvage s = {.json = args->json};
	const struct dwal_salvage_options options = {tell_lost, &s, advance, &s};
	struct dwal_salvage_stats stats;
	struct dwal_error error = {0};
	int ret;

	progress_begin(&s.progress);
	s.total = s.progress.shown ? size_of_log(args->operand[0]) : 0;
	interrupt_catch(true);
	ret = dwal_salvage(args->operand[0], args->operand[1], &options, &stats, &error);
	progress_end(&s.progress);
	if (ret)
		return not_made(args->operand[1], ret, &error);
	(args->json ? print_stats_json : print_stats)(&stats);
	return DONE;
}

enum status cmd_salvage(const struct args *args)
{
	enum status status = refuse_mount(args->operand[1]);

	if (status == DONE)
		status = check_log(args->operand[0], false);
	return status == DONE ? salvage(args) : status;
}
