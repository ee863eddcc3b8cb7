/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * When the mount gives space back by itself. History is not to be dropped for
 * nothing: what was freed counts as freed, whether the disk shows that late,
 * or not at all (somebody has the old file open, a backup has a link to it);
 * and a log that was read in vain is not read again for the same bytes, for a
 * compaction reads it as a whole.
 */
#include "mount/giveback.h"

#define MIB         ((uint64_t)1 << 20)
#define GIB         ((uint64_t)1 << 30)
#define ENOUGH_FREE (20 * GIB)
#define LITTLE      MIB /* dead bytes that are not worth another segment */
#define DAY_SECONDS 86400

static struct giveback_plan declined(const char *why)
{
	return (struct giveback_plan){.what = GIVEBACK_NOT, .why = why};
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a - less(a, b);
}

static uint64_t wanted_free(uint64_t total)
{
	return less(total / 10, ENOUGH_FREE);
}

/* An append that found no room on a disk that has some: a quota, of which nothing
 * more is known. Then the log is taken for the disk, which is full. */
static struct giveback_disk disk_of_quota(const struct giveback_log *log)
{
	return (struct giveback_disk){.total = log->bytes, .free = 0, .was_full = true};
}

static struct giveback_plan run_on_low_disk(const struct giveback *giveback, int64_t clock,
					    const struct giveback_disk *disk,
					    const struct giveback_log *log, uint64_t dead)
{
	uint64_t missing = minus(wanted_free(disk->total), disk->free);
	bool has_little = disk->free < disk->total / 50;

	if (missing <= giveback->unshown)
		return declined("what was freed is still to show");
	if (dead < disk->total / 100)
		return declined("less than 1 % of the disk would be freed");
	if (log->worst_percent < 25)
		return declined("no segment is a quarter dead");
	if (!has_little && clock < giveback->recent_until)
		return declined("what could go is less than an hour old");
	return (struct giveback_plan){
		.what = GIVEBACK_RUN,
		.why = disk->was_full ? "the disk was full" : "the disk was nearly full",
		.keep = {has_little ? HISTORY_NONE : HISTORY_AGE, GIVEBACK_RECENT_SECONDS},
		.enough = missing - giveback->unshown,
		.least_percent = 25,
		.most_dead_first = true,
	};
}

static struct giveback_plan decide_auto(const struct giveback *giveback, int64_t clock,
					const struct giveback_disk *disk,
					const struct giveback_log *log, uint64_t dead)
{
	bool is_low = disk->free < wanted_free(disk->total);
	struct giveback_disk quota;

	if (!is_low && !disk->was_full)
		return declined("the disk has room");
	if (clock < giveback->rests_until)
		return declined("it rests after the last one");
	if (!log)
		return (struct giveback_plan){.what = GIVEBACK_ASKS_FOR_THE_LOG};
	if (is_low)
		return run_on_low_disk(giveback, clock, disk, log, dead);
	quota = disk_of_quota(log);
	return run_on_low_disk(giveback, clock, &quota, log, dead);
}

static struct giveback_plan decide_none(const struct giveback_log *log, uint64_t dead)
{
	if (dead < LITTLE || dead < log->bytes / 3)
		return declined("less than a third of the log is dead");
	return (struct giveback_plan){
		.what = GIVEBACK_RUN,
		.why = "a third of the log was dead",
		.keep = {HISTORY_NONE, 0},
		.least_percent = 25, /* of a third, some segment has as much */
	};
}

static struct giveback_plan decide_bytes(const struct giveback *giveback, uint64_t dead)
{
	uint64_t limit = giveback->limit.value, over = limit / 10;

	if (dead < limit + (over < LITTLE ? LITTLE : over))
		return declined("the dead bytes are within history=");
	return (struct giveback_plan){
		.what = GIVEBACK_RUN,
		.why = "there were more dead bytes than history= says",
		.keep = giveback->limit,
		.least_percent = 10,
	};
}

