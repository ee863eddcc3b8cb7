/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How the files of a log are made and opened: with whose mode, through what
 * names, and how many at once.
 */
#include "core.h"
#include "fault_io.h"
#include "log.h"
#include "reader.h"
#include "util.h"

#include <sys/resource.h>

static struct unit_dir dir;
static struct fault_io fault;

static dwal_log *begin(void)
{
	dir = unit_dir_make();
	fault_init(&fault);
	fault.no_sync = true;
	return core_open_io(&fault.io, dir.path, NULL);
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

static mode_t mode_of(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return st.st_mode & 07777;
}

static void a_new_log_directory_is_private_and_a_given_one_passes_its_mode_on(void)
{
	static const mode_t modes[][2] = {{0700, 0600}, {0750, 0640},  {0775, 0664},
					  {0755, 0644}, {03770, 0660}, {0500, 0600}};
	mode_t old = umask(0);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		dir = unit_dir_make();
		if (geteuid() == 0 || modes[i][0] & 0200) {
			CHECK(chmod(dir.path, modes[i][0]) == 0);
			CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
			CHECK_INT(mode_of(in_dir("00000001.dwal")), modes[i][1]);
			CHECK_INT(mode_of(in_dir(".lock")), modes[i][1]);
			CHECK_INT(mode_of(dir.path), modes[i][0]);
		}
		unit_dir_remove(&dir);
	}
	dir = unit_dir_make();
	CHECK_INT(dwal_log_close(core_open(in_dir("new"), NULL)), 0);
	CHECK_INT(mode_of(in_dir("new")), 0700);
	CHECK_INT(mode_of(in_dir("new/00000001.dwal")), 0600);
	CHECK_INT(mode_of(in_dir("new/.lock")), 0600);
	unit_dir_remove(&dir);
	umask(old);
}

static void a_new_file_takes_the_mode_of_the_newest_segment(void)
{
	static const mode_t modes[][2] = {{0600, 0600}, {0640, 0640},  {0664, 0664}, {0444, 0644},
					  {0400, 0600}, {06777, 0666}, {0460, 0660}};
	mode_t old = umask(077);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		dwal_log *log = begin();
		struct core_bytes b;

		CHECK_INT(core_append(log, 1, 100), 0);
		CHECK_INT(dwal_log_rotate(log), 0);
		CHECK_INT(core_append(log, 2, 100), 0);
		CHECK(chmod(in_dir("00000001.dwal"), 0600) == 0);
		CHECK(chmod(in_dir("00000002.dwal"), modes[i][0]) == 0);
		CHECK_INT(dwal_log_rotate(log), 0);
		CHECK_INT(mode_of(in_dir("00000003.dwal")), modes[i][1]);
		CHECK(unlink(in_dir(".lock")) == 0);
		CHECK_INT(dwal_log_check(log), 0);
		CHECK_INT(mode_of(in_dir(".lock")), modes[i][1]);
		CHECK_INT(core_append(log, 3, 100), 0);
		CHECK_INT(dwal_log_close(log), 0);
		b = core_read(dir.path, "00000003.dwal"); /* a torn tail */
		CHECK(truncate(in_dir("00000003.dwal"), (off_t)b.len - 5) == 0);
		free(b.data);
		CHECK(unlink(in_dir(".lock")) == 0);
		CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
		CHECK_INT(mode_of(in_dir("00000003.dwal.torn-0")), modes[i][1]);
		CHECK_INT(mode_of(in_dir(".lock")), modes[i][1]);
		unit_dir_remove(&dir);
	}
	umask(old);
}

static int private_open(const struct io *io, int dirfd, const char *name, int flags, mode_t mode)
{
	CHECK(!(flags & O_CREAT) || (mode == 0600 && flags & O_EXCL && flags & O_NOFOLLOW));
	CHECK(strchr(name, '/') || flags & O_DIRECTORY || flags & O_NOFOLLOW);
	CHECK(flags & (O_DIRECTORY | O_CREAT) || flags & O_NONBLOCK);
	return fault_open(io, dirfd, name, flags, mode);
}

