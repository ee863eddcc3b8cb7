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

/* The same of what is large, ahead of what others write: once from the active segment
 * on, once from a new one. */
static void rename_ahead(struct world *world)
{
	struct dwal_op ops[6];

	(void)world_open(world, NULL);
	put(world, 0, 1100);
	put(world, 1, 60);
	ops[0] = world_put(world, 2, 1100);
	ops[1] = world_attributes(world, 2, 30);
	ops[2] = world_put(world, 3, 60);
	ops[3] = world_delete(0);
	ops[4] = world_delete(1);
	(void)world_write_ahead(world, ops, 5);
	ops[0] = world_put(world, 4, 1100);
	ops[1] = world_delete(2);
	(void)world_write_ahead(world, ops, 2);
	put(world, 5, 40);
	(void)world_close(world);
}

/* What a crash has left in a life before: a torn tail, or the first records of
 * an operation; and a side file of the same name as is needed for it. */
static void torn(struct world *world)
{
	const struct disk_file *file;
	char name[48];

	(void)world_open(world, NULL);
	put(world, 0, 100);
	(void)world_rotate(world);
	put(world, 1, 500);
	(void)world_sync(world);
	(void)world_close(world);
	if (world->disk.failed)
		return;
	file = &world->disk.files[disk_lookup(&world->disk.now, DISK_LOG, "00000002.dwal")];
	snprintf(name, sizeof(name), "00000002.dwal.torn-%zu", file->cache.len);
	world_file(world, name, "older", 5);
	world_file(world, "torn.1.dwal-tmp", "half", 4);
	world->torn.segment = 2;
	world->torn.offset = file->cache.len;
	world_file(world, "00000002.dwal", file->cache.data, 450);
	disk_bytes_resize(&world->torn.bytes, 450);
	memcpy(world->torn.bytes.data, file->cache.data, 450);
	(void)world_open(world, NULL);
	put(world, 2, 60);
	(void)world_sync(world);
	(void)world_close(world);
}

static void compact_to(struct world *world)
{
	struct dwal_op ops[3];

	(void)world_open(world, NULL);
	put(world, 0, 100);
	put(world, 1, 700);
	(void)world_rotate(world);
	ops[0] = world_put(world, 2, 100);
	ops[1] = world_delete(0);
	ops[2] = world_put(world, 3, 100);
	(void)world_write(world, ops, 3, true);
	(void)world_compact_to(world);
	(void)world_close(world);
}

/* Deletes of what is live and of what is not, attributes of both, what belongs
 * to nobody, over three segments; all that can go goes, twice. */
static void compact(struct world *world)
{
	struct dwal_op ops[3];

	(void)world_open(world, NULL);
	put(world, 0, 60);
	put(world, 1, 60);
	ops[0] = world_attributes(world, 1, 30);
	ops[1] = world_entry(world, 2, false);
	(void)world_write(world, ops, 2, true);
	(void)world_rotate(world);
	remove_key(world, 1);
	ops[0] = world_put(world, 0, 80);
	ops[1] = world_raw(world, 20);
	ops[2] = world_entry(world, 2, true);
	(void)world_write(world, ops, 3, true);
	(void)world_rotate(world);
	put(world, 1, 50);
	(void)world_compact(world, NULL);
	remove_key(world, 0);
	(void)world_compact(world, NULL);
	(void)world_close(world);
}

/* States that are to stay, by a txid and by a tag. */
static void compact_and_keep(struct world *world)
{
	const struct dwal_rewrite_options options = {.keep_txid = 4, .most_dead_first = true};

	(void)world_open(world, NULL);
	put(world, 0, 60);
	put(world, 0, 50);
	put(world, 0, 40);
	(void)world_rotate(world);
	put(world, 0, 30);
	remove_key(world, 0);
	(void)world_tag(world, 2);
	(void)world_rotate(world);
	put(world, 1, 30);
	(void)world_sync(world);
	(void)world_compact(world, &options);
	(void)world_close(world);
}

/* Deletes that nothing is left for, and one that hides attributes in a segment
 * which is not worth a rewrite; the highest txid is that of such a one. */
static void compact_deleted(struct world *world)
{
	const struct dwal_rewrite_options options = {.most_dead_first = true, .least_percent = 50};
	struct dwal_op op;

	(void)world_open(world, NULL);
	put(world, 0, 200);
	op = world_attributes(world, 1, 20);
	(void)world_write(world, &op, 1, false);
	(void)world_rotate(world);
	put(world, 2, 20);
	remove_key(world, 1);
	remove_key(world, 2);
	(void)world_rotate(world);
	(void)world_compact(world, &options);
	remove_key(world, 0);
	remove_key(world, 3);
	(void)world_compact(world, NULL);
	(void)world_compact(world, NULL);
	(void)world_close(world);
}

/* Anything, as the seed says, in several lives. */
static void dice(struct world *world)
{
	uint64_t seed = world->campaign->seed * 2 + 1;
	struct dwal_options options = {0};
	struct dwal_op ops[6];

	for (unsigned i = 0; i < 8; i++)
		(void)unit_random(&seed);
#define PICK(n) ((unsigned)(unit_random(&seed) >> 33) % (n))
	for (unsigned life = 0; life < 2; life++) {
		options.segment_size = PICK(2) ? 0 : 700;
		(void)world_open(world, &options);
		for (unsigned i = 0; i < 6; i++) {
			unsigned what = PICK(10), n = 1 + PICK(4), k;

			for (k = 0; k < n; k++) {
				size_t size = PICK(3) ? PICK(120) : PICK(1200);

				ops[k] = what == 0 ? world_raw(world, size)
					 : PICK(3) ? world_put(world, PICK(6), size)
					 : PICK(2) ? world_delete(PICK(6))
						   : world_attributes(world, PICK(6), size + 1);
			}
			if (what == 0)
				(void)world_append(world, ops, n);
			else if (what == 1)
				(void)world_rotate(world);
			else if (what == 2 && world->campaign->seed % 2)
				(void)world_compact(world, NULL);
			else if (what < 5)
				(void)world_sync(world);
			else
				(void)world_write(world, ops, n, PICK(2));
		}
		(void)world_close(world);
	}
#undef PICK
}

const struct run world_runs[] = {
	{"append", append_and_sync},
	{"rotate", rotate},
	{"rotate-by-size", rotate_by_size},
	{"rename", rename_as_one},
	{"rename-ahead", rename_ahead},
	{"torn", torn},
	{"compact-to", compact_to},
	{"compact", compact},
	{"compact-keep", compact_and_keep},
	{"compact-deleted", compact_deleted},
	{"dice", dice}, /* the longest */
};
const size_t world_run_count = sizeof(world_runs) / sizeof(*world_runs);