static struct giveback_plan decide_age(const struct giveback *giveback, int64_t clock,
				       uint64_t dead)
{
	if (dead < LITTLE)
		return declined("less than 1 MiB would be freed");
	if (clock < giveback->rests_until)
		return declined("it was done a short while ago");
	return (struct giveback_plan){
		.what = GIVEBACK_RUN,
		.why = "it is time to look for what is older than history= says",
		.keep = giveback->limit,
		.least_percent = 10,
	};
}

/* They rest only after one that has failed or was in vain; by age they always do. */
static struct giveback_plan decide_by_limit(const struct giveback *giveback, int64_t clock,
					    const struct giveback_log *log, uint64_t dead)
{
	if (giveback->limit.kind == HISTORY_AGE)
		return decide_age(giveback, clock, dead);
	if (clock < giveback->rests_until)
		return declined("it rests after one that freed nothing");
	return giveback->limit.kind == HISTORY_NONE ? decide_none(log, dead)
						    : decide_bytes(giveback, dead);
}

struct giveback_plan giveback_decide(struct giveback *giveback, int64_t clock,
				     const struct giveback_disk *disk,
				     const struct giveback_log *log)
{
	uint64_t dead = 0;

	giveback_sees(giveback, disk->free);
	if (giveback->limit.kind == HISTORY_ALL)
		return declined("history=all");
	if (log) {
		giveback->hopeless = less(giveback->hopeless, log->dead);
		dead = log->dead - giveback->hopeless;
	}
	if (giveback->limit.kind == HISTORY_AUTO)
		return decide_auto(giveback, clock, disk, log, dead);
	if (!log)
		return (struct giveback_plan){.what = GIVEBACK_ASKS_FOR_THE_LOG};
	return decide_by_limit(giveback, clock, log, dead);
}

void giveback_freed(struct giveback *giveback, uint64_t bytes)
{
	giveback->unshown += bytes;
	giveback->aged_dead = minus(giveback->aged_dead, bytes);
}

/* Whoever it was that freed something: more cannot be told. */
void giveback_sees(struct giveback *giveback, uint64_t free)
{
	giveback->unshown = minus(giveback->unshown, minus(free, giveback->free));
	giveback->free = free;
}

/* What is dead now and could not go. After one that kept what was recent: what
 * was dead an hour ago already. */
static void note_hopeless(struct giveback *giveback, int64_t clock,
			  const struct giveback_plan *plan, uint64_t dead)
{
	if (plan->keep.kind == HISTORY_NONE)
		giveback->hopeless = dead;
	else if (plan->keep.kind == HISTORY_BYTES)
		giveback->hopeless = minus(dead, plan->keep.value);
	else if (giveback->aged_since && clock - giveback->aged_since >= (int64_t)plan->keep.value)
		giveback->hopeless = less(giveback->aged_dead, dead);
	else if (giveback->aged_since)
		return;
	giveback->aged_since = clock;
	giveback->aged_dead = dead;
}

static int64_t rest_after(const struct giveback *giveback, uint64_t freed)
{
	int64_t tenth = (int64_t)less(giveback->limit.value / 10, DAY_SECONDS);

	if (giveback->limit.kind == HISTORY_AGE)
		return tenth > GIVEBACK_REST_SECONDS ? tenth : GIVEBACK_REST_SECONDS;
	return giveback->limit.kind == HISTORY_AUTO || !freed ? GIVEBACK_REST_SECONDS : 0;
}

void giveback_ended(struct giveback *giveback, int64_t clock, const struct giveback_plan *plan,
		    uint64_t freed, uint64_t dead, bool complete)
{
	giveback->rests_until = clock + rest_after(giveback, complete ? freed : 0);
	if (!complete)
		return;
	note_hopeless(giveback, clock, plan, dead);
	if (plan->keep.kind == HISTORY_AGE && freed < plan->enough / 10)
		giveback->recent_until = clock + GIVEBACK_RECENT_SECONDS / 2;
}
