/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * report: what an open of the log would find. It takes no lock and changes
 * nothing.
 */
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "findings.h"

static void print_report_json(const struct dwal_report *r)
{
	struct json json = json_line("report");

	findings_report_json(&json, r);
	json_open(&json, "side_files_base64", '[');
	for (size_t i = 0; i < r->side_file_count; i++)
		json_bytes(&json, NULL, r->side_files[i], strlen(r->side_files[i]));
	json_close(&json, ']');
	json_close(&json, '}');
}

static void print_damage(const struct dwal_report *r)
{
	for (size_t i = 0; i < r->damage_count; i++) {
		const struct dwal_damage *d = &r->damage[i];

		printf("  segment %u, offset %" PRIu64 ": %s; %" PRIu64
		       " bytes to the end of the segment (%s)",
		       d->segment, d->offset, dwal_frame_status_text(d->reason), d->bytes,
		       d->torn_tail ? "torn tail" : "damage");
		if (d->intact.records)
			printf("; intact in them: %" PRIu64 ", txids %" PRIu64 " to %" PRIu64,
			       d->intact.records, d->intact.lowest_txid, d->intact.highest_txid);
		putchar('\n');
	}
}

static void print_report(const char *dir, const struct dwal_report *r)
{
	const struct {
		const char *label;
		uint64_t number;
	} lines[] = {
		{"segments", r->files_scanned},
		{"records", r->records_replayed},
		{"  of them Raw", r->raw_records},
		{"highest txid", r->last_txid_seen},
		{"txids out of order", r->txids.out_of_order},
		{"torn tails", r->tail_truncated},
		{"  bytes in them", r->tail_bytes_discarded},
		{"hard errors", r->mid_stream_errors},
		{"unknown versions", r->unsupported_versions},
		{"intact behind damage", r->intact.records},
	};
	const struct dwal_bytes name = {dir, strlen(dir)};

	printf("%-22s", "log");
	print_field(stdout, name, BYTES_AUTO, SIZE_MAX);
	putchar('\n');
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		printf("%-22s%" PRIu64 "\n", lines[i].label, lines[i].number);
	findings_missing_text(stdout, "txids missing         ", &r->txids);
	if (r->damage_count)
		puts("damage:");
	print_damage(r);
	if (r->side_file_count)
		puts("side files with torn bytes:");
	for (size_t i = 0; i < r->side_file_count; i++) {
		fputs("  ", stdout);
		print_field(stdout, (struct dwal_bytes){r->side_files[i], strlen(r->side_files[i])},
			    BYTES_AUTO, SIZE_MAX);
		putchar('\n');
	}
}

static bool has_hard_error(const struct dwal_report *r)
{
	return r->mid_stream_errors || r->unsupported_versions;
}

/* The first damage that decides the exit status. */
static enum status judge(const char *dir, const struct dwal_report *r)
{
	const bool hard = has_hard_error(r);

	for (size_t i = 0; i < r->damage_count; i++) {
		const struct dwal_damage *d = &r->damage[i];

		if (d->torn_tail == hard)
			continue;
		return tell_damage(dir, d);
	}
	return DONE;
}

/* Drops the torn tail from a report: it is what a writer is just writing. */
static void forget_tail(struct dwal_report *r)
{
	r->tail_truncated = 0;
	r->tail_bytes_discarded = 0;
	r->intact = (struct dwal_intact){0};
	if (r->damage_count && r->damage[r->damage_count - 1].torn_tail)
		r->damage_count--;
}

/* Looks a second time at the torn tail of *report; when it has moved, *report
 * becomes that of the walk's last look, valid until walk_close(). */
static int settle_tail(struct walk *walk, const char *dir, struct dwal_report *report,
		       struct dwal_error *error)
{
	const struct dwal_damage *found = &report->damage[report->damage_count - 1];
	const struct dwal_report *fresh;
	struct dwal_damage tail = *found;
	int ret = walk_tail(walk, dir, &tail, error);

	if (ret < 0)
		return ret;
	if (!ret && tail.segment == found->segment && tail.offset == found->offset &&
	    tail.bytes == found->bytes)
		return 0;
	ret = dwal_reader_report(walk->reader, &fresh, error);
	if (ret)
		return ret;
	*report = *fresh;
	if (!walk->torn)
		forget_tail(report);
	return 0;
}

static enum status report_on(const struct args *args, dwal_reader *reader)
{
	const char *dir = args->operand[0];
	const struct dwal_report *found;
	struct dwal_error error = {0};
	struct dwal_report report;
	struct walk walk = {0};
	enum status status;
	int ret = dwal_reader_report(reader, &found, &error);

	if (ret)
		return fail(dir, ret, &error);
	report = *found;
	if (report.tail_truncated && report.damage_count && !has_hard_error(&report))
		ret = settle_tail(&walk, dir, &report, &error);
	if (ret) {
		status = fail(dir, ret, &error);
	} else {
		if (args->json)
			print_report_json(&report);
		else
			print_report(dir, &report);
		status = judge(dir, &report);
	}
	walk_close(&walk);
	return status;
}

enum status cmd_report(const struct args *args)
{
	struct dwal_error error = {0};
	dwal_reader *reader;
	enum status status = check_log(args->operand[0], false);
	int ret;

	if (status != DONE)
		return status;
	ret = dwal_reader_open(args->operand[0], &reader, &error);
	if (ret)
		return fail(args->operand[0], ret, &error);
	status = report_on(args, reader);
	dwal_reader_close(reader);
	return status;
}
