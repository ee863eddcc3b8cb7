/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The writer's lock.
 */
#include "core.h"

#include <pthread.h>
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

UNIT_MAIN(UNIT(a_second_writer_is_told_who_holds_the_lock),
	  UNIT(a_writer_waits_for_the_lock_as_long_as_it_is_told),
	  UNIT(the_lock_is_not_inherited_by_a_program),
	  UNIT(no_descriptor_of_ours_is_a_standard_one))
