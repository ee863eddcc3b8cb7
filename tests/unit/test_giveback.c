/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What history= means: each rule at its boundary, and what happens in a row when
 * what was freed shows late, or never.
 */
#include "mount/giveback.h"

#include "unit.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

#define WHATEVER 0

enum keeps { NOTHING_KEPT, AN_HOUR, THE_LIMIT };

struct decision {
	const char *about;
	struct history_limit limit;
	struct giveback_disk disk;
	struct giveback_log log;
	bool runs;
	uint64_t enough;
	enum keeps keeps;
};

#define AUTO                    \
	{                       \
		HISTORY_AUTO, 0 \
	}
#define NONE                    \
	{                       \
		HISTORY_NONE, 0 \
	}
#define TEN_G                           \
	{                               \
		HISTORY_BYTES, 10 * GIB \
	}
#define A_DAY                      \
	{                          \
		HISTORY_AGE, 86400 \
	}

/* A disk of 100 GiB, a log that has 10 GiB of dead bytes; unless it is said. */
#define DISK 100 * GIB
#define DEAD                            \
	{                               \
		40 * GIB, 10 * GIB, 100 \
	}
#define TENTH    (10 * GIB)
#define FIFTIETH (2 * GIB)

static const struct decision decisions[] = {
	{"a tenth is free", AUTO, {DISK, TENTH, false}, DEAD, false, 0, WHATEVER},
	{"a byte less", AUTO, {DISK, TENTH - 1, false}, DEAD, true, 1, AN_HOUR},
	{"half of it", AUTO, {DISK, 5 * GIB, false}, DEAD, true, 5 * GIB, AN_HOUR},
	{"2 % are free", AUTO, {DISK, FIFTIETH, false}, DEAD, true, 8 * GIB, AN_HOUR},
	{"a byte less", AUTO, {DISK, FIFTIETH - 1, false}, DEAD, true, 8 * GIB + 1, NOTHING_KEPT},
	{"nothing", AUTO, {DISK, 0, false}, DEAD, true, TENTH, NOTHING_KEPT},
	{"nothing, and an append said so", AUTO, {DISK, 0, true}, DEAD, true, TENTH, NOTHING_KEPT},

	{"20 GiB of a large disk",
	 AUTO,
	 {4096 * GIB, 20 * GIB, false},
	 {999 * GIB, 99 * GIB, 100},
	 false,
	 0,
	 WHATEVER},
	{"a byte less",
	 AUTO,
	 {4096 * GIB, 20 * GIB - 1, false},
	 {999 * GIB, 99 * GIB, 100},
	 true,
	 1,
	 NOTHING_KEPT},
	{"the disk on which a tenth is 20 GiB",
	 AUTO,
	 {200 * GIB, 20 * GIB - 1, false},
	 {99 * GIB, 9 * GIB, 100},
	 true,
	 1,
	 AN_HOUR},

	{"1 % of it is dead",
	 AUTO,
	 {DISK, 0, false},
	 {9 * GIB, GIB, 100},
	 true,
	 TENTH,
	 NOTHING_KEPT},
	{"a byte less", AUTO, {DISK, 0, false}, {9 * GIB, GIB - 1, 100}, false, 0, WHATEVER},
	{"a byte less, and full",
	 AUTO,
	 {DISK, 0, true},
	 {9 * GIB, GIB - 1, 100},
	 false,
	 0,
	 WHATEVER},
	{"a segment is a quarter dead",
	 AUTO,
	 {DISK, 0, false},
	 {40 * GIB, 10 * GIB, 25},
	 true,
	 TENTH,
	 NOTHING_KEPT},
	{"not quite", AUTO, {DISK, 0, false}, {40 * GIB, 10 * GIB, 24}, false, 0, WHATEVER},

	/* an append was refused, and there is room: a quota */
	{"room for others alone",
	 AUTO,
	 {DISK, 50 * GIB, true},
	 {GIB, GIB / 2, 60},
	 true,
	 GIB / 10,
	 NOTHING_KEPT},
	{"and 1 % of the log dead",
	 AUTO,
	 {DISK, 50 * GIB, true},
	 {100 * GIB, GIB, 60},
	 true,
	 TENTH,
	 NOTHING_KEPT},
	{"a byte less", AUTO, {DISK, 50 * GIB, true}, {100 * GIB, GIB - 1, 60}, false, 0, WHATEVER},
	{"20 GiB at most",
	 AUTO,
	 {DISK, 50 * GIB, true},
	 {900 * GIB, 90 * GIB, 60},
	 true,
	 20 * GIB,
	 NOTHING_KEPT},

	{"all stays", {HISTORY_ALL, 0}, {DISK, 0, true}, DEAD, false, 0, WHATEVER},

	{"a third is dead",
	 NONE,
	 {DISK, DISK, false},
	 {30 * MIB, 10 * MIB, 40},
	 true,
	 0,
	 NOTHING_KEPT},
	{"a byte less",
	 NONE,
	 {DISK, DISK, false},
	 {30 * MIB, 10 * MIB - 1, 40},
	 false,
	 0,
	 WHATEVER},
	{"all of 1 MiB", NONE, {DISK, DISK, false}, {MIB, MIB, 100}, true, 0, NOTHING_KEPT},
	{"all of a byte less",
	 NONE,
	 {DISK, DISK, false},
	 {MIB - 1, MIB - 1, 100},
	 false,
	 0,
	 WHATEVER},
	{"a full disk is no other",
	 NONE,
	 {DISK, 0, true},
	 {30 * MIB, 9 * MIB, 40},
	 false,
	 0,
	 WHATEVER},

	{"a tenth more than the size",
	 TEN_G,
	 {DISK, DISK, false},
	 {99 * GIB, 11 * GIB, 11},
	 true,
	 0,
	 THE_LIMIT},
	{"a byte less", TEN_G, {DISK, 0, true}, {99 * GIB, 11 * GIB - 1, 11}, false, 0, WHATEVER},
	{"1 MiB more than 1 MiB",
	 {HISTORY_BYTES, MIB},
	 {DISK, DISK, false},
	 {9 * MIB, 2 * MIB, 90},
	 true,
	 0,
	 THE_LIMIT},
	{"a byte less",
	 {HISTORY_BYTES, MIB},
	 {DISK, DISK, false},
	 {9 * MIB, 2 * MIB - 1, 90},
	 false,
	 0,
	 WHATEVER},

	{"1 MiB that could be old",
	 A_DAY,
	 {DISK, DISK, false},
	 {99 * GIB, MIB, 1},
	 true,
	 0,
	 THE_LIMIT},
	{"a byte less", A_DAY, {DISK, 0, true}, {99 * GIB, MIB - 1, 1}, false, 0, WHATEVER},
};

