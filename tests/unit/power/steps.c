/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What runs consist of, told to the oracle as it happens.
 */
#include "world.h"
#include "log.h"
#include "unit.h"

#include <errno.h>

static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};

/* Never the same again. Valid for 16 records. */
static struct dwal_bytes fresh_payload(struct world *world, size_t size, char first)
{
	unsigned char *payload = world->payloads[world->serial % WORLD_PAYLOADS];
	uint64_t state = world->serial++ * 2 + 1;

	CHECK(size <= WORLD_PAYLOAD_MOST);
	for (size_t i = 0; i < size; i++)
		payload[i] = (unsigned char)(unit_random(&state) >> 20) | 0x80;
	if (size)
		payload[0] = (unsigned char)first;
	return (struct dwal_bytes){payload, size};
}

static struct dwal_bytes key_of(unsigned key)
{
	CHECK(key < sizeof(keys) / sizeof(*keys));
	return (struct dwal_bytes){keys[key], 2};
}

struct dwal_op world_put(struct world *world, unsigned key, size_t size)
{
	return (struct dwal_op){DWAL_PUT, key_of(key), fresh_payload(world, size, 'P')};
}

struct dwal_op world_attributes(struct world *world, unsigned key, size_t size)
{
	return (struct dwal_op){DWAL_RAW, key_of(key), fresh_payload(world, size, 'A')};
}

struct dwal_op world_raw(struct world *world, size_t size)
{
	return (struct dwal_op){DWAL_RAW, {NULL, 0}, fresh_payload(world, size, 'R')};
}

struct dwal_op world_delete(unsigned key)
{
	return (struct dwal_op){DWAL_DELETE, key_of(key), {NULL, 0}};
}

/* A call that failed where none may. */
static void expect(const struct world *world, int rc, const char *what, const char *why)
{
	if (!rc || rc == -EBADF)
		return;
	if (!world->faulty || !world->disk.failed)
		world_fail(world, "%s failed: %d %s %s", what, rc, dwal_strerror(rc), why);
	/* one fault is told once, unless it stops the log */
	if (world->calls >= world->disk.fail_at && !world->disk.goes_on && world->kv &&
	    !dwal_kv_refusal(world->kv))
		world_fail(world, "%s failed although no call did: %d %s %s", what, rc,
			   dwal_strerror(rc), why);
}

/* After a step: what lives shows no half of it. */
static int told(struct world *world, int rc)
{
	bool failed_now = world->disk.failed && world->disk.calls >= world->disk.fail_at &&
			  world->calls < world->disk.fail_at;

	if (world->faulty && world->kv && failed_now && !world->disk.goes_on)
		world_check_living(world);
	world->calls = world->disk.calls;
	return rc;
}

static int see(void *ctx, const struct dwal_record *record)
{
	oracle_see(ctx, record);
	return 0;
}

int world_open(struct world *world, const struct dwal_options *options)
{
	struct oracle_seen *seen = calloc(1, sizeof(*seen));
	struct oracle_found found;
	struct dwal_error error = {0};
	const char *wrong;
	int rc;

	CHECK(seen);
	world->options = options ? *options : (struct dwal_options){0};
	world->options.observe = see;
	world->options.observe_ctx = seen;
	rc = kv_open(&world->disk.io, world->dir, &world->options, &world->kv, &error);
	expect(world, rc, "open", error.message);
	if (rc) {
		world->kv = NULL;
		free(seen);
		if (disk_open_count(&world->disk))
			world_fail(world, "%u descriptors are still open",
				   disk_open_count(&world->disk));
		return told(world, rc);
	}
	if (dwal_kv_refusal(world->kv) && !world->faulty)
		world_fail(world, "opened for reading only: %s", dwal_kv_refusal(world->kv));
	/* without a crash of the machine all that was written is there */
	wrong = oracle_judge(&world->oracle, seen,
			     world->faulty ? world->oracle.acked : world->oracle.returned, &found);
	if (wrong)
		world_fail(world, "opened: %s", wrong);
	oracle_recover(&world->oracle, &found);
	world->lies = false; /* it was dropped */
	free(seen);
	return told(world, 0);
}

