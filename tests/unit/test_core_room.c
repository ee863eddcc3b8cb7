/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The room that a log keeps for removals: who may use it, and when it is taken,
 * given up and taken again. And the copy that an open makes of a segment with
 * other names.
 */
#include "core.h"
#include "full_disk.h"
#include "kv.h"
#include "log_state.h"

#include <errno.h>

#define MIB ((uint64_t)1 << 20)

static struct unit_dir dir;
static struct full_disk disk;
static const struct dwal_options reserving = {.reserve = true};

static dwal_kv *open_kv(const struct dwal_options *options)
{
	struct dwal_error error;
	dwal_kv *kv = NULL;

	if (kv_open(&disk.fault.io, dir.path, options, &kv, &error)) {
		fprintf(stderr, "%s\n", error.message);
		abort();
	}
	return kv;
}

static dwal_kv *begin(bool no_ahead, uint64_t segment_size)
{
	struct dwal_options options = reserving;

	options.segment_size = segment_size;
	dir = unit_dir_make();
	full_disk_init(&disk, 16 * MIB);
	disk.no_ahead = no_ahead;
	return open_kv(&options);
}

static void end(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static int put(dwal_kv *kv, unsigned number)
{
	static const char value[1000];
	char key[16];

	return dwal_kv_put(kv, key, (size_t)sprintf(key, "%u", number), value, sizeof(value));
}

static int del(dwal_kv *kv, unsigned number)
{
	char key[16];

	return dwal_kv_delete(kv, key, (size_t)sprintf(key, "%u", number));
}

static unsigned put_all(dwal_kv *kv)
{
	unsigned n = 0;

	while (put(kv, n) == 0)
		n++;
	CHECK_INT(put(kv, n), -ENOSPC);
	return n;
}

static unsigned delete_all(dwal_kv *kv)
{
	unsigned n = 0;

	while (del(kv, n) == 0)
		n++;
	CHECK_INT(del(kv, n), -ENOSPC);
	return n;
}

static uint64_t size_of(const char *name)
{
	struct stat st;

	return stat(core_path(dir.path, name), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool has_written(const char *name)
{
	char line[64];

	snprintf(line, sizeof(line), "write %s\n", name);
	return strstr(disk.fault.trace, line);
}

static void puts_leave_room_for_removals(void)
{
	dwal_kv *kv = begin(false, 0);
	uint64_t before;

	disk.room = 0; /* others have taken it */
	CHECK(put_all(kv) > 100);
	before = size_of("00000001.dwal");
	disk.fault.trace[0] = '\0';
	CHECK_INT(put(kv, 0), -ENOSPC);
	CHECK(!has_written("00000001.dwal") && !strstr(disk.fault.trace, "ftruncate"));
	CHECK_INT((long)size_of("00000001.dwal"), (long)before);
	for (unsigned i = 0; i < RESERVE_KEEP / 100; i++)
		CHECK_INT(del(kv, i), 0);
	CHECK_INT((long)size_of(".reserve"), (long)RESERVE_SIZE); /* not needed */
	CHECK(!dwal_kv_is_poisoned(kv));
	end(kv);
}

/* To the last byte, and back. */
static void what_is_given_up_is_for_removals_until_it_is_there_again(void)
{
	for (int no_ahead = 0; no_ahead < 2; no_ahead++) {
		dwal_kv *kv = begin(no_ahead, 0);
		unsigned n;

		for (unsigned i = 0; i < 10; i++)
			CHECK_INT(put(kv, i), 0);
		disk.room = 0;
		(void)put_all(kv);
		n = delete_all(kv);
		CHECK(n > RESERVE_SIZE / 100);
		CHECK_INT((long)size_of(".reserve"), 0);
		CHECK_INT(put(kv, 0), -ENOSPC);
		disk.room = MIB - 1;
		CHECK_INT(put(kv, 0), -ENOSPC); /* not while it could not be removed again */
		CHECK_INT(del(kv, 0), 0);
		disk.room = 3 * MIB;
		CHECK_INT(put(kv, 0), 0);
		CHECK_INT((long)size_of(".reserve"), (long)RESERVE_SIZE);
		CHECK_INT((long)dwal_kv_len(kv), n < 10 ? 10 - (long)n : 1);
		CHECK(!dwal_kv_is_poisoned(kv));
		CHECK_INT(dwal_kv_close(kv), 0);
		kv = open_kv(&reserving);
		CHECK(dwal_kv_contains(kv, "0", 1));
		end(kv);
	}
}

static void a_check_makes_it_again(void)
{
	dwal_kv *kv = begin(true, 0);

	CHECK_INT(put(kv, 0), 0);
	disk.room = 0;
	CHECK_INT(del(kv, 0), 0);
	CHECK_INT((long)size_of(".reserve"), 0);
	CHECK_INT(dwal_kv_check(kv), 0);
	CHECK_INT((long)size_of(".reserve"), 0);
	disk.room = 2 * MIB;
	CHECK_INT(dwal_kv_check(kv), 0);
	CHECK_INT((long)size_of(".reserve"), (long)RESERVE_SIZE);
	end(kv);
}

static void what_is_lent_is_not_made_again_before_it_comes_back(void)
{
	dwal_kv *kv = begin(true, 0);

	CHECK_INT(put(kv, 0), 0);
	CHECK_INT(log_lend_reserve(kv->log), 0);
	CHECK_INT(log_lend_reserve(kv->log), DWAL_ABSENT);
	CHECK_INT(put(kv, 1), -ENOSPC);
	CHECK_INT(dwal_kv_check(kv), 0);
	CHECK_INT((long)size_of(".reserve"), 0);
	log_end_lending(kv->log);
	CHECK_INT((long)size_of(".reserve"), (long)RESERVE_SIZE);
	CHECK_INT(put(kv, 1), 0);
	end(kv);
}

static void removals_go_on_where_no_segment_can_be_made(void)
{
	dwal_kv *kv = begin(false, 2000);

	CHECK_INT(put(kv, 0), 0);
	disk.no_create = true;
	CHECK_INT(put(kv, 1), -ENOSPC);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_INT(del(kv, i), 0);
	CHECK_INT(dwal_kv_active_segment(kv), 1);
	CHECK(size_of("00000001.dwal") > 10000);
	disk.no_create = false;
	CHECK_INT(put(kv, 1), 0);
	CHECK_INT(dwal_kv_active_segment(kv), 2);
	end(kv);
}

/* Ahead of the active segment and of no other; and its time is what it was. */
static void blocks_ahead_are_taken_again_and_given_back(void)
{
	dwal_kv *kv = begin(false, 0);
	const struct segment *active = log_active(kv->log);
	const struct timespec old[2] = {{1, 0}, {1, 0}};
	uint64_t room;
	struct stat st;
	int fd;

	CHECK_INT((long)disk.blocks[active->fd], (long)RESERVE_STEP);
	CHECK_INT(put(kv, 0), 0);
	fd = active->fd;
	disk.fault.short_write = 100; /* and then: */
	disk.fault.fail_at = disk.fault.calls + 2;
	CHECK_INT(put(kv, 1), -EIO);
	disk.fault.short_write = 0;
	CHECK(disk.blocks[fd] >= active->end + RESERVE_KEEP); /* again, behind the cut */
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT((long)disk.blocks[fd], (long)size_of("00000001.dwal"));
	active = log_active(kv->log);
	CHECK_INT((long)disk.blocks[active->fd], (long)RESERVE_STEP);
	CHECK_INT(put(kv, 1), 0);
	fd = active->fd;
	CHECK(futimens(fd, old) == 0);
	room = disk.room;
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK_INT((long)(disk.room - room), (long)(RESERVE_STEP - size_of("00000002.dwal")));
	kv = open_kv(&reserving);
	CHECK(fstat(log_active(kv->log)->fd, &st) == 0 && st.st_mtim.tv_sec == 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK(stat(core_path(dir.path, "00000002.dwal"), &st) == 0 && st.st_mtim.tv_sec == 1);
	unit_dir_remove(&dir);
}

/* Nothing but the file could be written: what is not wanted costs nothing. */
static void without_the_option_nothing_is_kept_and_what_is_there_is_used(void)
{
	dwal_kv *kv = begin(true, 0);

	CHECK_INT(put(kv, 0), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	disk.no_ahead = false;
	disk.fault.trace[0] = '\0';
	kv = open_kv(NULL);
	CHECK_INT(put(kv, 1), 0);
	CHECK(!strstr(disk.fault.trace, "allocate") && !strstr(disk.fault.trace, ".reserve"));
	disk.room = 0;
	CHECK_INT(put(kv, 2), -ENOSPC);
	CHECK_INT(del(kv, 0), 0);
	CHECK_INT((long)size_of(".reserve"), 0);
	end(kv);
}

/* An append costs what it cost without: one call. */
static void an_ordinary_append_is_one_call(void)
{
	dwal_kv *kv = begin(false, 0);
	unsigned before;

	CHECK_INT(put(kv, 0), 0);
	before = disk.fault.every;
	for (unsigned i = 0; i < 500; i++) {
		CHECK_INT(put(kv, i), 0);
		CHECK_INT(del(kv, i), 0);
	}
	CHECK_INT(disk.fault.every - before, 1000);
	end(kv);
}

static void a_large_append_that_is_refused_takes_no_room(void)
{
	dwal_kv *kv = begin(false, 0);
	char *value = calloc(1, 8 * MIB);

	CHECK(value);
	disk.room = 4 * MIB;
	CHECK_INT(dwal_kv_put(kv, "k", 1, value, 8 * MIB), -ENOSPC);
	CHECK(disk.room >= 4 * MIB);
	CHECK(disk.blocks[log_active(kv->log)->fd] >= RESERVE_KEEP);
	free(value);
	end(kv);
}

static void what_bears_its_name_and_is_not_it_is_no_reason_to_fail(void)
{
	for (int i = 0; i < 3; i++) {
		dwal_kv *kv = begin(true, 0);
		const char *path = core_path(dir.path, ".reserve");
		const char *other = core_path(dir.path, "other");

		CHECK_INT(put(kv, 0), 0);
		CHECK_INT(dwal_kv_close(kv), 0);
		if (i == 0) { /* a backup of it keeps the blocks */
			CHECK(link(path, other) == 0);
		} else {
			CHECK(unlink(path) == 0);
			core_write(dir.path, "other", "somebody's", 10);
			CHECK((i == 1 ? symlink("other", path) : mkdir(path, 0700)) == 0);
		}
		kv = open_kv(&reserving);
		CHECK_INT(put(kv, 1), 0);
		disk.room = i == 0 ? 0 : 1000;
		CHECK_INT(del(kv, 0), 0);
		CHECK_INT((long)size_of("other"), i == 0 ? (long)RESERVE_SIZE : 10);
		CHECK_INT(dwal_kv_close(kv), 0);
		if (i == 2)
			CHECK(rmdir(path) == 0);
		unit_dir_remove(&dir);
	}
}

/* The call of that number, one that a full disk may well refuse. */
static bool is_of_room(unsigned at)
{
	const char *line = disk.fault.trace;

	while (--at)
		line = strchr(line, '\n') + 1;
	return strncmp(line, "write", 5) == 0 || strncmp(line, "create", 6) == 0 ||
	       strncmp(line, "allocate", 8) == 0;
}

/* Each call of a run fails once for want of room: nothing is lost, nothing that
 * failed is there, and it goes on. */
static bool run_with_a_failure(unsigned at)
{
	const unsigned count = 6;
	bool was_put[6] = {false}, was_deleted[6] = {false};
	struct dwal_options options = {.reserve = true, .segment_size = 2500};
	dwal_kv *kv;
	bool ended;

	dir = unit_dir_make();
	full_disk_init(&disk, 64 * MIB);
	disk.fault.fail_at = at;
	disk.fault.fail_with = -ENOSPC;
	if (kv_open(&disk.fault.io, dir.path, &options, &kv, NULL) == 0) {
		for (unsigned i = 0; i < count; i++) {
			was_put[i] = put(kv, i) == 0;
			was_deleted[i] = i % 2 && del(kv, i) == 0;
		}
		CHECK(!dwal_kv_is_poisoned(kv) || !is_of_room(at));
		(void)dwal_kv_close(kv);
	}
	ended = disk.fault.calls < at;
	disk.fault.fail_at = 0;
	kv = open_kv(&options);
	for (unsigned i = 0; i < count; i++) {
		const char key[] = {(char)('0' + i)};

		CHECK_INT(dwal_kv_contains(kv, key, 1), was_put[i] && !was_deleted[i]);
	}
	CHECK_INT(put(kv, 0), 0);
	end(kv);
	return ended;
}

static void any_call_may_find_the_disk_full(void)
{
	unsigned at = 1;

	while (!run_with_a_failure(at))
		at++;
	CHECK(at > 40);
}

/* ------------------------------------------------------------------ backups */

static void make_backup(size_t torn)
{
	static const char junk[64] = "DWAL\1\0\1";
	int fd;

	dir = unit_dir_make();
	full_disk_init(&disk, 16 * MIB);
	CHECK_INT(dwal_kv_close(open_kv(NULL)), 0);
	fd = open(core_path(dir.path, "00000001.dwal"), O_WRONLY | O_APPEND);
	CHECK(fd >= 0 && write(fd, junk, torn) == (ssize_t)torn && fchmod(fd, 0640) == 0);
	CHECK(futimens(fd, (const struct timespec[2]){{1, 2}, {3, 4}}) == 0);
	CHECK(close(fd) == 0);
	CHECK(link(core_path(dir.path, "00000001.dwal"), core_path(dir.path, "backup")) == 0);
}

static void check_backup(size_t torn)
{
	struct stat st;

	CHECK(stat(core_path(dir.path, "backup"), &st) == 0);
	CHECK_INT(st.st_size, (long)torn);
	CHECK(st.st_mtim.tv_sec == 3 && st.st_mtim.tv_nsec == 4);
}

static void a_backup_by_hard_links_stays_what_it_is(void)
{
	for (size_t torn = 0; torn < 64; torn += 40) {
		struct stat st;
		dwal_kv *kv;

		make_backup(torn);
		kv = open_kv(NULL);
		CHECK(stat(core_path(dir.path, "00000001.dwal"), &st) == 0);
		CHECK(st.st_nlink == 1 && (st.st_mode & 0777) == 0640);
		CHECK(st.st_mtim.tv_sec == 3 && st.st_mtim.tv_nsec == 4);
		CHECK_INT(dwal_kv_report(kv)->made_side_file != NULL, torn > 0);
		CHECK_INT(put(kv, 0), 0);
		CHECK_INT(dwal_kv_sync(kv), 0);
		CHECK_INT(dwal_kv_close(kv), 0);
		check_backup(torn);
		kv = open_kv(NULL);
		CHECK(dwal_kv_contains(kv, "0", 1));
		CHECK_INT(dwal_kv_close(kv), 0);
		unit_dir_remove(&dir);
	}
}

static void without_a_copy_of_it_the_log_is_read_only(void)
{
	unsigned at = 1;
	bool ended;

	do {
		dwal_kv *kv = NULL;

		make_backup(40);
		disk.fault.fail_at = disk.fault.calls + at++;
		if (kv_open(&disk.fault.io, dir.path, NULL, &kv, NULL) == 0 && dwal_kv_refusal(kv))
			CHECK_INT(put(kv, 0), DWAL_EREADONLY);
		else if (kv)
			(void)put(kv, 0); /* which may be what fails */
		(void)dwal_kv_close(kv);
		ended = disk.fault.calls < disk.fault.fail_at;
		check_backup(40);
		disk.fault.fail_at = 0;
		kv = open_kv(NULL);
		CHECK_INT(put(kv, 1), 0);
		CHECK_INT(dwal_kv_close(kv), 0);
		check_backup(40);
		CHECK(!core_exists(dir.path, "own.1.dwal-tmp"));
		unit_dir_remove(&dir);
	} while (!ended);
	CHECK(at > 15);
}

static void a_copy_that_needs_it_gets_the_room(void)
{
	dwal_kv *kv = begin(false, 0);

	for (unsigned i = 0; i < 300; i++)
		CHECK_INT(put(kv, i), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK(link(core_path(dir.path, "00000001.dwal"), core_path(dir.path, "backup")) == 0);
	disk.room = 1000;
	kv = open_kv(&reserving);
	CHECK(!dwal_kv_refusal(kv));
	CHECK_INT(put(kv, 0), -ENOSPC);
	CHECK_INT(del(kv, 0), 0);
	end(kv);
}

UNIT_MAIN(UNIT(puts_leave_room_for_removals),
	  UNIT(what_is_given_up_is_for_removals_until_it_is_there_again),
	  UNIT(a_check_makes_it_again), UNIT(what_is_lent_is_not_made_again_before_it_comes_back),
	  UNIT(removals_go_on_where_no_segment_can_be_made),
	  UNIT(blocks_ahead_are_taken_again_and_given_back),
	  UNIT(without_the_option_nothing_is_kept_and_what_is_there_is_used),
	  UNIT(an_ordinary_append_is_one_call), UNIT(a_large_append_that_is_refused_takes_no_room),
	  UNIT(what_bears_its_name_and_is_not_it_is_no_reason_to_fail),
	  UNIT(any_call_may_find_the_disk_full), UNIT(a_backup_by_hard_links_stays_what_it_is),
	  UNIT(without_a_copy_of_it_the_log_is_read_only), UNIT(a_copy_that_needs_it_gets_the_room))
