/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is done to a log while the power may go.
 */
#include "world.h"
#include "unit.h"

static void put(struct world *world, unsigned key, size_t size)
{
	const struct dwal_op op = world_put(world, key, size);

	(void)world_write(world, &op, 1, false);
}

static void remove_key(struct world *world, unsigned key)
{
	const struct dwal_op op = world_delete(key);

	(void)world_write(world, &op, 1, true);
}

static void append_and_sync(struct world *world)
{
	const struct dwal_op raws[] = {world_raw(world, 30), world_raw(world, 300),
				       world_raw(world, 10)};

	(void)world_open(world, NULL);
	put(world, 0, 40);
	(void)world_sync(world);
	put(world, 1, 500);
	remove_key(world, 0);
	(void)world_append(world, raws, 3);
	(void)world_sync(world);
	put(world, 2, 0);
	(void)world_close(world);
}

static void rotate(struct world *world)
{
	(void)world_open(world, NULL);
	put(world, 0, 40);
	(void)world_rotate(world);
	put(world, 1, 60);
	remove_key(world, 0);
	(void)world_rotate(world);
	(void)world_rotate(world);
	put(world, 2, 40);
	(void)world_close(world);
}

/* By the size of a segment; and what is in two lives. */
static void rotate_by_size(struct world *world)
{
	const struct dwal_options options = {.segment_size = 400};

	(void)world_open(world, &options);
	put(world, 0, 300);
	put(world, 1, 200);
	(void)world_close(world);
	(void)world_open(world, &options);
	put(world, 2, 90);
	put(world, 3, 90);
	(void)world_sync(world);
	(void)world_close(world);
}

/* As a mount renames, one name and many at once. */
static void rename_as_one(struct world *world)
{
	struct dwal_op ops[8];

	(void)world_open(world, NULL);
	for (unsigned key = 0; key < 2; key++) {
		ops[0] = world_put(world, key, 150);
		ops[1] = world_attributes(world, key, 30);
		(void)world_write(world, ops, 2, true);
	}
	(void)world_sync(world);
	ops[0] = world_put(world, 2, 150);
	ops[1] = world_attributes(world, 2, 30);
	ops[2] = world_delete(0);
	(void)world_write(world, ops, 3, true);
	ops[0] = world_put(world, 4, 150);
	ops[1] = world_attributes(world, 4, 30);
	ops[2] = world_put(world, 5, 150);
	ops[3] = world_attributes(world, 5, 30);
	ops[4] = world_delete(1);
	ops[5] = world_delete(2);
	(void)world_write(world, ops, 6, true);
	(void)world_sync(world);
	(void)world_close(world);
}

const struct run world_runs[] = {
	{"append", append_and_sync},
	{"rotate", rotate},
	{"rotate-by-size", rotate_by_size},
	{"rename", rename_as_one},
};
const size_t world_run_count = sizeof(world_runs) / sizeof(*world_runs);