/* Whether the failed call may have written it all the same. */
static bool is_open_question(const struct world *world)
{
	return dwal_kv_is_poisoned(world->kv);
}

int world_write(struct world *world, const struct dwal_op *ops, size_t n, bool has_line)
{
	static const struct dwal_line line = {"time", "1764000000.123456789"};
	bool has_header = n > 1 || has_line;
	int rc;

	if (!world->kv)
		return -EBADF;
	oracle_begin(&world->oracle, ops, n, has_header);
	rc = dwal_kv_batch(world->kv, ops, n, has_line ? &line : NULL, has_line, NULL);
	expect(world, rc, "write", "");
	if (!rc)
		world->oracle.returned = world->oracle.count;
	else if (!is_open_question(world))
		world->oracle.count--;
	return told(world, rc);
}

int world_append(struct world *world, const struct dwal_op *ops, size_t n)
{
	unsigned before = world->oracle.count;
	int rc;

	if (!world->kv)
		return -EBADF;
	for (size_t i = 0; i < n; i++)
		oracle_begin(&world->oracle, &ops[i], 1, false);
	rc = dwal_log_append(world->kv->log, ops, n, NULL);
	expect(world, rc, "append", "");
	if (!rc)
		world->oracle.returned = world->oracle.count;
	else if (!is_open_question(world))
		world->oracle.count = before;
	return told(world, rc);
}

int world_sync(struct world *world)
{
	unsigned returned = world->oracle.returned;
	int rc = world->kv ? dwal_kv_sync(world->kv) : -EBADF;

	expect(world, rc, "sync", "");
	if (!rc)
		world->oracle.acked = returned;
	return told(world, rc);
}

int world_rotate(struct world *world)
{
	unsigned returned = world->oracle.returned;
	int rc = world->kv ? dwal_kv_rotate(world->kv) : -EBADF;

	expect(world, rc, "rotation", "");
	if (!rc)
		world->oracle.acked = returned;
	return told(world, rc);
}

static void target_path(const struct world *world, char path[100])
{
	snprintf(path, 100, "%s/out", world->campaign->root);
}

int world_compact_to(struct world *world)
{
	struct dwal_error error = {0};
	char path[100];
	int rc;

	if (!world->kv)
		return -EBADF;
	target_path(world, path);
	world->target.begun = true;
	world->target.live = oracle_live(&world->oracle, world->target.values, 8);
	rc = dwal_kv_compact_to(world->kv, path, NULL, NULL, &error);
	expect(world, rc, "compaction", error.message);
	world->target.acked = !rc;
	return told(world, rc);
}

void world_file(struct world *world, const char *name, const void *data, size_t len)
{
	const struct io *io = &world->disk.io;
	enum disk_fault fault = world->disk.fault;
	int dirfd, fd;

	world->disk.fault = DISK_SOUND; /* this is not the run's */
	dirfd = io_open_dir(io, AT_FDCWD, world->dir);
	fd = io_open(io, dirfd, name, O_RDWR | O_CREAT, 0600);
	CHECK(dirfd >= 0 && fd >= 0);
	CHECK_INT(io_write_full(io, fd, data, len), 0);
	CHECK_INT(io->fsync(io, fd), 0);
	CHECK_INT(io->fsync(io, dirfd), 0);
	CHECK(io_close(io, &fd) == 0 && io_close(io, &dirfd) == 0);
	world->disk.fault = fault;
}

int world_close(struct world *world)
{
	int rc = dwal_kv_close(world->kv);

	world->kv = NULL;
	expect(world, rc, "close", "");
	if (disk_open_count(&world->disk))
		world_fail(world, "%u descriptors are still open", disk_open_count(&world->disk));
	return rc;
}
