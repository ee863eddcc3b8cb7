/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a compaction into another directory has left after a crash: all, or
 * nothing that is in the way of another.
 */
#include "world.h"
#include "unit.h"

static const struct oracle_record *value_of(const struct target *target, uint32_t key)
{
	for (size_t i = 0; i < target->live; i++)
		if (target->values[i].key == key)
			return &target->values[i];
	return NULL;
}

static void check_values(struct world *world, dwal_kv *kv)
{
	dwal_cursor *cursor;
	struct dwal_item item;
	size_t n = 0;

	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	while (dwal_cursor_next(cursor, &item) == 0) {
		uint32_t key = oracle_crc(item.key.data, item.key.len);
		const struct oracle_record *wanted = value_of(&world->target, key);
		void *value = NULL;
		size_t len = 0;

		if (dwal_kv_get(kv, item.key.data, item.key.len, &value, &len, NULL) || !wanted ||
		    len != wanted->payload_len || oracle_crc(value, len) != wanted->payload)
			world_fail(world, "the compacted log has another value");
		free(value);
		n++;
	}
	dwal_cursor_close(cursor);
	if (n != world->target.live)
		world_fail(world, "the compacted log has %zu keys", n);
}

void world_check_target(struct world *world)
{
	static const struct dwal_options reading = {.read_only = true};
	struct dwal_error error = {0};
	char path[100];
	dwal_kv *kv;

	if (!world->target.begun)
		return;
	if (!disk_lookup(&world->disk.now, DISK_ROOT, "out")) {
		if (world->target.acked)
			world_fail(world, "the compacted log is gone");
		return;
	}
	snprintf(path, sizeof(path), "%s/out", world->campaign->root);
	if (kv_open(&world->disk.io, path, &reading, &kv, &error))
		world_fail(world, "the compacted log cannot be opened: %s", error.message);
	check_values(world, kv);
	CHECK_INT(dwal_kv_close(kv), 0);
}
