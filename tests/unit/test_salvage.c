/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Salvage: whatever byte is changed and whatever fails, all that is intact is in
 * the new log, or there is none.
 */
#include "damaged_log.h"
#include "fault_io.h"
#include "salvage.h"

static struct unit_dir place;
static char target[128];
static size_t found; /* of records[], by check_next() */
static const struct one *changed;
static unsigned horizons;

static bool is_header(const struct one *one)
{
	return strcmp(one->key, "datawal.batch") == 0;
}

/* Records of the new log are those of the old one, in order, but for the changed
 * one and, at the end, the horizon. */
static int check_next(void *ctx, const struct dwal_record *record)
{
	struct dwal_horizon horizon;
	struct dwal_header header;

	horizons += dwal_horizon_parse(record, &horizon);
	if (dwal_header_parse(record, &header) || dwal_horizon_parse(record, &horizon))
		return 0;
	while (found < record_count && (&records[found] == changed || is_header(&records[found])))
		found++;
	CHECK(found < record_count);
	CHECK_INT(record->type, records[found].type);
	CHECK(record->key.len == strlen(records[found].key) &&
	      memcmp(record->key.data, records[found].key, record->key.len) == 0);
	CHECK_INT(record->payload.len, records[found].value_len);
	found++;
	return 0;
}

static size_t left(void)
{
	size_t n = 0;

	for (size_t i = found; i < record_count; i++)
		n += &records[i] != changed && !is_header(&records[i]);
	return n;
}

static void remove_target(void)
{
	char command[256];

	snprintf(command, sizeof(command), "%s", target);
	CHECK(nftw(command, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void begin(void)
{
	make_log();
	place = unit_dir_make();
	snprintf(target, sizeof(target), "%s/out", place.path);
}

static void end(void)
{
	unit_dir_remove(&dir);
	unit_dir_remove(&place);
}

static struct dwal_salvage_stats salvage_quickly(void)
{
	static struct fault_io fault;
	struct dwal_salvage_stats stats;
	int err;

	fault_init(&fault);
	fault.no_sync = true;
	err = salvage(&fault.io, dir.path, target, NULL, &stats, &error);
	if (err)
		fprintf(stderr, "%s\n", error.message);
	CHECK_INT(err, 0);
	return stats;
}

static void check_target(void)
{
	const struct dwal_options options = {.read_only = true, .observe = check_next};
	dwal_kv *kv;

	found = horizons = 0;
	CHECK_INT(dwal_kv_open(target, &options, &kv, &error), 0);
	CHECK_INT(dwal_kv_report(kv)->damage_count, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
}

static void check_changed(const struct one *hit, uint64_t offset)
{
	struct dwal_salvage_stats stats;

	changed = hit;
	/* what its value holds is no record, unless its length is changed */
	if (strcmp(hit->key, "holds") == 0 && offset < hit->offset + DWAL_HEADER_SIZE)
		return;
	stats = salvage_quickly();
	check_target();
	CHECK(left() == 0 && horizons == 1);
	CHECK(stats.lost_ranges >= 1 && stats.lost_bytes >= 1);
	remove_target();
}

static void whatever_byte_is_changed_all_else_is_salvaged(void)
{
	begin();
	each_byte_of(1, 3, check_changed);
	end();
}

static void a_whole_log_is_copied_whole_and_has_no_horizon(void)
{
	struct dwal_salvage_stats stats;

	begin();
	changed = NULL;
	stats = salvage_quickly();
	check_target();
	CHECK(left() == 0 && horizons == 0);
	CHECK(!stats.lost_ranges && !stats.incomplete && !stats.left_out && !stats.side_records);
	end();
}

static bool exists(void)
{
	struct stat st;

	return stat(target, &st) == 0;
}

/* Nothing is left beside the target either. */
static void check_nothing_made(void)
{
	CHECK(!exists());
	CHECK_INT(rmdir(place.path), 0);
	CHECK_INT(mkdir(place.path, 0700), 0);
}

static void a_salvage_that_fails_at_any_step_leaves_nothing_or_all(void)
{
	unsigned before = core_open_files(), made = 0;

	begin();
	changed = NULL;
	for (unsigned at = 1; !made; at++) {
		struct fault_io fault;
		int err;

		fault_init(&fault);
		fault.no_sync = true;
		fault.fail_at = at;
		fault.fail_with = -ENOSPC;
		err = salvage(&fault.io, dir.path, target, NULL, NULL, &error);
		made = fault.calls < at;
		CHECK_INT(core_open_files(), before);
		if (err && !exists()) {
			CHECK(error.message[0]);
			check_nothing_made();
			continue;
		}
		check_target();
		CHECK_INT(left(), 0);
		remove_target();
	}
	end();
}

/* The first block of the first segment cannot be read. */
static ssize_t fail_first_block(const struct io *io, int fd, void *buffer, size_t n, off_t offset)
{
	struct stat st;

	CHECK_INT(fstat(fd, &st), 0);
	if (st.st_size > 4096 && offset < 4096)
		return -EIO;
	return io_system.pread(&io_system, fd, buffer, n, offset);
}

static void what_the_disk_cannot_read_is_lost_and_nothing_else(void)
{
	struct io io = io_system;
	struct dwal_salvage_stats stats;
	unsigned char value[3000] = {1};
	char key[16];
	dwal_kv *kv;

	begin();
	unit_dir_remove(&dir);
	dir = unit_dir_make();
	kv = open_store();
	for (int i = 0; i < 6; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		CHECK_INT(dwal_kv_put(kv, key, 2, value, sizeof(value)), 0);
	}
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "last", "value");
	CHECK_INT(dwal_kv_close(kv), 0);
	io.pread = fail_first_block;
	CHECK_INT(salvage(&io, dir.path, target, NULL, &stats, &error), 0);
	CHECK_INT(stats.records, 5); /* k0 and k1 reach into it */
	CHECK_INT(kv_open(&io, dir.path,
			  &(struct dwal_options){.read_only = true, .degraded = true}, &kv, &error),
		  0);
	CHECK_INT(dwal_kv_len(kv), 5);
	check_value(kv, "last", "value");
	CHECK_INT(dwal_kv_close(kv), 0);
	end();
}

UNIT_MAIN(UNIT(whatever_byte_is_changed_all_else_is_salvaged),
	  UNIT(a_whole_log_is_copied_whole_and_has_no_horizon),
	  UNIT(a_salvage_that_fails_at_any_step_leaves_nothing_or_all),
	  UNIT(what_the_disk_cannot_read_is_lost_and_nothing_else))
