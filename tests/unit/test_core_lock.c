/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The writer's lock.
 */
#include "core.h"
#include "fault_io.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/wait.h>

static struct unit_dir dir;

static void a_second_writer_is_told_who_holds_the_lock(void)
{
	struct dwal_options wait = {.lock_wait_ms = 50};
	struct dwal_error error;
	dwal_log *log, *second;
	char pid[32];

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	snprintf(pid, sizeof(pid), "pid %d (", getpid());
	CHECK_INT(dwal_log_open(dir.path, NULL, &second, &error), DWAL_ELOCKED);
	CHECK(strstr(error.message, "locked by another writer"));
	CHECK(strstr(error.message, pid));
	CHECK_INT(error.holder_pid, getpid());
	CHECK_INT(dwal_log_open(dir.path, &wait, &second, &error), DWAL_ELOCKED);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0); /* a stale .lock is nothing */
	unit_dir_remove(&dir);
}

static void *close_it(void *log)
{
	usleep(20000);
	CHECK_INT(dwal_log_close(log), 0);
	return NULL;
}

static void a_writer_waits_for_the_lock_as_long_as_it_is_told(void)
{
	struct dwal_options wait = {.lock_wait_ms = 20000};
	pthread_t thread;

	dir = unit_dir_make();
	CHECK(pthread_create(&thread, NULL, close_it, core_open(dir.path, NULL)) == 0);
	CHECK_INT(dwal_log_close(core_open(dir.path, &wait)), 0);
	pthread_join(thread, NULL);
	unit_dir_remove(&dir);
}

static void the_lock_is_not_inherited_by_a_program(void)
{
	dwal_log *log;
	int pipe_fds[2], status;
	pid_t child;

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	CHECK(pipe(pipe_fds) == 0); /* inherited: the child reads it until we close it */
	child = fork();
	if (child == 0) {
		dup2(pipe_fds[0], 0);
		close(pipe_fds[1]);
		execlp("cat", "cat", (char *)NULL);
		_exit(127);
	}
	for (;;) { /* until it has become cat */
		char comm[32] = "", path[64];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/comm", child);
		f = fopen(path, "r");
		CHECK(f && fgets(comm, sizeof(comm), f));
		fclose(f);
		if (strcmp(comm, "cat\n") == 0)
			break;
	}
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	unit_dir_remove(&dir);
}

/* What stands where standard input, output and error were: nothing? */
static void check_standard_descriptors_are_free(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			_exit(10 + fd);
}

static int use_log_without_standard_descriptors(void)
{
	dwal_log *log;
	dwal_reader *reader;
	dwal_iter *iter;

	for (int fd = 0; fd <= 2; fd++)
		close(fd);
	if (dwal_log_open(dir.path, NULL, &log, NULL))
		return 1;
	check_standard_descriptors_are_free();
	if (core_append(log, 1, 8) || dwal_log_rotate(log) || core_append(log, 2, 8) ||
	    dwal_reader_open(dir.path, &reader, NULL) ||
	    dwal_reader_iterate(reader, 0, 0, &iter, NULL))
		return 2;
	check_standard_descriptors_are_free();
	dwal_iter_close(iter);
	dwal_reader_close(reader);
	return dwal_log_close(log) ? 3 : 0;
}

static void no_descriptor_of_ours_is_a_standard_one(void)
{
	uint64_t numbers[2];
	int status;
	dwal_log *log;
	pid_t child;

	dir = unit_dir_make();
	child = fork();
	if (child == 0)
		_exit(use_log_without_standard_descriptors());
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(WEXITSTATUS(status), 0);
	log = core_open(dir.path, NULL);
	CHECK_INT(core_numbers(log, numbers, 2), 2);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static void removing_the_lock_file_lets_no_second_writer_in(void)
{
	struct dwal_error error;
	dwal_log *log, *second;

	dir = unit_dir_make();
	log = core_open(dir.path, NULL);
	CHECK(unlink(core_path(dir.path, ".lock")) == 0);
	CHECK_INT(dwal_log_open(dir.path, NULL, &second, &error), DWAL_ELOCKED);
	CHECK_INT(error.holder_pid, getpid());
	CHECK(!core_exists(dir.path, ".lock")); /* it has left nothing */
	CHECK_INT(core_append(log, 1, 100), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK_INT(dwal_log_close(log), 0);
	CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
	unit_dir_remove(&dir);
}

static void *tidy_up(void *arg)
{
	int *fd = arg;

	usleep(300000);
	close(*fd);
	return NULL;
}

/* systemd-tmpfiles, for one. */
static void a_program_that_locks_the_directory_for_a_moment_is_waited_for(void)
{
	pthread_t thread;
	int fd;

	dir = unit_dir_make();
	fd = open(dir.path, O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
	CHECK(pthread_create(&thread, NULL, tidy_up, &fd) == 0);
	CHECK_INT(dwal_log_close(core_open(dir.path, NULL)), 0);
	pthread_join(thread, NULL);
	unit_dir_remove(&dir);
}

static struct fault_io fault;
static unsigned replaced;

/* Between our open of .lock and our flock another one takes its place. */
static int replacing_flock(const struct io *io, int fd, int operation)
{
	if (replaced++ == 0) {
		CHECK(unlink(core_path(dir.path, ".lock")) == 0);
		core_write(dir.path, ".lock", "", 0);
	}
	return io_system.flock(&io_system, fd, operation);
}

static void the_file_that_is_locked_is_the_one_that_bears_the_name(void)
{
	dwal_log *log;
	int fd;

	dir = unit_dir_make();
	fault_init(&fault);
	fault.io.flock = replacing_flock;
	log = core_open_io(&fault.io, dir.path, NULL);
	CHECK(replaced >= 2);
	fd = open(core_path(dir.path, ".lock"), O_RDONLY);
	CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0);
	close(fd);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(a_second_writer_is_told_who_holds_the_lock),
	  UNIT(removing_the_lock_file_lets_no_second_writer_in),
	  UNIT(a_program_that_locks_the_directory_for_a_moment_is_waited_for),
	  UNIT(the_file_that_is_locked_is_the_one_that_bears_the_name),
	  UNIT(a_writer_waits_for_the_lock_as_long_as_it_is_told),
	  UNIT(the_lock_is_not_inherited_by_a_program),
	  UNIT(no_descriptor_of_ours_is_a_standard_one))