/* As the compactor asks. */
static struct giveback_plan decide(struct giveback *giveback, int64_t clock,
				   struct giveback_disk disk, struct giveback_log log)
{
	struct giveback_plan plan = giveback_decide(giveback, clock, &disk, NULL);

	CHECK(plan.what != GIVEBACK_RUN); /* it has not seen the log */
	if (plan.what == GIVEBACK_ASKS_FOR_THE_LOG)
		plan = giveback_decide(giveback, clock, &disk, &log);
	CHECK(plan.what != GIVEBACK_ASKS_FOR_THE_LOG);
	CHECK(plan.why && *plan.why);
	return plan;
}

static void check_keeps(const struct decision *decision, const struct giveback_plan *plan)
{
	static const struct history_limit hour = {HISTORY_AGE, 3600}, none = {HISTORY_NONE, 0};
	const struct history_limit *keeps = decision->keeps == AN_HOUR     ? &hour
					    : decision->keeps == THE_LIMIT ? &decision->limit
									   : &none;

	CHECK_INT(plan->keep.kind, keeps->kind);
	if (keeps->kind != HISTORY_NONE)
		CHECK_INT(plan->keep.value, keeps->value);
}

static void each_rule_holds_at_its_boundary(void)
{
	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
		const struct decision *decision = &decisions[i];
		struct giveback giveback = {.limit = decision->limit};
		struct giveback_plan plan = decide(&giveback, 1, decision->disk, decision->log);

		if ((plan.what == GIVEBACK_RUN) != decision->runs)
			fprintf(stderr, "%s: %s\n", decision->about, plan.why);
		CHECK_INT(plan.what == GIVEBACK_RUN, decision->runs);
		if (!decision->runs)
			continue;
		CHECK(plan.enough == decision->enough);
		check_keeps(decision, &plan);
	}
}

/* A mount in time: a disk that others use as well, and a log. */
struct world {
	struct giveback giveback;
	struct giveback_disk disk;
	struct giveback_log log;
	int64_t clock;
	uint64_t dropped; /* by all so far */
	unsigned runs;
};

