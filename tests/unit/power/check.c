/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a crash has left: read without a lock, opened, checked, written to, and
 * crashed into once more.
 */
#include "world.h"
#include "reader.h"
#include "unit.h"

#include <errno.h>

/* What a reader without a lock shows; and the torn tail, if any. */
static void read_all(struct world *world, struct oracle_seen *seen, struct dwal_damage *damage)
{
	struct dwal_error error = {0};
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter;
	int rc = reader_open(&world->disk.io, world->dir, &reader, &error);

	seen->n = 0;
	if (rc)
		world_fail(world, "a reader cannot open it: %s", error.message);
	rc = dwal_reader_iterate(reader, 0, 0, &iter, &error);
	CHECK_INT(rc, 0);
	while ((rc = dwal_iter_next(iter, &record, &error)) == 0)
		oracle_see(seen, &record);
	if (rc != DWAL_END)
		world_fail(world, "a reader cannot read it: %s", error.message);
	*damage = (struct dwal_damage){0};
	(void)dwal_iter_damage(iter, damage); /* none, perhaps */
	dwal_iter_close(iter);
	dwal_reader_close(reader);
}

const struct disk_file *world_segment(const struct world *world, uint32_t id)
{
	char name[32];
	unsigned ino;

	snprintf(name, sizeof(name), "%08u.dwal", id);
	ino = disk_lookup(&world->disk.now, DISK_LOG, name);
	return ino ? &world->disk.files[ino] : NULL;
}

/* After a power cut it is on the disk for good, and nothing may lose it. */
static void remember_torn(struct world *world, const struct dwal_damage *damage)
{
	const struct disk_file *file = world_segment(world, damage->segment);
	struct torn *torn = &world->torn;

	if (!damage->bytes)
		return;
	CHECK(file && file->cache.len == damage->offset + damage->bytes);
	torn->segment = damage->segment;
	torn->offset = damage->offset;
	disk_bytes_resize(&torn->bytes, (size_t)damage->bytes);
	memcpy(torn->bytes.data, file->cache.data + damage->offset, torn->bytes.len);
}

/* In a side file, once the log was opened. */
static void check_torn(const struct world *world)
{
	const struct torn *torn = &world->torn;
	char prefix[48];

	if (!torn->bytes.len)
		return;
	snprintf(prefix, sizeof(prefix), "%08u.dwal.torn-%llu", torn->segment,
		 (unsigned long long)torn->offset);
	for (size_t i = 0; i < world->disk.now.n; i++) {
		const struct disk_name *name = &world->disk.now.list[i];
		const struct disk_bytes *bytes = &world->disk.files[name->ino].cache;
		size_t n = strlen(prefix);

		if (strncmp(name->name, prefix, n) == 0 &&
		    (!name->name[n] || name->name[n] == '.') && bytes->len == torn->bytes.len &&
		    memcmp(bytes->data, torn->bytes.data, bytes->len) == 0)
			return;
	}
	world_fail(world, "the torn tail is in no side file: %s, %zu bytes", prefix,
		   torn->bytes.len);
}

/* A record without a header has the time of its file. */
static void check_mtimes(const struct world *world)
{
	for (uint32_t id = 1; id < WORLD_SEGMENTS; id++) {
		const struct disk_file *file = world_segment(world, id);

		if (file && world->mtimes[id].tv_sec &&
		    file->mtime.tv_sec != world->mtimes[id].tv_sec)
			world_fail(world, "segment %u has another time", id);
	}
}

/* Nothing of a half-done rewrite, or side file, stays. */
static void check_tidy(const struct world *world)
{
	for (size_t i = 0; i < world->disk.now.n; i++)
		if (world->disk.now.list[i].dir == DISK_LOG &&
		    strstr(world->disk.now.list[i].name, "-tmp"))
			world_fail(world, "left over after an open: %s",
				   world->disk.now.list[i].name);
}

void world_check_living(struct world *world)
{
	static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};
	unsigned live = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const struct oracle_record *wanted = oracle_value(
			&world->oracle, world->oracle.returned, oracle_crc(keys[i], 2));
		struct dwal_error error = {0};
		void *value = NULL;
		size_t len = 0;
		int rc = dwal_kv_get(world->kv, keys[i], 2, &value, &len, &error);

		live += wanted != NULL;
		if (rc < 0)
			world_fail(world, "%s cannot be read: %s", keys[i], error.message);
		if (!wanted != !!rc || (wanted && (len != wanted->payload_len ||
						   oracle_crc(value, len) != wanted->payload)))
			world_fail(world, "%s has not the value that was written", keys[i]);
		if (!rc)
			free(value);
	}
	if (dwal_kv_len(world->kv) != live)
		world_fail(world, "%zu keys, not %u", dwal_kv_len(world->kv), live);
}

/* What a reader shows is what the next writer finds. */
static void check_read(struct world *world)
{
	struct oracle_seen *seen = malloc(sizeof(*seen));
	struct oracle_found found;
	struct dwal_damage damage;
	const char *wrong;
	bool killed = world->step.kind != 'c';

	CHECK(seen);
	read_all(world, seen, &damage);
	if (world->lies) {
		free(seen);
		return;
	}
	wrong = oracle_judge(&world->oracle, seen,
			     killed ? world->oracle.returned : world->oracle.acked, &found);
	if (wrong)
		world_fail(world, "read after a %s: %s", killed ? "kill" : "power cut", wrong);
	free(seen);
	if (killed)
		return;
	oracle_recover(&world->oracle, &found);
	remember_torn(world, &damage);
}

static void open_again(struct world *world)
{
	check_read(world);
	(void)world_open(world, &world->options);
	check_torn(world);
	check_tidy(world);
	check_mtimes(world);
	world_check_living(world);
	world_check_target(world);
}

/* Another life of the log. */
static void go_on(struct world *world)
{
	const struct dwal_op rename[] = {world_put(world, 5, 40), world_attributes(world, 5, 20),
					 world_delete(4)};
	const struct dwal_op put = world_put(world, 4, 30);

	(void)world_write(world, rename, 3, true);
	(void)world_write(world, &put, 1, false);
	(void)world_sync(world);
	world_check_living(world);
	if (world->oracle.compacts)
		(void)world_compact(world, NULL);
	world_check_living(world);
	if (world->target.begun && !disk_lookup(&world->disk.now, DISK_ROOT, "out"))
		(void)world_compact_to(world);
	(void)world_close(world);
}

void world_check(struct world *world)
{
	if (world->depth < world->campaign->depth)
		world_watch(world);
	open_again(world);
	go_on(world);
	world_check_last(world);
}

void world_check_last(struct world *world)
{
	struct world *last = malloc(sizeof(*last));
	struct crash crash;

	CHECK(last);
	memcpy(last, world, sizeof(*last));
	crash_begin(&crash, &world->disk, 2, world->campaign->seed);
	crash_state(&crash, 0, &last->disk);
	last->step.kind = 'c';
	disk_bytes_copy(&last->torn.bytes, &world->torn.bytes);
	open_again(last);
	(void)world_close(last);
	disk_release(&last->disk);
	free(last->torn.bytes.data);
	free(last);
}
