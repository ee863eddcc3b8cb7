/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is written ahead: who waits for it, what is left to be written, and when it
 * is not used. What a crash leaves of it is the simulation's, unit/power.
 */
#include "fault_io.h"
#include "store.h"

#include <dirent.h>

enum { LARGE = 100000, COUNT = 20 };

static struct fault_io fault;
static char payload[LARGE];
static struct dwal_op ops[COUNT + 2];
static const struct dwal_line line = {"op", "move"};
static uint64_t bytes_written;
static atomic_uint syncs;

static ssize_t counted_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
			       off_t offset)
{
	ssize_t done = fault_pwritev(io, fd, iov, n, offset);

	bytes_written += done > 0 ? (uint64_t)done : 0;
	return done;
}

static int counted_fdatasync(const struct io *io, int fd)
{
	atomic_fetch_add(&syncs, 1);
	return fault_fdatasync(io, fd);
}

/* Puts of a00 ..., one small one, one Delete of "old". */
static struct dwal_batch begin(dwal_kv **kv)
{
	static char keys[COUNT][4];

	dir = unit_dir_make();
	fault_init(&fault);
	fault.no_sync = true;
	fault.io.pwritev = counted_pwritev;
	fault.io.fdatasync = counted_fdatasync;
	*kv = open_io(&fault.io, NULL);
	put(*kv, "old", "value");
	for (int i = 0; i < COUNT; i++) {
		snprintf(keys[i], sizeof(keys[i]), "a%02d", i);
		ops[i] = (struct dwal_op){DWAL_PUT, {keys[i], 3}, {payload, LARGE}};
	}
	ops[COUNT] = (struct dwal_op){DWAL_PUT, {"small", 5}, {"tiny", 4}};
	ops[COUNT + 1] = (struct dwal_op){DWAL_DELETE, {"old", 3}, {NULL, 0}};
	return (struct dwal_batch){.ops = ops, .n = COUNT + 2, .lines = &line, .n_lines = 1};
}

static unsigned files(void)
{
	DIR *list = opendir(dir.path);
	unsigned n = 0;

	CHECK(list);
	while (readdir(list))
		n++;
	closedir(list);
	return n;
}

static void check_written(dwal_kv *kv)
{
	void *value;
	size_t len;

	check_value(kv, "old", NULL);
	check_value(kv, "small", "tiny");
	for (int i = 0; i < COUNT; i++) {
		CHECK_INT(dwal_kv_get(kv, ops[i].key.data, 3, &value, &len, &error), 0);
		CHECK(len == LARGE && memcmp(value, payload, LARGE) == 0);
		free(value);
	}
}

