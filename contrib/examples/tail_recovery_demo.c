/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tail_recovery_demo DIR: writes three records to a fresh log, cuts five
 * bytes off its end as a crash might, and opens it again. The torn record is
 * reported and copied to a side file; what is appended next can be read.
 */
#include <datawal.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(int err, const char *what)
{
	if (err) {
		fprintf(stderr, "tail_recovery_demo: %s: %s\n", what, dwal_strerror(err));
		exit(1);
	}
}

static dwal_log *open_log(const char *dir)
{
	struct dwal_error error;
	dwal_log *log;

	if (dwal_log_open(dir, NULL, &log, &error)) {
		fprintf(stderr, "tail_recovery_demo: %s\n", error.message);
		exit(1);
	}
	return log;
}

static void append(dwal_log *log, const char *text)
{
	check(dwal_log_append_raw(log, text, strlen(text), NULL), "append");
}

static void cut_five_bytes(const char *dir)
{
	char path[PATH_MAX];
	struct stat status;

	snprintf(path, sizeof(path), "%s/00000001.dwal", dir);
	if (stat(path, &status) || truncate(path, status.st_size - 5)) {
		perror(path);
		exit(1);
	}
}

static void print_report(const struct dwal_report *report)
{
	printf("replayed %" PRIu64 " records, %" PRIu64 " bytes torn off the end\n",
	       report->records_replayed, report->tail_bytes_discarded);
	for (size_t i = 0; i < report->damage_count; i++)
		printf("segment %" PRIu32 " at offset %" PRIu64 ": %s\n", report->damage[i].segment,
		       report->damage[i].offset, dwal_frame_status_text(report->damage[i].reason));
	if (report->made_side_file)
		printf("the torn bytes are in %s\n", report->made_side_file);
}

static void print_all(dwal_log *log)
{
	struct dwal_record record;
	dwal_iter *iter;
	int err;

	check(dwal_log_iterate(log, 0, 0, &iter, NULL), "iterate");
	while ((err = dwal_iter_next(iter, &record, NULL)) == 0)
		printf("txid %" PRIu64 ": %.*s\n", record.txid, (int)record.payload.len,
		       (const char *)record.payload.data);
	dwal_iter_close(iter);
	check(err == DWAL_END ? 0 : err, "read");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: tail_recovery_demo DIR\n");
		return 1;
	}
	dwal_log *log = open_log(argv[1]);
	append(log, "one");
	append(log, "two");
	append(log, "three");
	check(dwal_log_close(log), "close");

	cut_five_bytes(argv[1]);

	log = open_log(argv[1]);
	print_report(dwal_log_report(log));
	append(log, "four");
	check(dwal_log_sync(log), "sync");
	check(dwal_log_close(log), "close");

	log = open_log(argv[1]);
	print_report(dwal_log_report(log));
	print_all(log);
	check(dwal_log_close(log), "close");
	return 0;
}
