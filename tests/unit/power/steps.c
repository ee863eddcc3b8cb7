/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What runs consist of, told to the oracle as it happens.
 */
#include "world.h"
#include "horizon.h"
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

struct dwal_op world_entry(struct world *world, unsigned key, bool ends)
{
	return (struct dwal_op){DWAL_RAW, key_of(key), fresh_payload(world, 12, ends ? 'X' : 'E')};
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
	if (world->calls >= world->disk.fail_at && !world->disk.goes_on && !world->disk.dies &&
	    world->kv && !dwal_kv_refusal(world->kv))
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

static enum dwal_raw_kind raw_kind(void *ctx, const struct dwal_record *record)
{
	switch (record->payload.len ? *(const char *)record->payload.data : 0) {
	case 'A':
		return DWAL_RAW_ATTRIBUTES;
	case 'E':
		return DWAL_RAW_ENTRY;
	case 'X':
		return DWAL_RAW_ENTRY_END;
	default:
		return DWAL_RAW_OTHER;
	}
}

struct seeing {
	const struct world *world;
	struct oracle_seen *seen;
};

/* An index file tells a record without its value: that must stand where it says. */
static int see(void *ctx, const struct dwal_record *record)
{
	const struct seeing *seeing = ctx;
	struct dwal_record whole = *record;

	if (!record->payload.data && record->payload.len) {
		const struct disk_file *file = world_segment(seeing->world, record->segment);

		CHECK(file && record->offset + record->length <= file->cache.len);
		CHECK_INT(dwal_frame_decode(file->cache.data + record->offset, record->length,
					    &whole),
			  DWAL_FRAME_OK);
		CHECK(whole.txid == record->txid && whole.crc32c == record->crc32c);
		CHECK_INT(whole.length, record->length);
	}
	oracle_see(seeing->seen, &whole);
	return 0;
}

int world_open(struct world *world, const struct dwal_options *options)
{
	struct oracle_seen *seen = calloc(1, sizeof(*seen));
	struct seeing seeing = {world, seen};
	struct oracle_found found;
	struct dwal_error error = {0};
	const char *wrong;
	int rc;

	CHECK(seen);
	world->options = options ? *options : (struct dwal_options){0};
	world->options.verify = world->campaign->indexed ? DWAL_VERIFY_INDEX : DWAL_VERIFY_FULL;
	world->options.observe = see;
	world->options.observe_ctx = &seeing;
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

static int write_batch(struct world *world, const struct dwal_batch *batch)
{
	int rc;

	oracle_begin(&world->oracle, batch->ops, batch->n, batch->n > 1 || batch->n_lines);
	rc = dwal_kv_write(world->kv, batch, NULL);
	expect(world, rc, "write", "");
	if (!rc)
		world->oracle.returned = world->oracle.count;
	else if (!is_open_question(world))
		world->oracle.count--;
	return told(world, rc);
}

static const struct dwal_line line = {"time", "1764000000.123456789"};

int world_write(struct world *world, const struct dwal_op *ops, size_t n, bool has_line)
{
	const struct dwal_batch batch = {.ops = ops, .n = n, .lines = &line, .n_lines = has_line};

	return world->kv ? write_batch(world, &batch) : -EBADF;
}

int world_write_ahead(struct world *world, const struct dwal_op *ops, size_t n)
{
	struct dwal_batch batch = {.ops = ops, .n = n, .lines = &line, .n_lines = 1};
	const struct dwal_op other = world_put(world, 7, 30);
	int rc;

	if (!world->kv)
		return -EBADF;
	rc = dwal_kv_ahead(world->kv, &batch, &batch.ahead);
	expect(world, rc, "writing ahead", "");
	(void)told(world, rc);
	(void)world_write(world, &other, 1, false);
	rc = write_batch(world, &batch);
	if (!rc && batch.ahead)
		world->oracle.acked = world->oracle.returned;
	dwal_ahead_free(batch.ahead);
	return rc;
}

int world_append(struct world *world, const struct dwal_op *ops, size_t n)
{
	unsigned before = world->oracle.count;
	int rc;

	if (!world->kv)
		return -EBADF;
	for (size_t i = 0; i < n; i++)
		oracle_begin(&world->oracle, &ops[i], 1, false);
	do /* a store's log leaves the sync before a rotation to it */
		rc = dwal_log_append(world->kv->log, ops, n, NULL);
	while (rc == DWAL_EUNSYNCED && !dwal_log_sync(world->kv->log));
	expect(world, rc, "append", "");
	if (!rc)
		world->oracle.returned = world->oracle.count;
	else if (!is_open_question(world))
		world->oracle.count = before;
	return told(world, rc);
}

/* What makes durable all that has returned before it. */
static int acknowledge(struct world *world, int (*make_durable)(dwal_kv *kv), const char *what)
{
	unsigned returned = world->oracle.returned;
	int rc = world->kv ? make_durable(world->kv) : -EBADF;

	expect(world, rc, what, "");
	if (!rc)
		world->oracle.acked = returned;
	return told(world, rc);
}

int world_sync(struct world *world)
{
	return acknowledge(world, dwal_kv_sync, "sync");
}

/* Writes index files, and compares those that are there. */
static void scrub(struct world *world)
{
	int rc;

	if (!world->campaign->indexed || !world->kv)
		return;
	rc = dwal_kv_scrub(world->kv, NULL, NULL);
	expect(world, rc, "scrub", "");
	(void)told(world, rc);
}

int world_rotate(struct world *world)
{
	int rc = acknowledge(world, dwal_kv_rotate, "rotation");

	scrub(world);
	return rc;
}

int world_compact(struct world *world, const struct dwal_rewrite_options *given)
{
	struct dwal_rewrite_options options = given ? *given : (struct dwal_rewrite_options){0};
	struct oracle *oracle = &world->oracle;
	uint64_t keep = options.keep_txid ? options.keep_txid : oracle->returned;
	struct dwal_error error = {0};
	int rc;

	if (!world->kv)
		return -EBADF;
	scrub(world);
	options.raw_kind = raw_kind;
	oracle->compacts = true;
	if (!options.drop_tags && oracle->tag && oracle->tag < keep)
		keep = oracle->tag;
	if (oracle->keep < keep)
		oracle->keep = keep;
	for (uint32_t id = 1; id < WORLD_SEGMENTS && id < dwal_kv_active_segment(world->kv); id++)
		if (world_segment(world, id))
			world->mtimes[id] = world_segment(world, id)->mtime;
	rc = dwal_kv_compact(world->kv, &options, NULL, &error);
	expect(world, rc, "compaction in place", error.message);
	rc = told(world, rc);
	scrub(world);
	return rc;
}

int world_tag(struct world *world, uint64_t txid)
{
	struct dwal_op op = {.type = DWAL_RAW, .key = {TAG_KEY, strlen(TAG_KEY)}};
	char *payload;
	size_t len;
	int rc;

	if (!world->kv)
		return -EBADF;
	CHECK_INT(tag_make("then", txid, &payload, &len), 0);
	op.payload = (struct dwal_bytes){payload, len};
	oracle_begin(&world->oracle, &op, 1, false);
	free(payload);
	rc = dwal_kv_tag(world->kv, "then", txid);
	expect(world, rc, "tag", "");
	if (!rc)
		world->oracle.returned = world->oracle.count;
	else if (!is_open_question(world))
		world->oracle.count--;
	if (!rc) {
		world->oracle.tag = txid;
		world->oracle.tag_event = world->oracle.count;
	}
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