static void end(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static dwal_kv *again(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_store();
	CHECK_INT(dwal_kv_report(kv)->damage_count, 0);
	CHECK_INT(dwal_kv_report(kv)->txids.missing, 0);
	CHECK_INT(dwal_kv_report(kv)->txids.out_of_order, 0);
	return kv;
}

/* The first fdatasync says that it has begun, and ends when it is told to. */
static pthread_barrier_t inside, out;

static int gated_fdatasync(const struct io *io, int fd)
{
	if (atomic_fetch_add(&syncs, 1) == 0) {
		pthread_barrier_wait(&inside);
		pthread_barrier_wait(&out);
	}
	return fault_fdatasync(io, fd);
}

struct writing {
	dwal_kv *kv;
	struct dwal_batch batch;
};

static void *write_ahead(void *arg)
{
	struct writing *writing = arg;

	CHECK_INT(dwal_kv_ahead(writing->kv, &writing->batch, &writing->batch.ahead), 0);
	return NULL;
}

static void others_write_while_it_is_written_and_come_before_it(void)
{
	struct writing writing;
	pthread_t thread;

	writing.batch = begin(&writing.kv);
	pthread_barrier_init(&inside, NULL, 2);
	pthread_barrier_init(&out, NULL, 2);
	atomic_store(&syncs, 0);
	fault.io.fdatasync = gated_fdatasync;
	alarm(20); /* who waits for it waits for ever */
	CHECK(pthread_create(&thread, NULL, write_ahead, &writing) == 0);
	pthread_barrier_wait(&inside);
	put(writing.kv, "other", "first");
	put(writing.kv, "small", "older");
	CHECK_INT(dwal_kv_len(writing.kv), 3);
	pthread_barrier_wait(&out);
	alarm(0);
	pthread_join(thread, NULL);
	CHECK_INT(dwal_kv_write(writing.kv, &writing.batch, NULL), 0);
	dwal_ahead_free(writing.batch.ahead);
	CHECK_INT(dwal_kv_active_segment(writing.kv), 2);
	check_written(writing.kv);
	put(writing.kv, "later", "last");
	CHECK_INT(dwal_kv_active_segment(writing.kv), 2);
	writing.kv = again(writing.kv);
	check_written(writing.kv);
	check_value(writing.kv, "other", "first");
	check_value(writing.kv, "later", "last");
	end(writing.kv);
}

static void little_is_left_to_write_and_nothing_to_sync(void)
{
	struct dwal_place places[COUNT + 2];
	dwal_kv *kv;
	struct dwal_batch batch = begin(&kv);

	CHECK_INT(dwal_kv_ahead(kv, &batch, &batch.ahead), 0);
	CHECK_INT(dwal_kv_sync(kv), 0);
	bytes_written = 0;
	CHECK_INT(dwal_kv_write(kv, &batch, places), 0);
	CHECK(bytes_written < (uint64_t)COUNT * 200);
	atomic_store(&syncs, 0);
	CHECK_INT(dwal_kv_sync(kv), 0);
	CHECK_INT(atomic_load(&syncs), 0);
	CHECK(places[COUNT].segment == 2 && places[COUNT].offset > (uint64_t)COUNT * LARGE);
	dwal_ahead_free(batch.ahead);
	CHECK_INT(dwal_kv_check(kv), 0);
	check_written(kv);
	end(kv);
}

static void it_is_durable_before_it_has_its_name_and_so_is_that(void)
{
	dwal_kv *kv;
	struct dwal_batch batch = begin(&kv);

	CHECK_INT(dwal_kv_ahead(kv, &batch, &batch.ahead), 0);
	fault.trace[0] = '\0';
	CHECK_INT(dwal_kv_write(kv, &batch, NULL), 0);
	fault_check_order(&fault, (const char *const[]){"fdatasync ahead-",
							"rename 00000002.dwal\nfsync dir\n", NULL});
	dwal_ahead_free(batch.ahead);
	end(kv);
}

/* Others' payloads, and what was never written. */
static void what_is_not_what_it_was_is_written_as_ever(void)
{
	static char other[LARGE];
	unsigned before;
	dwal_kv *kv;
	struct dwal_batch batch = begin(&kv);

	before = files();
	CHECK_INT(dwal_kv_ahead(kv, &batch, &batch.ahead), 0);
	CHECK(files() > before);
	other[0] = 'x';
	ops[3].payload.data = other;
	CHECK_INT(dwal_kv_write(kv, &batch, NULL), 0);
	dwal_ahead_free(batch.ahead);
	CHECK_INT(dwal_kv_active_segment(kv), 1);
	CHECK_INT(files(), before);
	kv = again(kv);
	ops[3].payload.data = payload;
	ops[2].payload.len--;
	CHECK_INT(dwal_kv_ahead(kv, &batch, &batch.ahead), 0);
	ops[2].payload.len++;
	CHECK_INT(dwal_kv_write(kv, &batch, NULL), 0);
	dwal_ahead_free(batch.ahead);
	CHECK_INT(dwal_kv_active_segment(kv), 1);
	check_written(kv);
	end(kv);
}

/* Each call of it fails once, and whatever happens nothing stays behind. */
static void what_fails_leaves_nothing_behind(void)
{
	int err = 1;

	for (unsigned at = 1; err; at++) {
		dwal_kv *kv;
		struct dwal_batch batch = begin(&kv);
		unsigned before = files();

		fault.fail_with = -ENOSPC;
		fault.fail_at = fault.calls + at;
		err = dwal_kv_ahead(kv, &batch, &batch.ahead);
		CHECK(err == 0 || err == -ENOSPC);
		fault.fail_at = 0;
		dwal_ahead_free(batch.ahead);
		CHECK_INT(files(), before);
		put(kv, "other", "value");
		CHECK_INT(dwal_kv_len(kv), 2);
		end(kv);
	}
}

UNIT_MAIN(UNIT(others_write_while_it_is_written_and_come_before_it),
	  UNIT(little_is_left_to_write_and_nothing_to_sync),
	  UNIT(it_is_durable_before_it_has_its_name_and_so_is_that),
	  UNIT(what_is_not_what_it_was_is_written_as_ever), UNIT(what_fails_leaves_nothing_behind))