static int foreign_owner(const struct io *io, int fd, struct stat *st)
{
	int rc = io_system.fstat(&io_system, fd, st);

	if (S_ISDIR(st->st_mode) || strstr(fault_of(io)->names[fd], "1.dwal")) {
		st->st_uid = 4321;
		st->st_gid = 1234;
	}
	return rc;
}

static int chown_errno;
static int refused_fchown(const struct io *io, int fd, uid_t uid, gid_t gid)
{
	struct stat st;

	CHECK(uid == 4321 || uid == (uid_t)-1);
	CHECK_INT(gid, 1234);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0600); /* not yet for others */
	return uid == 4321 ? -EPERM : chown_errno;
}

/* The owner only root can give; the group may be one of ours, or not. */
static void a_file_is_nobody_elses_before_it_has_its_group_and_less_open_without_it(void)
{
	static const mode_t modes[][3] = {
		{0660, 0660, 0600}, {0664, 0664, 0644}, {0640, 0640, 0600}};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(modes); i++) {
		dwal_log *log = begin();

		fault.io.open = private_open;
		fault.io.fchown = refused_fchown;
		fault.io.fstat = foreign_owner;
		chown_errno = i % 2 ? -EPERM : 0;
		CHECK(chmod(in_dir("00000001.dwal"), modes[i / 2][0]) == 0);
		CHECK_INT(core_append(log, 1, 100), 0);
		CHECK_INT(dwal_log_rotate(log), 0);
		CHECK_INT(mode_of(in_dir("00000002.dwal")), modes[i / 2][1 + i % 2]);
		finish(log);
	}
}

static void make_link(const char *path)
{
	core_write(dir.path, "elsewhere", "", 0);
	CHECK(symlink("elsewhere", path) == 0);
}

static void make_dangling_link(const char *path)
{
	CHECK(symlink("nowhere", path) == 0);
}

static void make_fifo(const char *path)
{
	CHECK(mkfifo(path, 0600) == 0);
}

static void make_directory(const char *path)
{
	CHECK(mkdir(path, 0700) == 0);
}

static void a_segment_that_is_no_regular_file_is_refused_by_name_and_nothing_is_changed(void)
{
	static void (*const make[])(const char *) = {make_link, make_dangling_link, make_fifo,
						     make_directory};
	static const char *const names[] = {"00000000.dwal", "00000002.dwal"};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(make); i++) {
		const char *name = names[i % 2];
		struct dwal_error error;
		dwal_reader *reader;
		dwal_log *log = begin();

		CHECK_INT(core_append(log, 1, 100), 0);
		CHECK_INT(dwal_log_close(log), 0);
		CHECK(unlink(in_dir(".lock")) == 0);
		make[i / 2](in_dir(name));
		CHECK_INT(dwal_log_open(dir.path, NULL, &log, &error), DWAL_ENOTFILE);
		CHECK(strstr(error.message, name) && !strchr(error.message, '\n'));
		CHECK_INT(dwal_reader_open(dir.path, &reader, &error), DWAL_ENOTFILE);
		CHECK(strstr(error.message, name) && !strchr(error.message, '\n'));
		CHECK(!core_exists(dir.path, ".lock") && !core_exists(dir.path, "nowhere"));
		unit_dir_remove(&dir);
	}
}

static void a_lock_file_that_is_no_regular_file_is_refused_by_name(void)
{
	static void (*const make[])(const char *) = {make_link, make_dangling_link, make_fifo,
						     make_directory};

	for (size_t i = 0; i < ARRAY_SIZE(make); i++) {
		struct dwal_error error;
		dwal_log *log = begin();

		CHECK_INT(dwal_log_close(log), 0);
		CHECK(unlink(in_dir(".lock")) == 0);
		make[i](in_dir(".lock"));
		CHECK_INT(dwal_log_open(dir.path, NULL, &log, &error), DWAL_ENOTFILE);
		CHECK(strstr(error.message, ".lock"));
		CHECK(!core_exists(dir.path, "nowhere"));
		unit_dir_remove(&dir);
	}
}