static struct world world_of_auto(void)
{
	return (struct world){.giveback = {.limit = AUTO},
			      .disk = {DISK, GIB, false},
			      .log = {60 * GIB, 50 * GIB, 100},
			      .clock = 1};
}

/* One is begun now, if any, and frees what it is to free, of so much. */
static uint64_t run_of(struct world *world, uint64_t available)
{
	struct giveback_plan plan = decide(&world->giveback, world->clock, world->disk, world->log);
	uint64_t freed = plan.enough && plan.enough < available ? plan.enough : available;

	if (plan.what != GIVEBACK_RUN)
		return 0;
	world->runs++;
	world->log.bytes -= freed;
	world->log.dead -= freed;
	world->dropped += freed;
	giveback_freed(&world->giveback, freed);
	giveback_ended(&world->giveback, world->clock, &plan, freed, world->log.dead,
		       !plan.enough || freed < plan.enough);
	return freed;
}

static uint64_t run(struct world *world)
{
	return run_of(world, world->log.dead);
}

static void pass(struct world *world, int64_t seconds)
{
	world->clock += seconds;
}

static void after_one_it_rests_ten_minutes(void)
{
	struct world world = world_of_auto();

	CHECK(run(&world) == 9 * GIB);
	world.disk = (struct giveback_disk){DISK, 10 * GIB, false};
	CHECK(run(&world) == 0);
	world.disk = (struct giveback_disk){DISK, 0, true}; /* others fill it at once */
	pass(&world, 599);
	CHECK(run(&world) == 0);
	pass(&world, 1);
	CHECK(run(&world) == 10 * GIB);
}

/* Somebody has the old files open, or a backup has links to them. */
static void what_never_shows_is_not_freed_again_and_again(void)
{
	struct world world = world_of_auto();

	CHECK(run(&world) == 9 * GIB);
	for (int i = 0; i < 1000; i++) {
		pass(&world, 600);
		CHECK(run(&world) == 0);
	}
	world.disk =
		(struct giveback_disk){DISK, 0, true}; /* even when it is full: the rest alone */
	CHECK(run(&world) == GIB);
	for (int i = 0; i < 1000; i++) {
		pass(&world, 600);
		CHECK(run(&world) == 0);
	}
	CHECK(world.dropped == TENTH);
}

static void what_shows_late_counts_once(void)
{
	struct world world = world_of_auto();

	CHECK(run(&world) == 9 * GIB);
	pass(&world, 600);
	CHECK(run(&world) == 0);
	world.disk.free = 4 * GIB; /* a third of it */
	CHECK(run(&world) == 0);
	world.disk.free = 10 * GIB;
	CHECK(run(&world) == 0);
	world.disk.free = 3 * GIB; /* all has shown, and others have filled it */
	CHECK(run(&world) == 7 * GIB);
	CHECK_INT(world.runs, 2);
}

static void what_shows_while_it_runs_counts_as_well(void)
{
	struct world world = world_of_auto();
	struct giveback_plan plan = decide(&world.giveback, 1, world.disk, world.log);

	CHECK_INT(plan.what, GIVEBACK_RUN);
	for (int i = 1; i <= 9; i++) {
		giveback_freed(&world.giveback, GIB);
		giveback_sees(&world.giveback, 2 * GIB); /* shown, and */
		giveback_sees(&world.giveback, GIB);     /* used by others */
	}
	giveback_ended(&world.giveback, 1, &plan, 9 * GIB, 41 * GIB, false);
	pass(&world, 600);
	CHECK(run(&world) == 9 * GIB);
}

/* Headers, attributes: dead by the numbers, and nothing can go. */
static void a_log_that_was_read_in_vain_is_not_read_again_for_the_same_bytes(void)
{
	struct world world = world_of_auto();

	CHECK(run_of(&world, 0) == 0);
	CHECK_INT(world.runs, 1);
	for (int i = 0; i < 1000; i++) {
		pass(&world, 600);
		CHECK(run_of(&world, 0) == 0);
	}
	CHECK_INT(world.runs, 1);
	world.log.bytes += GIB - 1;
	world.log.dead += GIB - 1; /* something new, but under 1 % */
	CHECK(run(&world) == 0);
	world.log.dead++;
	CHECK(run(&world) > 0);
}

