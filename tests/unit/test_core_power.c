/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Power cuts and kills at each change that a run makes, and again at each
 * change that the opening behind it makes; and each call of a run fails:
 * unit/power/. Longer, and how a failure is seen again: the program `power`.
 */
#include "power/world.h"
#include "unit.h"

#include <signal.h>

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 }; /* a few tens of times slower: for leaks, not for states */
#else
enum { SANITIZED = 0 };
#endif

static void simulate_with(struct campaign options, const char *name, bool faults, uint64_t least)
{
	struct unit_dir dir = unit_dir_make();
	struct campaign campaign = {
		.run = world_run(name), .root = dir.path, .seed = 1, .depth = 2, .most = {64, 64}};

	CHECK(campaign.run);
	campaign.indexed = options.indexed;
	campaign.stride = options.stride;
	if (SANITIZED) {
		campaign.depth = 1;
		campaign.stride = options.stride ? 10 * options.stride : 6;
		least = 20;
	}
	signal(SIGABRT, world_abort);
	if (faults)
		world_faults(&campaign);
	else
		world_campaign(&campaign);
	printf("  %s: %llu changes, %llu states, %llu different\n", name,
	       (unsigned long long)campaign.points, (unsigned long long)campaign.states,
	       (unsigned long long)campaign.checked);
	CHECK(campaign.checked >= least);
	unit_dir_remove(&dir);
}

static void simulate(const char *name, bool faults, uint64_t least)
{
	simulate_with((struct campaign){0}, name, faults, least);
}

static void what_was_synced_survives_a_power_cut_and_nothing_else_appears(void)
{
	simulate("append", false, 2000);
}

static void a_rotation_is_whole_or_did_not_happen(void)
{
	simulate("rotate", false, 1000);
	simulate("rotate-by-size", false, 900);
}

static void operations_are_whole_whatever_sectors_a_power_cut_leaves(void)
{
	simulate("rename", false, 3000);
}

static void what_is_written_ahead_is_whole_and_durable_or_nothing(void)
{
	simulate("rename-ahead", false, 1000);
	simulate("rename-ahead", true, 500);
}

static void a_torn_tail_is_never_lost_whenever_the_repair_is_cut_short(void)
{
	simulate("torn", false, 1500);
}

static void a_compacted_log_bears_its_name_only_when_all_of_it_is_durable(void)
{
	simulate("compact-to", false, 4000);
}

static void a_failed_call_is_told_and_loses_nothing_that_was_acknowledged(void)
{
	simulate("append", true, 500);
	simulate("torn", true, 300);
}

static void a_rotation_that_fails_leaves_nothing_for_a_power_cut_to_bring_back(void)
{
	simulate("rotate", true, 300);
	simulate("rotate-by-size", true, 300);
}

static void an_operation_that_fails_does_not_come_back(void)
{
	simulate("rename", true, 500);
}

static void a_compaction_that_fails_leaves_nothing_under_its_name(void)
{
	simulate("compact-to", true, 500);
}

static void a_compaction_in_place_is_done_or_not_whenever_the_power_goes(void)
{
	simulate("compact", false, 3000);
	simulate("compact-keep", false, 2000);
	simulate("compact-deleted", false, 1000);
}

static void a_compaction_in_place_that_fails_loses_nothing(void)
{
	simulate("compact", true, 2000);
	simulate("compact-keep", true, 1000);
}

static void an_index_file_is_never_believed_that_is_not_of_the_segment(void)
{
	const struct campaign indexed = {.indexed = true};

	simulate_with(indexed, "rotate", false, 1000);
	simulate_with(indexed, "compact-keep", false, 1000);
}

static void an_index_file_that_cannot_be_written_or_read_loses_nothing(void)
{
	const struct campaign indexed = {.indexed = true, .stride = 4}; /* calls left out */

	simulate_with(indexed, "rotate", true, 200);
	simulate_with(indexed, "compact-keep", true, 300);
}

UNIT_MAIN(UNIT(what_was_synced_survives_a_power_cut_and_nothing_else_appears),
	  UNIT(a_rotation_is_whole_or_did_not_happen),
	  UNIT(operations_are_whole_whatever_sectors_a_power_cut_leaves),
	  UNIT(what_is_written_ahead_is_whole_and_durable_or_nothing),
	  UNIT(a_torn_tail_is_never_lost_whenever_the_repair_is_cut_short),
	  UNIT(a_compacted_log_bears_its_name_only_when_all_of_it_is_durable),
	  UNIT(a_failed_call_is_told_and_loses_nothing_that_was_acknowledged),
	  UNIT(a_rotation_that_fails_leaves_nothing_for_a_power_cut_to_bring_back),
	  UNIT(an_operation_that_fails_does_not_come_back),
	  UNIT(a_compaction_that_fails_leaves_nothing_under_its_name),
	  UNIT(a_compaction_in_place_is_done_or_not_whenever_the_power_goes),
	  UNIT(a_compaction_in_place_that_fails_loses_nothing),
	  UNIT(an_index_file_is_never_believed_that_is_not_of_the_segment),
	  UNIT(an_index_file_that_cannot_be_written_or_read_loses_nothing))
