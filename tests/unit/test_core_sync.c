/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Syncing from several threads.
 */
#include "core.h"
#include "fault_io.h"
#include "log_state.h"

#include <errno.h>
#include <sched.h>

static struct unit_dir dir;
static struct fault_io fault;

static dwal_log *begin(uint64_t segment_size)
{
	struct dwal_options options = {.segment_size = segment_size};

	dir = unit_dir_make();
	fault_init(&fault);
	fault.no_sync = true; /* for speed */
	return core_open_io(&fault.io, dir.path, &options);
}

static void finish(dwal_log *log)
{
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

enum { THREADS = 8, EACH = 50 };

static void *append_and_sync(void *log)
{
	for (uint64_t i = 0; i < EACH; i++) {
		CHECK_INT(core_append(log, i, 50), 0);
		CHECK_INT(dwal_log_sync(log), 0);
	}
	return NULL;
}

static int slow_fdatasync(const struct io *io, int fd)
{
	usleep(1000); /* so that others arrive meanwhile */
	return fault_fdatasync(io, fd);
}

static unsigned count_in_trace(const char *word)
{
	unsigned n = 0;

	for (const char *p = fault.trace; (p = strstr(p, word)); p++)
		n++;
	return n;
}

static void concurrent_syncs_share_a_call_and_rotations_do_not_hurt(void)
{
	static uint64_t numbers[THREADS * EACH];
	dwal_log *log = begin(8000);
	pthread_t threads[THREADS];
	unsigned syncs;

	fault.io.fdatasync = slow_fdatasync;
	fault.trace[0] = '\0';
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, append_and_sync, log) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	syncs = count_in_trace("fdatasync");
	printf("  %d calls, %u fdatasyncs\n", THREADS * EACH, syncs);
	CHECK(syncs < THREADS * EACH / 2);
	CHECK(dwal_log_active_segment(log) >= 3);
	CHECK_INT(core_numbers(log, numbers, THREADS * EACH), THREADS * EACH);
	finish(log);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t inside;

static int gated_fdatasync(const struct io *io, int fd)
{
	pthread_barrier_wait(&inside);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return fault_fdatasync(io, fd);
}

static void *sync_once(void *log)
{
	CHECK_INT(dwal_log_sync(log), 0);
	return NULL;
}

static void appends_and_reads_go_on_during_a_sync(void)
{
	dwal_log *log = begin(0);
	pthread_t thread;
	uint64_t numbers[4];

	CHECK_INT(core_append(log, 1, 50), 0);
	pthread_barrier_init(&inside, NULL, 2);
	pthread_mutex_lock(&gate);
	fault.io.fdatasync = gated_fdatasync;
	CHECK(pthread_create(&thread, NULL, sync_once, log) == 0);
	pthread_barrier_wait(&inside);
	CHECK_INT(core_append(log, 2, 50), 0);
	CHECK_INT(core_numbers(log, numbers, 4), 2);
	pthread_mutex_unlock(&gate);
	pthread_join(thread, NULL);
	fault.io.fdatasync = fault_fdatasync;
	fault.trace[0] = '\0';
	CHECK_INT(dwal_log_sync(log), 0); /* the second append was not covered */
	CHECK_INT(count_in_trace("fdatasync"), 1);
	pthread_barrier_destroy(&inside);
	finish(log);
}

static atomic_int syncing;

static int lonely_fdatasync(const struct io *io, int fd)
{
	CHECK_INT(atomic_fetch_add(&syncing, 1), 0);
	usleep(500);
	atomic_fetch_sub(&syncing, 1);
	return 0;
}

static ssize_t third_fails(const struct io *io, int fd, const struct iovec *iov, int n,
			   off_t offset)
{
	static atomic_uint calls;

	if (atomic_fetch_add(&calls, 1) % 3 == 0)
		return -ENOSPC;
	return io_system.pwritev(&io_system, fd, iov, n, offset);
}

static void *append_with_failures(void *log)
{
	for (uint64_t i = 0; i < EACH; i++) {
		int rc = core_append(log, i, 50);

		CHECK(rc == 0 || rc == -ENOSPC);
		CHECK_INT(dwal_log_sync(log), 0);
	}
	return NULL;
}

/* A failed sync is told to one of two that run at once; the other would
 * report as durable what is not. */
static void no_two_syncs_run_at_once_not_even_a_cut_back(void)
{
	dwal_log *log = begin(0);
	pthread_t threads[4];

	fault.io.fdatasync = lonely_fdatasync;
	fault.io.pwritev = third_fails;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, append_with_failures, log) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	finish(log);
}

/* What a sync may say. A failed fdatasync loses what was pending, and those
 * behind it succeed: nothing is durable by them. */
static atomic_uint moment, proven; /* proven: when the last one began that proves something */
static atomic_bool sync_failed;
static _Thread_local unsigned written; /* when this thread's record was */
static unsigned failing_sync, failing_write;
static atomic_uint sync_calls, write_calls;

