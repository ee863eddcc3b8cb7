/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * export and compact: what is made from the live keys. They take no lock on
 * the source and do not change it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "kept.h"

/* How far a store is read, and then what is made of it. */
struct derivation {
	struct progress progress;
	uint64_t done, total;    /* bytes; of the whole log, then of what is live */
	struct mounted *mounted; /* to be gathered while the log is read, or NULL */
};

/* For the library, after each record: no longer value is waited for than one
 * when it is interrupted, and it removes what it has begun. */
static int advance(void *ctx, uint64_t bytes)
{
	struct derivation *d = ctx;

	d->done += bytes;
	if (progress_due(&d->progress))
		progress_show(&d->progress, d->done, d->total);
	return interrupt_came() ? -EINTR : 0;
}

static int advance_reading(void *ctx, const struct dwal_record *record)
{
	struct derivation *d = ctx;

	(void)advance(ctx, record->length); /* nothing is made yet: a signal kills */
	return d->mounted ? mounted_observe(d->mounted, record) : 0;
}

uint64_t size_of_log(const char *dir)
{
	struct dwal_error error;
	dwal_reader *reader;
	uint64_t total = 0;

	if (dwal_reader_open(dir, &reader, &error))
		return 0;
	for (size_t i = 0; i < dwal_reader_segment_count(reader); i++)
		total += dwal_reader_segment(reader, i).size;
	dwal_reader_close(reader);
	return total;
}

static uint64_t live_bytes(dwal_kv *kv)
{
	struct dwal_segment_stats *stats = NULL;
	uint64_t total = 0;
	size_t n = 0;

	if (dwal_kv_stats(kv, &stats, &n))
		return 0;
	for (size_t i = 0; i < n; i++)
		total += stats[i].live_bytes;
	free(stats);
	return total;
}

/* As open_store(), with progress where it is watched. */
static enum status open_derived(const struct args *args, struct derivation *d, bool watched,
				dwal_kv **out)
{
	const struct dwal_options options = {.read_only = true,
					     .observe = advance_reading,
					     .observe_ctx = d,
					     .progress = advance,
					     .progress_ctx = d};
	const char *dir = args->operand[0];
	struct dwal_error error = {0};
	enum status status = check_log(dir, false);
	int ret;

	if (status != DONE)
		return status;
	if (watched)
		progress_begin(&d->progress);
	d->total = d->progress.shown ? size_of_log(dir) : 0;
	ret = dwal_kv_open(dir, &options, out, &error);
	progress_end(&d->progress);
	if (ret)
		return fail(dir, ret, &error);
	d->done = d->progress.last_ms = 0; /* a bar of its own */
	d->total = d->progress.shown ? live_bytes(*out) : 0;
	status = tell_intact(dir, dwal_kv_report(*out));
	if (status != DONE)
		(void)dwal_kv_close(*out); /* nothing was written */
	return status;
}

enum status not_made(const char *target, int code, const struct dwal_error *error)
{
	if (!interrupt_came())
		return fail(target, code, error);
	complain("interrupted: %s was not made", target);
	interrupt_raise();
	return WRONG_USE;
}

/* A pipe or a device cannot be replaced by a file, and must not. */
static bool is_stream(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int export_to_stream(dwal_kv *kv, const char *path, struct dwal_error *error)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = dwal_kv_export_jsonl_fd(kv, fd, error);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

static enum status export_store(const struct args *args, struct derivation *d, dwal_kv *kv)
{
	const char *path = args->operand[1];
	const bool to_stdout = !strcmp(path, "-");
	struct dwal_error error = {0};
	int ret;

	if (to_stdout) {
		ret = dwal_kv_export_jsonl_fd(kv, STDOUT_FILENO, &error);
	} else if (is_stream(path)) {
		ret = export_to_stream(kv, path, &error);
	} else {
		interrupt_catch(true);
		ret = dwal_kv_export_jsonl(kv, path, &error);
	}
	progress_end(&d->progress);
	if (ret)
		return not_made(path, ret, &error);
	if (args->json && !to_stdout) {
		struct json json = json_line("export");

		json_number(&json, "live_keys", dwal_kv_len(kv));
		json_close(&json, '}');
	}
	return DONE;
}

enum status cmd_export(const struct args *args)
{
	/* a terminal shows either the export or a bar */
	const bool watched = strcmp(args->operand[1], "-") || !isatty(STDOUT_FILENO);
	struct derivation d = {0};
	dwal_kv *kv;
	enum status status = open_derived(args, &d, watched, &kv);

	if (status != DONE)
		return status;
	status = export_store(args, &d, kv);
	(void)dwal_kv_close(kv); /* nothing was written through it */
	return status;
}

static int keep(void *ctx, const struct dwal_item *item, struct dwal_kept *out)
{
	return interrupt_came() ? -EINTR : kept_next(ctx, item, out);
}

static int compact_to(const struct args *args, struct mounted *mounted, dwal_kv *kv,
		      struct dwal_compact_stats *stats, struct dwal_error *error)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	const struct dwal_compact_options options = {.keep = keep, .keep_ctx = kept};
	int ret;

	if (!kept)
		return -ENOMEM;
	kept->mounted = mounted;
	kept->dir = args->operand[0];
	ret = dwal_kv_compact_to(kv, args->operand[1], args->values_only ? NULL : &options, stats,
				 error);
	kept_release(kept);
	free(kept);
	return ret;
}

static enum status compact_store(const struct args *args, struct derivation *d, dwal_kv *kv)
{
	struct dwal_compact_stats stats;
	struct dwal_error error = {0};
	int ret;

	interrupt_catch(true);
	ret = compact_to(args, d->mounted, kv, &stats, &error);
	progress_end(&d->progress);
	if (ret)
		return not_made(args->operand[1], ret, &error);
	if (args->json) {
		struct json json = json_line("compact");

		json_number(&json, "live_keys", stats.live_keys);
		json_number(&json, "records_written", stats.records_written);
		json_number(&json, "bytes_written", stats.bytes_written);
		json_close(&json, '}');
		return DONE;
	}
	printf("live keys        %llu\n", (unsigned long long)stats.live_keys);
	printf("records written  %llu\n", (unsigned long long)stats.records_written);
	printf("bytes written    %llu\n", (unsigned long long)stats.bytes_written);
	return DONE;
}

enum status cmd_compact(const struct args *args)
{
	struct mounted mounted = {0};
	struct derivation d = {.mounted = args->values_only ? NULL : &mounted};
	enum status status;
	dwal_kv *kv;

	if (!args->operand[1])
		return compact_in_place(args);
	status = refuse_mount(args->operand[1]);
	if (status == DONE)
		status = open_derived(args, &d, true, &kv);
	if (status == DONE) {
		status = compact_store(args, &d, kv);
		(void)dwal_kv_close(kv); /* nothing was written through it */
	}
	mounted_release(&mounted);
	return status;
}
