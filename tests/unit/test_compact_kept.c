/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * compact_to with a caller who says what is kept beside the Puts.
 */
#include "fault_io.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>

static struct unit_dir targets;
static char target[96];

static dwal_kv *begin(const struct io *io)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	targets = unit_dir_make();
	snprintf(target, sizeof(target), "%s/t", targets.path);
	kv = open_io(io, NULL);
	put(kv, "zeta", "last");
	put(kv, "alpha", "2");
	put(kv, "alphabet", "");
	return kv;
}

static void end(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&targets);
	unit_dir_remove(&dir);
}

static int count_targets(void)
{
	DIR *stream = opendir(targets.path);
	int n = -2; /* "." and ".." */

	CHECK(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n;
}

static bool is_text(struct dwal_bytes bytes, const char *text)
{
	return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* What is to be kept: of alpha a record with a line, of zeta a line alone, and
 * of no key two operations. fail_at: the call that fails. */
struct keeper {
	unsigned calls, fail_at, keyless;
	struct dwal_op ops[2];
	struct dwal_line line;
};

static int keep(void *ctx, const struct dwal_item *item, struct dwal_kept *kept)
{
	struct keeper *keeper = ctx;

	CHECK(!kept->ops && !kept->n && !kept->lines && !kept->n_lines);
	if (++keeper->calls == keeper->fail_at)
		return -EINTR;
	if (!item && keeper->keyless == 0)
		return 0;
	keeper->line = (struct dwal_line){"time", item ? "of a key" : "of none"};
	keeper->ops[0] = (struct dwal_op){DWAL_RAW, {"k", 1}, {"kept", 4}};
	keeper->ops[1] = (struct dwal_op){DWAL_RAW, {"k", 1}, {"too", 3}};
	kept->ops = keeper->ops;
	kept->lines = &keeper->line;
	if (!item) {
		kept->n = keeper->keyless--;
		kept->n_lines = kept->n == 2;
	} else if (is_text(item->key, "alpha")) {
		kept->n = kept->n_lines = 1;
	} else if (is_text(item->key, "zeta")) {
		kept->n_lines = 1;
	}
	return 0;
}

static void what_the_caller_keeps_stands_behind_its_put_in_one_operation(void)
{
	static const struct {
		uint64_t txid;
		const char *key, *payload, *line;
	} wanted[] = {
		{1, "datawal.batch", NULL, "of a key"},
		{1, "alpha", "2", NULL},
		{1, "k", "kept", NULL},
		{2, "alphabet", "", NULL},
		{3, "datawal.batch", NULL, "of a key"},
		{3, "zeta", "last", NULL},
		{4, "datawal.batch", NULL, "of none"},
		{4, "k", "kept", NULL},
		{4, "k", "too", NULL},
		{5, "k", "kept", NULL},
	};
	struct keeper keeper = {.keyless = 2};
	const struct dwal_compact_options options = {keep, &keeper};
	struct dwal_compact_stats stats;
	struct dwal_record record = {0};
	struct dwal_header header;
	dwal_reader *reader;
	dwal_iter *iter;
	char value[32];
	dwal_kv *kv = begin(NULL);

	CHECK_INT(dwal_kv_compact_to(kv, target, &options, &stats, &error), 0);
	CHECK_INT(stats.live_keys, 3);
	CHECK_INT(stats.records_written, 10);
	CHECK_INT(dwal_reader_open(target, &reader, &error), 0);
	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, &error), 0);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		CHECK_INT(dwal_iter_next(iter, &record, &error), 0);
		CHECK_INT(record.txid, wanted[i].txid);
		CHECK(is_text(record.key, wanted[i].key));
		CHECK(!wanted[i].payload || is_text(record.payload, wanted[i].payload));
		CHECK_INT(dwal_header_parse(&record, &header), wanted[i].line != NULL);
		if (wanted[i].line)
			CHECK(dwal_header_line(&header, "time", value, sizeof(value)) &&
			      strcmp(value, wanted[i].line) == 0);
	}
	CHECK_INT(stats.bytes_written, record.offset + record.length);
	CHECK_INT(dwal_iter_next(iter, &record, &error), DWAL_END);
	dwal_iter_close(iter);
	dwal_reader_close(reader);
	end(kv);
}

static void caller_who_does_not_go_on_has_nothing_made(void)
{
	dwal_kv *kv = begin(NULL);

	for (unsigned n = 1; n <= 6; n++) { /* three keys, two operations, and the end */
		struct keeper keeper = {.keyless = 2, .fail_at = n};
		const struct dwal_compact_options options = {keep, &keeper};

		CHECK_INT(dwal_kv_compact_to(kv, target, &options, NULL, &error), -EINTR);
		CHECK_INT(error.code, -EINTR);
		CHECK_INT(count_targets(), 0);
	}
	end(kv);
}

static void failure_at_any_step_leaves_nothing_or_all(void)
{
	struct fault_io fault;
	unsigned n = 0, made = 0;
	dwal_kv *kv;

	fault_init(&fault);
	kv = begin(&fault.io);
	do {
		struct keeper keeper = {.keyless = 2};
		const struct dwal_compact_options options = {keep, &keeper};
		int err;

		fault.fail_every = fault.every + ++n;
		err = dwal_kv_compact_to(kv, target, &options, NULL, &error);
		CHECK(!err || (err == error.code && *error.message));
		CHECK_INT(count_targets(), access(target, F_OK) == 0);
		if (count_targets()) {
			struct unit_dir built;

			CHECK_INT(keeper.calls, 6);
			made++;
			snprintf(built.path, sizeof(built.path), "%.63s", target);
			unit_dir_remove(&built);
		}
	} while (fault.every >= fault.fail_every);
	CHECK(n >= 40 && made < n / 2);
	fault.fail_every = 0;
	end(kv);
}

UNIT_MAIN(UNIT(what_the_caller_keeps_stands_behind_its_put_in_one_operation),
	  UNIT(caller_who_does_not_go_on_has_nothing_made),
	  UNIT(failure_at_any_step_leaves_nothing_or_all))