static void somebody_elses_temporary_name_is_neither_used_nor_in_the_way(void)
{
	dwal_log *log = begin();

	CHECK_INT(core_append(log, 1, 100), 0);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK(truncate(in_dir("00000001.dwal"), 100) == 0);
	CHECK(mkdir(in_dir("torn.1.dwal-tmp"), 0700) == 0);
	core_write(dir.path, "torn.1.dwal-tmp/x", "", 0);
	log = core_open(dir.path, NULL);
	CHECK(!dwal_log_refusal(log) && core_exists(dir.path, "00000001.dwal.torn-0"));
	CHECK(core_exists(dir.path, "torn.1.dwal-tmp/x"));
	finish(log);
}

/* ---- sealed segments ---- */

enum { SEGMENTS = 300 };

static dwal_log *begin_many(void)
{
	dwal_log *log = begin();

	for (uint64_t i = 0; i < SEGMENTS; i++) {
		CHECK_INT(core_append(log, i, 20), 0);
		CHECK_INT(dwal_log_rotate(log), 0);
	}
	return log;
}

static void a_bounded_number_of_sealed_segments_is_open(void)
{
	static uint64_t numbers[SEGMENTS];
	unsigned before = core_open_files();
	dwal_log *log = begin_many();

	CHECK(core_open_files() - before <= SEGMENTS_OPEN + 3);
	CHECK_INT(core_numbers(log, numbers, SEGMENTS), SEGMENTS);
	CHECK(core_open_files() - before <= SEGMENTS_OPEN + 3);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(core_open_files(), before);
	log = core_open(dir.path, NULL);
	CHECK(core_open_files() - before <= SEGMENTS_OPEN + 3);
	CHECK_INT(core_numbers(log, numbers, SEGMENTS), SEGMENTS);
	finish(log);
	CHECK_INT(core_open_files(), before);
}

static void where_descriptors_are_short_fewer_are_open(void)
{
	static uint64_t numbers[SEGMENTS];
	struct rlimit old, few;
	dwal_log *log;

	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	few = old;
	few.rlim_cur = 32;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	log = begin_many();
	CHECK_INT(core_numbers(log, numbers, SEGMENTS), SEGMENTS);
	CHECK(getrlimit(RLIMIT_NOFILE, &few) == 0 && few.rlim_cur == 32); /* not raised by us */
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	finish(log);
}

static void an_empty_segment_costs_no_descriptor(void)
{
	unsigned before = core_open_files();
	dwal_log *log = begin();
	dwal_reader *reader;

	for (unsigned i = 0; i < 40; i++)
		CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(core_open_files() - before, 3); /* directory, lock, active segment */
	CHECK_INT(dwal_log_close(log), 0);
	log = core_open(dir.path, NULL);
	CHECK_INT(core_open_files() - before, 3);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	CHECK_INT(core_open_files() - before, 2); /* directory, active segment */
	CHECK_INT(dwal_reader_segment_count(reader), 41);
	dwal_reader_close(reader);
	unit_dir_remove(&dir);
}

static void *read_all(void *log)
{
	static _Thread_local uint64_t numbers[SEGMENTS];

	for (int i = 0; i < 3; i++)
		CHECK_INT(core_numbers(log, numbers, SEGMENTS), SEGMENTS);
	return NULL;
}

static void many_threads_read_more_segments_than_are_open(void)
{
	dwal_log *log = begin_many();
	pthread_t threads[6];

	CHECK_INT(dwal_log_close(log), 0);
	log = core_open(dir.path, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, read_all, log) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	CHECK(core_open_files() < SEGMENTS_OPEN + 10);
	finish(log);
}

static void what_is_being_read_stays_open_as_it_is(void)
{
	static uint64_t numbers[SEGMENTS];
	dwal_log *log = begin_many();
	struct segment *segment = log_segment(log, 1);
	int fd;

	CHECK_INT(segment_enter(segment), 0);
	fd = segment->fd;
	CHECK_INT(core_numbers(log, numbers, SEGMENTS), SEGMENTS);
	CHECK_INT(segment->fd, fd);
	segment_leave(segment);
	CHECK_INT(core_numbers(log, numbers, SEGMENTS), SEGMENTS);
	CHECK_INT(segment->fd, -1);
	CHECK_INT(segment_unref(segment), 0);
	finish(log);
}

