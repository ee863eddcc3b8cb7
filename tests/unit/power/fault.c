/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Each call of a run fails, in each way, once or from then on: what was
 * reported, and what is there afterwards, is right all the same.
 */
#include "world.h"
#include "unit.h"

#include <errno.h>

static const struct {
	enum disk_fault fault;
	int fail_with;
	bool goes_on, dies;
} ways[] = {
	{.fault = DISK_SOUND}, /* number 0: none */
	{DISK_FAILS, -EIO, false, false},
	{DISK_FAILS, -EIO, true, false},
	{DISK_PART, -EIO, false, false},
	{DISK_PART, -EIO, true, false},
	{DISK_PART, -EIO, false, true},
	{DISK_FAILS, -ENOSPC, false, false},
	{DISK_PART, -ENOSPC, true, false},
	{DISK_FAILS, -EINTR, false, false},
	{DISK_FAILS, -EMFILE, false, false},
	{DISK_FAILS, -ENFILE, true, false},
	{DISK_SHORT, 0, false, false},
	{DISK_SHORT, 0, true, false},
};
enum { WAYS = sizeof(ways) / sizeof(*ways) };

/* What a kill leaves, and what power cuts may. */
static void check_after(const struct world *world)
{
	struct world *next = world_next(world, (struct crash_step){0, 'k', 0});
	const char *failed = world->disk.failed ? world->disk.failed : "";
	struct crash crash;

	disk_copy(&next->disk, &world->disk);
	disk_drop_unnamed(&next->disk);
	next->lies = world->lies || strstr(failed, "sync");
	if (next->lies)
		next->oracle.returned = next->oracle.acked;
	world_visit(next);
	crash_begin(&crash, &world->disk, 8, world->campaign->seed);
	for (uint64_t i = 0; i < crash.states; i++) {
		next = world_next(world, (struct crash_step){0, 'c', i});
		crash_state(&crash, i, &next->disk);
		world_visit(next);
	}
}

/* How many calls there were. */
static uint64_t run_with(struct campaign *campaign, uint64_t fail_at, unsigned way)
{
	struct world *world = world_new(campaign);
	uint64_t calls;

	campaign->fail_at = fail_at;
	campaign->fault = way;
	world->faulty = true;
	world->disk.fail_at = fail_at;
	world->disk.fault = ways[way].fault;
	world->disk.fail_with = ways[way].fail_with;
	world->disk.goes_on = ways[way].goes_on;
	world->disk.dies = ways[way].dies;
	world_watch(world);
	campaign->run->run(world);
	calls = world->disk.calls;
	world->disk.before = NULL;
	CHECK_INT(disk_open_count(&world->disk), 0);
	check_after(world);
	world_free(world);
	return calls;
}

void world_faults(struct campaign *campaign)
{
	unsigned only = campaign->fault;
	uint64_t first = campaign->fail_at ? campaign->fail_at : 1;
	uint64_t last = campaign->fail_at;

	campaign->depth = 1;
	if (!last)
		last = run_with(campaign, 0, 0);
	for (uint64_t call = first; call <= last; call += campaign->stride + 1)
		for (unsigned way = 1; way < WAYS; way++)
			if (!only || way == only) {
				(void)run_with(campaign, call, way);
				campaign->points++;
			}
	world_forget(campaign);
}
