/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Power cuts and kills at each change that a run makes, and again at each
 * change that the opening behind it makes: unit/power/. Longer, and how a
 * failure is seen again: the program `power`.
 */
#include "power/world.h"
#include "unit.h"

#include <signal.h>

static void cut(const char *name, uint64_t most, uint64_t least)
{
	struct unit_dir dir = unit_dir_make();
	struct campaign campaign = {.run = world_run(name),
				    .root = dir.path,
				    .seed = 1,
				    .depth = 2,
				    .most = {most, most}};

	CHECK(campaign.run);
	signal(SIGABRT, world_abort);
	world_campaign(&campaign);
	printf("  %llu changes, %llu states, %llu different\n", (unsigned long long)campaign.points,
	       (unsigned long long)campaign.states, (unsigned long long)campaign.checked);
	CHECK(campaign.checked >= least);
	unit_dir_remove(&dir);
}

static void what_was_synced_survives_a_power_cut_and_nothing_else_appears(void)
{
	cut("append", 64, 2000);
}

static void a_rotation_is_whole_or_did_not_happen(void)
{
	cut("rotate", 64, 1000);
	cut("rotate-by-size", 64, 900);
}

static void operations_are_whole_whatever_sectors_a_power_cut_leaves(void)
{
	cut("rename", 64, 3000);
}

UNIT_MAIN(UNIT(what_was_synced_survives_a_power_cut_and_nothing_else_appears),
	  UNIT(a_rotation_is_whole_or_did_not_happen),
	  UNIT(operations_are_whole_whatever_sectors_a_power_cut_leaves))
