/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Syncing from several threads.
 */
#include "core.h"
#include "fault_io.h"
#include "log.h"

#include <errno.h>

static struct unit_dir dir;
static struct fault_io fault;

static dwal_log *begin(uint64_t segment_size)
{
	struct dwal_options options = {.io = &fault.io, .segment_size = segment_size};

	dir = unit_dir_make();
	fault_init(&fault);
	return core_open(dir.path, &options);
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
	fault.no_sync = true;
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

UNIT_MAIN(UNIT(concurrent_syncs_share_a_call_and_rotations_do_not_hurt),
	  UNIT(appends_and_reads_go_on_during_a_sync),
	  UNIT(no_two_syncs_run_at_once_not_even_a_cut_back))