static int telling_fdatasync(const struct io *io, int fd)
{
	unsigned began = atomic_fetch_add(&moment, 1);

	sched_yield(); /* so that others wait for it, and fail to write meanwhile */
	if (atomic_fetch_add(&sync_calls, 1) == failing_sync) {
		atomic_store(&sync_failed, true);
		return -EIO;
	}
	if (!atomic_load(&sync_failed))
		atomic_store(&proven, began);
	return 0;
}

static ssize_t telling_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
			       off_t offset)
{
	ssize_t rc = atomic_fetch_add(&write_calls, 1) % failing_write == failing_write - 1
			     ? -ENOSPC
			     : io_system.pwritev(io, fd, iov, n, offset);

	written = atomic_fetch_add(&moment, 1);
	return rc;
}

static void *append_until_poisoned(void *log)
{
	int rc;

	for (;;) {
		rc = core_append(log, 1, 50);
		if (rc == -ENOSPC)
			continue;
		if (!rc)
			rc = dwal_log_sync(log);
		if (rc) {
			CHECK(rc == -EIO || rc == DWAL_EPOISONED);
			return NULL;
		}
		CHECK(atomic_load(&proven) > written);
	}
}

static void a_sync_never_says_durable_behind_one_that_failed(void)
{
	for (unsigned round = 0; round < 200; round++) {
		dwal_log *log = begin(round % 3 ? 0 : 500);
		pthread_t threads[4];

		fault.io.fdatasync = telling_fdatasync;
		fault.io.pwritev = telling_pwritev;
		failing_sync = round % 7;
		failing_write = 2 + round % 4;
		atomic_store(&moment, 1);
		atomic_store(&proven, 0);
		atomic_store(&sync_failed, false);
		atomic_store(&sync_calls, 0);
		atomic_store(&write_calls, 0);
		for (int i = 0; i < 4; i++)
			CHECK(pthread_create(&threads[i], NULL, append_until_poisoned, log) == 0);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		CHECK(dwal_log_is_poisoned(log));
		finish(log);
	}
}

/* The state of a thread of ours, as ps(1) shows it. */
static char state_of(pid_t thread)
{
	char path[64], stat[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
	f = fopen(path, "r");
	CHECK(f && fgets(stat, sizeof(stat), f));
	fclose(f);
	return strrchr(stat, ')')[2];
}

static atomic_int waiting_thread;

static void *wait_for_a_sync_that_fails(void *log)
{
	atomic_store(&waiting_thread, gettid());
	CHECK_INT(dwal_log_sync(log), DWAL_EPOISONED);
	return NULL;
}

static void *lead_a_sync_that_fails(void *log)
{
	CHECK_INT(dwal_log_sync(log), -EIO);
	return NULL;
}

static int gated_failure(const struct io *io, int fd)
{
	(void)gated_fdatasync(io, fd);
	return -EIO;
}

static void whoever_waits_for_a_sync_that_fails_is_told(void)
{
	dwal_log *log = begin(0);
	pthread_t leader, waiter;

	CHECK_INT(core_append(log, 1, 50), 0);
	pthread_barrier_init(&inside, NULL, 2);
	pthread_mutex_lock(&gate);
	fault.io.fdatasync = gated_failure;
	CHECK(pthread_create(&leader, NULL, lead_a_sync_that_fails, log) == 0);
	pthread_barrier_wait(&inside);
	fault.io.fdatasync = fault_fdatasync; /* the next would succeed */
	CHECK(pthread_create(&waiter, NULL, wait_for_a_sync_that_fails, log) == 0);
	while (!atomic_load(&waiting_thread) || state_of(atomic_load(&waiting_thread)) != 'S')
		sched_yield();
	pthread_mutex_unlock(&gate);
	pthread_join(leader, NULL);
	pthread_join(waiter, NULL);
	finish(log);
}

/* Here the sync fails while another thread, so to speak, is writing. */
static dwal_log *written_to;

static ssize_t fails_beside_a_sync(const struct io *io, int fd, const struct iovec *iov, int n,
				   off_t offset)
{
	CHECK_INT(dwal_log_sync(written_to), -EIO);
	fault.io.fdatasync = fault_fdatasync;
	return -ENOSPC;
}

static int failing_fdatasync(const struct io *io, int fd)
{
	return -EIO;
}

/* Or else it would let those go that wait for the one that failed. */
static void a_cut_back_does_not_make_durable_what_a_failed_sync_left(void)
{
	written_to = begin(0);
	CHECK_INT(core_append(written_to, 1, 50), 0);
	fault.io.fdatasync = failing_fdatasync;
	fault.io.pwritev = fails_beside_a_sync;
	CHECK_INT(core_append(written_to, 2, 50), -ENOSPC);
	CHECK(written_to->durable < written_to->appended);
	CHECK_INT(dwal_log_sync(written_to), DWAL_EPOISONED);
	finish(written_to);
}

UNIT_MAIN(UNIT(concurrent_syncs_share_a_call_and_rotations_do_not_hurt),
	  UNIT(appends_and_reads_go_on_during_a_sync),
	  UNIT(no_two_syncs_run_at_once_not_even_a_cut_back),
	  UNIT(a_sync_never_says_durable_behind_one_that_failed),
	  UNIT(whoever_waits_for_a_sync_that_fails_is_told),
	  UNIT(a_cut_back_does_not_make_durable_what_a_failed_sync_left))