static int first_record(dwal_log *log)
{
	struct dwal_record record;
	dwal_iter *iter;
	int rc;

	CHECK_INT(dwal_log_iterate(log, 1, 0, &iter, NULL), 0);
	rc = dwal_iter_next(iter, &record, NULL);
	dwal_iter_close(iter);
	return rc;
}

static void copy_in_place(void)
{
	struct core_bytes b = core_read(dir.path, "00000001.dwal");

	core_write(dir.path, "copy", b.data, b.len);
	free(b.data);
	CHECK(rename(in_dir("copy"), in_dir("00000001.dwal")) == 0);
}

static void cut(void)
{
	CHECK(truncate(in_dir("00000001.dwal"), 47) == 0);
}

static void grow(void)
{
	CHECK(truncate(in_dir("00000001.dwal"), 49) == 0);
}

static void take_away(void)
{
	CHECK(unlink(in_dir("00000001.dwal")) == 0);
}

static void link_away(void)
{
	CHECK(rename(in_dir("00000001.dwal"), in_dir("copy")) == 0);
	CHECK(symlink("copy", in_dir("00000001.dwal")) == 0);
}

static void a_sealed_segment_that_is_another_when_opened_again_cannot_be_read(void)
{
	static void (*const deeds[])(void) = {copy_in_place, cut, grow, take_away, link_away};

	for (size_t i = 0; i < ARRAY_SIZE(deeds); i++) {
		dwal_log *log = begin_many();

		deeds[i]();
		CHECK_INT(first_record(log), -EIO);
		CHECK(!dwal_log_refusal(log));
		CHECK_INT(core_append(log, 1, 100), 0);
		finish(log);
	}
}

static int renumbering_fstat(const struct io *io, int fd, struct stat *st)
{
	int rc = io_system.fstat(&io_system, fd, st);

	st->st_ino += fault_of(io)->every++ * 1000;
	return rc;
}

/* vfat, for one, once it has forgotten an inode. */
static void a_sealed_segment_may_get_another_inode_number_but_no_other_time(void)
{
	dwal_log *log = begin_many();

	fault.io.fstat = renumbering_fstat;
	CHECK_INT(first_record(log), 0);
	fault.io.fstat = fault_fstat;
	CHECK_INT(dwal_log_close(log), 0);
	log = core_open_io(&fault.io, dir.path, NULL);
	fault.io.fstat = renumbering_fstat;
	CHECK_INT(first_record(log), 0);
	fault.io.fstat = fault_fstat;
	finish(log);
}

static void a_reader_keeps_the_bytes_of_what_it_has_open(void)
{
	dwal_log *log = begin();
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter;

	CHECK_INT(core_append(log, 1, 100), 0);
	CHECK_INT(dwal_log_rotate(log), 0);
	CHECK_INT(dwal_reader_open(dir.path, &reader, NULL), 0);
	take_away();
	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, NULL), 0);
	CHECK_INT(dwal_iter_next(iter, &record, NULL), 0);
	CHECK_INT(core_number(&record), 1);
	dwal_iter_close(iter);
	dwal_reader_close(reader);
	finish(log);
}

UNIT_MAIN(UNIT(a_new_log_directory_is_private_and_a_given_one_passes_its_mode_on),
	  UNIT(a_new_file_takes_the_mode_of_the_newest_segment),
	  UNIT(a_file_is_nobody_elses_before_it_has_its_group_and_less_open_without_it),
	  UNIT(a_segment_that_is_no_regular_file_is_refused_by_name_and_nothing_is_changed),
	  UNIT(a_lock_file_that_is_no_regular_file_is_refused_by_name),
	  UNIT(somebody_elses_temporary_name_is_neither_used_nor_in_the_way),
	  UNIT(a_bounded_number_of_sealed_segments_is_open),
	  UNIT(where_descriptors_are_short_fewer_are_open),
	  UNIT(an_empty_segment_costs_no_descriptor),
	  UNIT(many_threads_read_more_segments_than_are_open),
	  UNIT(what_is_being_read_stays_open_as_it_is),
	  UNIT(a_sealed_segment_that_is_another_when_opened_again_cannot_be_read),
	  UNIT(a_sealed_segment_may_get_another_inode_number_but_no_other_time),
	  UNIT(a_reader_keeps_the_bytes_of_what_it_has_open))