/* While 2 % are free what is recent stays: it can go later. */
static void what_is_recent_is_tried_again_when_it_is_not(void)
{
	struct world world = world_of_auto();

	world.disk.free = 5 * GIB;
	CHECK(run_of(&world, 0) == 0);
	pass(&world, 600);
	CHECK(run_of(&world, 0) == 0);
	CHECK_INT(world.runs, 1); /* nothing has aged enough to be worth it */
	pass(&world, 1200);
	CHECK(run_of(&world, 0) == 0);
	CHECK_INT(world.runs, 2);
	pass(&world, 1800);
	CHECK(run_of(&world, 0) == 0); /* what was dead an hour ago can not go at all */
	CHECK_INT(world.runs, 3);
	for (int i = 0; i < 100; i++) {
		pass(&world, 1800);
		CHECK(run_of(&world, 0) == 0);
	}
	CHECK_INT(world.runs, 3);
}

static void with_less_than_2_percent_what_is_recent_goes_after_the_rest(void)
{
	struct world world = world_of_auto();

	world.disk.free = 5 * GIB;
	CHECK(run_of(&world, 0) == 0);
	world.disk.free = GIB;
	pass(&world, 599);
	CHECK(run(&world) == 0);
	pass(&world, 1);
	CHECK(run(&world) == 9 * GIB);
}

static void without_history_it_goes_on_until_it_is_in_vain(void)
{
	struct world world = {.giveback = {.limit = NONE},
			      .disk = {DISK, DISK, false},
			      .log = {30 * MIB, 20 * MIB, 100},
			      .clock = 1};

	CHECK(run(&world) == 20 * MIB);
	world.log = (struct giveback_log){30 * MIB, 20 * MIB, 100};
	CHECK(run_of(&world, 0) == 0);
	CHECK_INT(world.runs, 2);
	world.log = (struct giveback_log){90 * MIB, 80 * MIB, 100};
	pass(&world, 599);
	CHECK(run(&world) == 0);
	pass(&world, 1);
	CHECK(run(&world) == 80 * MIB);
}

static void of_a_size_only_what_is_over_it_is_hopeless(void)
{
	struct world world = {.giveback = {.limit = TEN_G},
			      .disk = {DISK, DISK, false},
			      .log = {90 * GIB, 20 * GIB, 100},
			      .clock = 1};

	CHECK(run_of(&world, 5 * GIB) == 5 * GIB); /* 5 GiB of the rest are headers */
	pass(&world, 600);
	CHECK(run(&world) == 0);
	world.log.dead += GIB - 1;
	CHECK(run(&world) == 0);
	world.log.dead += 1;
	CHECK(run_of(&world, GIB) == GIB);
}

static void by_age_it_looks_at_a_tenth_of_the_age(void)
{
	static const struct {
		uint64_t age;
		int64_t every;
	} cases[] = {{1, 600}, {6000, 600}, {6010, 601}, {864000, 86400}, {31536000, 86400}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world = {.giveback = {.limit = {HISTORY_AGE, cases[i].age}},
				      .disk = {DISK, DISK, false},
				      .log = {90 * GIB, 20 * GIB, 100},
				      .clock = 1};

		CHECK(run_of(&world, MIB) == MIB);
		pass(&world, cases[i].every - 1);
		CHECK(run_of(&world, MIB) == 0);
		pass(&world, 1);
		CHECK(run_of(&world, MIB) == MIB);
	}
}

static void one_that_failed_is_tried_again_after_the_rest(void)
{
	struct world world = world_of_auto();
	struct giveback_plan plan = decide(&world.giveback, 1, world.disk, world.log);

	CHECK_INT(plan.what, GIVEBACK_RUN);
	giveback_ended(&world.giveback, 1, &plan, 0, world.log.dead, false);
	CHECK(run(&world) == 0);
	pass(&world, 600);
	CHECK(run(&world) == 9 * GIB);
}

UNIT_MAIN(UNIT(each_rule_holds_at_its_boundary), UNIT(after_one_it_rests_ten_minutes),
	  UNIT(what_never_shows_is_not_freed_again_and_again), UNIT(what_shows_late_counts_once),
	  UNIT(what_shows_while_it_runs_counts_as_well),
	  UNIT(a_log_that_was_read_in_vain_is_not_read_again_for_the_same_bytes),
	  UNIT(what_is_recent_is_tried_again_when_it_is_not),
	  UNIT(with_less_than_2_percent_what_is_recent_goes_after_the_rest),
	  UNIT(without_history_it_goes_on_until_it_is_in_vain),
	  UNIT(of_a_size_only_what_is_over_it_is_hopeless),
	  UNIT(by_age_it_looks_at_a_tenth_of_the_age),
	  UNIT(one_that_failed_is_tried_again_after_the_rest))
