/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The files stay the writer's own: what somebody else does to them is found
 * before anything more is called durable, and what is no fault is none.
 */
#include "core.h"
#include "fault_io.h"
#include "log.h"
#include "util.h"

#include <sys/file.h>

static struct unit_dir dir;
static struct fault_io fault;

static dwal_log *begin_with(struct dwal_options options)
{
	dir = unit_dir_make();
	fault_init(&fault);
	return core_open_io(&fault.io, dir.path, &options);
}

/* Records 1 and 2, durable. */
static dwal_log *begin(void)
{
	dwal_log *log = begin_with((struct dwal_options){0});

	CHECK_INT(core_append(log, 1, 100), 0);
	CHECK_INT(core_append(log, 2, 100), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	return log;
}

static void finish(dwal_log *log)
{
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static const char *in_dir(const char *name)
{
	return core_path(dir.path, name);
}

static void check_poisoned(dwal_log *log, const char *why)
{
	const char *refusal = dwal_log_refusal(log);

	CHECK(dwal_log_is_poisoned(log));
	CHECK(refusal && !strchr(refusal, '\n'));
	if (!strstr(refusal, why))
		fprintf(stderr, "'%s' is not in: %s\n", why, refusal);
	CHECK(strstr(refusal, why) && strstr(refusal, "MOUNT/.log/*.dwal"));
	CHECK_INT(core_append(log, 9, 10), DWAL_EPOISONED);
	CHECK_INT(dwal_log_sync(log), DWAL_EPOISONED);
	CHECK_INT(dwal_log_rotate(log), DWAL_EPOISONED);
	CHECK_INT(dwal_log_check(log), DWAL_EPOISONED);
}

/* What somebody does to the only segment, and how it is called. */
struct deed {
	void (*run)(void);
	const char *why;
};

static void remove_it(void)
{
	CHECK(unlink(in_dir("00000001.dwal")) == 0);
}

static void rename_it(void)
{
	CHECK(rename(in_dir("00000001.dwal"), in_dir("elsewhere")) == 0);
}

static void put_a_copy_in_its_place(void)
{
	struct core_bytes b = core_read(dir.path, "00000001.dwal");

	core_write(dir.path, "copy", b.data, b.len);
	free(b.data);
	CHECK(rename(in_dir("copy"), in_dir("00000001.dwal")) == 0);
}

static void put_a_link_in_its_place(void)
{
	rename_it();
	CHECK(symlink("elsewhere", in_dir("00000001.dwal")) == 0);
}

static void cut_all(void)
{
	CHECK(truncate(in_dir("00000001.dwal"), 0) == 0);
}

static void cut_one_byte(void)
{
	CHECK(truncate(in_dir("00000001.dwal"), 2 * 128 - 1) == 0);
}

/* cp OLDER 00000001.dwal: the same file, with what it was before. */
static void copy_an_older_state_into_it(void)
{
	struct core_bytes b = core_read(dir.path, "00000001.dwal");

	core_write(dir.path, "00000001.dwal", b.data, 128);
	free(b.data);
}

static void write_over_its_end(void)
{
	int fd = open(in_dir("00000001.dwal"), O_WRONLY);

	CHECK(fd >= 0 && pwrite(fd, "xxxx", 4, 2 * 128 - 4) == 4);
	close(fd);
}

static void append_to_it(void)
{
	int fd = open(in_dir("00000001.dwal"), O_WRONLY | O_APPEND);

	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

static void add_a_segment(void)
{
	core_write(dir.path, "00000007.dwal", "", 0);
}

static void remove_the_directory(void)
{
	remove_it();
	CHECK(unlink(in_dir(".lock")) == 0);
	CHECK(rmdir(dir.path) == 0);
	CHECK(mkdir(dir.path, 0700) == 0); /* another one in its place */
}

static const struct deed deeds[] = {
	{remove_it, "removed"},
	{rename_it, "removed or renamed"},
	{put_a_copy_in_its_place, "replaced"},
	{put_a_link_in_its_place, "replaced"},
	{cut_all, "cut"},
	{cut_one_byte, "cut"},
	{copy_an_older_state_into_it, "cut"},
	{write_over_its_end, "overwritten"},
	{append_to_it, "somebody else has written"},
	{add_a_segment, "00000007.dwal: somebody else has made"},
	{remove_the_directory, "removed the directory"},
};

static void what_somebody_does_to_the_files_is_found_before_a_sync_is_reported(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
		dwal_log *log = begin();

		deeds[i].run();
		if (deeds[i].run == append_to_it) /* our record would lie over it */
			CHECK_INT(dwal_log_check(log), DWAL_EPOISONED);
		else
			CHECK_INT(core_append(log, 3, 100), 0);
		CHECK_INT(dwal_log_sync(log), DWAL_EPOISONED);
		check_poisoned(log, deeds[i].why);
		finish(log);
	}
}

static void what_somebody_does_to_the_files_is_found_by_a_check_alone(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
		dwal_log *log = begin();

		CHECK_INT(dwal_log_check(log), 0);
		deeds[i].run();
		CHECK_INT(dwal_log_check(log), DWAL_EPOISONED);
		check_poisoned(log, deeds[i].why);
		finish(log);
	}
}

/* Whatever the offset, and however many appends hide it: the size is right again. */
static void a_cut_is_found_although_more_was_appended_behind_it(void)
{
	for (uint64_t n = 3; n < 40; n += 4) {
		dwal_log *log = begin();

		for (uint64_t i = 3; i < n; i++)
			CHECK_INT(core_append(log, i, 100), 0);
		CHECK(truncate(in_dir("00000001.dwal"), (off_t)((n - 1) * 128 - 20)) == 0);
		for (uint64_t i = n; i < 3 * n; i++)
			CHECK_INT(core_append(log, i, 100), 0);
		CHECK_INT(dwal_log_sync(log), DWAL_EPOISONED);
		check_poisoned(log, "cut or overwritten");
		finish(log);
	}
}

static void a_log_that_was_only_opened_notices_that_it_was_cut(void)
{
	dwal_log *log = begin();

	CHECK_INT(dwal_log_close(log), 0);
	log = core_open_io(&fault.io, dir.path, NULL);
	cut_all();
	CHECK_INT(core_append(log, 3, 100), 0);
	CHECK_INT(core_append(log, 4, 156), 0);
	CHECK_INT(dwal_log_sync(log), DWAL_EPOISONED);
	check_poisoned(log, "cut");
	finish(log);
}

static void a_rotation_does_not_go_past_what_somebody_has_made(void)
{
	dwal_log *log = begin();

	core_write(dir.path, "00000002.dwal", "", 0);
	CHECK_INT(dwal_log_rotate(log), DWAL_EPOISONED);
	CHECK(dwal_log_is_poisoned(log));
	CHECK(strstr(dwal_log_refusal(log), "00000002.dwal"));
	finish(log);
	log = begin();
	remove_the_directory();
	CHECK_INT(dwal_log_rotate(log), DWAL_EPOISONED);
	finish(log);
}

/* ---- no faults ---- */

static void a_backup_by_hard_links_and_a_moved_directory_are_no_fault(void)
{
	dwal_log *log = begin();
	struct unit_dir there = unit_dir_make();

	CHECK(mkdir(in_dir("backup"), 0700) == 0);
	CHECK(link(in_dir("00000001.dwal"), in_dir("backup/00000001.dwal")) == 0);
	CHECK_INT(core_append(log, 3, 100), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK(rename(dir.path, there.path) == 0);
	CHECK_INT(core_append(log, 4, 100), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(core_append(log, 5, 100), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK_INT(dwal_log_check(log), 0);
	CHECK(core_exists(there.path, "00000002.dwal"));
	dir = there;
	finish(log);
}

static bool is_locked(const char *name)
{
	int rc, fd = open(in_dir(name), O_RDONLY);

	CHECK(fd >= 0);
	rc = flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return rc != 0;
}

static void a_lock_file_that_is_gone_or_replaced_is_made_and_locked_again(void)
{
	dwal_log *log = begin();

	CHECK(unlink(in_dir(".lock")) == 0);
	CHECK_INT(dwal_log_check(log), 0);
	CHECK(is_locked(".lock"));
	CHECK(unlink(in_dir(".lock")) == 0);
	core_write(dir.path, ".lock", "", 0);
	CHECK_INT(core_append(log, 3, 100), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK(is_locked(".lock"));
	CHECK_INT(dwal_log_close(log), 0);
	CHECK(!is_locked(".lock"));
	CHECK(!is_locked("."));
	unit_dir_remove(&dir);
}

static int no_directory_locks(const struct io *io, int fd, int operation)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	return S_ISDIR(st.st_mode) ? -EBADF : io_system.flock(&io_system, fd, operation);
}

/* .lock is all there is to keep others out. */
static void where_directories_cannot_be_locked_the_file_is_enough(void)
{
	dwal_log *log = begin(), *second;
	struct dwal_error error;
	int fd;

	CHECK_INT(dwal_log_close(log), 0);
	fault.io.flock = no_directory_locks;
	log = core_open_io(&fault.io, dir.path, NULL);
	CHECK(!is_locked("."));
	CHECK_INT(dwal_log_open(dir.path, NULL, &second, &error), DWAL_ELOCKED);
	CHECK(unlink(in_dir(".lock")) == 0);
	CHECK_INT(dwal_log_check(log), 0);
	CHECK(is_locked(".lock"));
	CHECK(unlink(in_dir(".lock")) == 0);
	fd = open(in_dir(".lock"), O_RDWR | O_CREAT, 0600); /* another writer */
	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	CHECK_INT(core_append(log, 3, 100), 0);
	CHECK_INT(dwal_log_sync(log), DWAL_EPOISONED);
	check_poisoned(log, "lock");
	close(fd);
	finish(log);
}

/* ---- no false alarm ---- */

enum { THREADS = 4, EACH = 300 };
static atomic_bool stop;

static void *append_and_sync(void *log)
{
	for (uint64_t i = 0; i < EACH; i++) {
		CHECK_INT(core_append(log, i, 10 + i % 300), 0);
		if (i % 3 == 0)
			CHECK_INT(dwal_log_sync(log), 0);
		if (i % 50 == 49)
			CHECK_INT(dwal_log_rotate(log), 0);
	}
	return NULL;
}

static void *check_all_the_time(void *log)
{
	while (!atomic_load(&stop)) {
		CHECK_INT(dwal_log_check(log), 0);
		(void)unlink(in_dir(".lock"));
	}
	return NULL;
}

static ssize_t pieces(const struct io *io, int fd, const struct iovec *iov, int n, off_t offset)
{
	struct iovec first = {.iov_base = iov->iov_base, .iov_len = (iov->iov_len + 1) / 2};

	return io_system.pwritev(&io_system, fd, &first, 1, offset);
}

/* A check comes between the next segment's name and the end of the rotation. */
static int slow_fsync(const struct io *io, int fd)
{
	return usleep(2000);
}

static void appends_syncs_and_rotations_beside_checks_raise_no_alarm(void)
{
	dwal_log *log = begin_with((struct dwal_options){.segment_size = 20000});
	static uint64_t numbers[THREADS * EACH];
	pthread_t threads[THREADS], checker;

	fault.no_sync = true;
	fault.io.pwritev = pieces;
	fault.io.fsync = slow_fsync;
	atomic_store(&stop, false);
	CHECK(pthread_create(&checker, NULL, check_all_the_time, log) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, append_and_sync, log) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, true);
	pthread_join(checker, NULL);
	CHECK(!dwal_log_refusal(log));
	CHECK_INT(core_numbers(log, numbers, THREADS * EACH), THREADS * EACH);
	finish(log);
}

UNIT_MAIN(UNIT(what_somebody_does_to_the_files_is_found_before_a_sync_is_reported),
	  UNIT(what_somebody_does_to_the_files_is_found_by_a_check_alone),
	  UNIT(a_cut_is_found_although_more_was_appended_behind_it),
	  UNIT(a_log_that_was_only_opened_notices_that_it_was_cut),
	  UNIT(a_rotation_does_not_go_past_what_somebody_has_made),
	  UNIT(a_backup_by_hard_links_and_a_moved_directory_are_no_fault),
	  UNIT(a_lock_file_that_is_gone_or_replaced_is_made_and_locked_again),
	  UNIT(where_directories_cannot_be_locked_the_file_is_enough),
	  UNIT(appends_syncs_and_rotations_beside_checks_raise_no_alarm))
