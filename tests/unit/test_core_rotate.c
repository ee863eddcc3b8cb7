/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A rotation beside appends: who waits for its sync, and for how long.
 */
#include "core.h"
#include "fault_io.h"
#include "kv.h"
#include "log_state.h"

#include <errno.h>

enum { SEGMENT_SIZE = 2000, SMALL = 50, BIG = 1500 };

static struct unit_dir dir;
static struct fault_io fault;

static struct dwal_options begin(void)
{
	dir = unit_dir_make();
	fault_init(&fault);
	fault.no_sync = true;
	return (struct dwal_options){.segment_size = SEGMENT_SIZE};
}

/* The first fdatasync says that it has begun, and ends when it is told to. */
static pthread_barrier_t inside, out;
static atomic_uint syncs;

static int gated_fdatasync(const struct io *io, int fd)
{
	if (atomic_fetch_add(&syncs, 1) == 0) {
		pthread_barrier_wait(&inside);
		pthread_barrier_wait(&out);
	}
	return fault_fdatasync(io, fd);
}

static void gate(void)
{
	pthread_barrier_init(&inside, NULL, 2);
	pthread_barrier_init(&out, NULL, 2);
	atomic_store(&syncs, 0);
	alarm(20); /* who waits for the sync waits for ever */
	fault.io.fdatasync = gated_fdatasync;
}

static void ungate(void)
{
	pthread_barrier_wait(&out);
	alarm(0);
}

static void *append_big(void *log)
{
	CHECK_INT(core_append(log, 100, BIG), 0);
	return NULL;
}

static void appends_that_fit_go_on_while_a_rotation_syncs(void)
{
	struct dwal_options options = begin();
	dwal_log *log = core_open_io(&fault.io, dir.path, &options);
	uint64_t numbers[4];
	pthread_t thread;

	CHECK_INT(core_append(log, 1, BIG), 0);
	gate();
	CHECK(pthread_create(&thread, NULL, append_big, log) == 0);
	pthread_barrier_wait(&inside);
	CHECK_INT(core_append(log, 2, SMALL), 0);
	CHECK_INT(core_append(log, 3, SMALL), 0);
	ungate();
	pthread_join(thread, NULL);
	CHECK_INT(dwal_log_active_segment(log), 2);
	CHECK_INT(core_numbers(log, numbers, 4), 4);
	CHECK(numbers[1] == 2 && numbers[2] == 3 && numbers[3] == 100);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static void *put_big(void *kv)
{
	char value[BIG] = "";

	CHECK_INT(dwal_kv_put(kv, "big", 3, value, sizeof(value)), 0);
	return NULL;
}

static void *rotate_kv(void *kv)
{
	CHECK_INT(dwal_kv_rotate(kv), 0);
	return NULL;
}

static void changes_of_a_store_go_on_while_a_rotation_syncs(void)
{
	void *(*const ways[])(void *) = {put_big, rotate_kv};

	for (size_t i = 0; i < 2; i++) {
		struct dwal_options options = begin();
		pthread_t thread;
		dwal_kv *kv;

		CHECK_INT(kv_open(&fault.io, dir.path, &options, &kv, NULL), 0);
		(void)put_big(kv);
		gate();
		CHECK(pthread_create(&thread, NULL, ways[i], kv) == 0);
		pthread_barrier_wait(&inside);
		CHECK_INT(dwal_kv_put(kv, "k", 1, "v", 1), 0);
		CHECK_INT(dwal_kv_delete(kv, "k", 1), 0);
		ungate();
		pthread_join(thread, NULL);
		CHECK_INT(dwal_kv_active_segment(kv), 2);
		CHECK_INT(dwal_kv_close(kv), 0);
		unit_dir_remove(&dir);
	}
}

/* A sync during which somebody else appends, whenever that is possible. */
static dwal_log *outrun;

static int outrun_fdatasync(const struct io *io, int fd)
{
	if (pthread_mutex_trylock(&outrun->append_lock) == 0) {
		pthread_mutex_unlock(&outrun->append_lock);
		CHECK_INT(core_append(outrun, 1, 8), 0);
	}
	return fault_fdatasync(io, fd);
}

static void appends_cannot_put_a_rotation_off_for_ever(void)
{
	struct dwal_options options = begin();
	uint64_t numbers[64];

	options.segment_size = 10 * SEGMENT_SIZE; /* room enough for many that are small */
	outrun = core_open_io(&fault.io, dir.path, &options);
	for (int i = 0; i < 12; i++)
		CHECK_INT(core_append(outrun, 2, BIG), 0);
	fault.io.fdatasync = outrun_fdatasync;
	CHECK_INT(core_append(outrun, 100, 4000), 0);
	CHECK_INT(dwal_log_active_segment(outrun), 2);
	CHECK(core_numbers(outrun, numbers, 64) < 12 + 1 + 20);
	fault.io.fdatasync = fault_fdatasync;
	CHECK_INT(dwal_log_close(outrun), 0);
	unit_dir_remove(&dir);
}

static void a_full_segment_is_told_to_whoever_syncs_apart(void)
{
	struct dwal_options options = begin();
	uint64_t numbers[4];
	dwal_log *log;

	options.sync_apart = true;
	log = core_open_io(&fault.io, dir.path, &options);
	CHECK_INT(core_append(log, 1, BIG), 0);
	fault.trace[0] = '\0';
	CHECK_INT(core_append(log, 2, BIG), DWAL_EUNSYNCED);
	CHECK(fault.trace[0] == '\0'); /* neither written nor synced */
	CHECK_INT(core_append(log, 3, SMALL), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK_INT(core_append(log, 2, BIG), 0);
	CHECK_INT(dwal_log_active_segment(log), 2);
	CHECK_INT(core_numbers(log, numbers, 4), 3);
	CHECK(numbers[1] == 3 && numbers[2] == 2);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

static int append_mib(dwal_log *log, size_t n)
{
	static const char zeros[8 << 20];

	return dwal_log_append_raw(log, zeros, n << 20, NULL);
}

/* Nobody waits for the disk as long as there is much for it to do; but not for ever. */
static void a_full_segment_takes_more_while_much_of_it_is_to_be_synced(void)
{
	struct dwal_options options = begin();
	dwal_log *log;

	options.sync_apart = true;
	options.segment_size = 9 << 20;
	log = core_open_io(&fault.io, dir.path, &options);
	CHECK_INT(append_mib(log, 4), 0);
	CHECK_INT(append_mib(log, 4), 0);
	CHECK_INT(append_mib(log, 4), 0);
	CHECK_INT(append_mib(log, 4), 0);
	CHECK_INT(append_mib(log, 4), DWAL_EUNSYNCED); /* over twice its size */
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK_INT(core_append(log, 6, SMALL), 0);
	CHECK_INT(dwal_log_active_segment(log), 2);
	CHECK_INT(append_mib(log, 8), 0);
	CHECK_INT(dwal_log_sync(log), 0);
	CHECK_INT(append_mib(log, 4), 0); /* all is synced: the next one */
	CHECK_INT(dwal_log_active_segment(log), 3);
	CHECK_INT(dwal_log_close(log), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(appends_that_fit_go_on_while_a_rotation_syncs),
	  UNIT(changes_of_a_store_go_on_while_a_rotation_syncs),
	  UNIT(appends_cannot_put_a_rotation_off_for_ever),
	  UNIT(a_full_segment_is_told_to_whoever_syncs_apart),
	  UNIT(a_full_segment_takes_more_while_much_of_it_is_to_be_synced))
