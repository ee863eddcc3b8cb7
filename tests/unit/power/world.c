/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Running, crashing at each change, and telling how to see a failure again.
 */
#include "world.h"
#include "unit.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>

static const struct world *current; /* for who aborts elsewhere */

/* "12.c3/4.k0": before the 12th change the 3rd state of a power cut; in its
 * opening, before the 4th, a kill. */
static size_t put_steps(const struct world *world, char *out, size_t size)
{
	size_t n = world->before ? put_steps(world->before, out, size) : 0;

	if (!world->before)
		return 0;
	return n + (size_t)snprintf(out + n, size - n, "%s%u.%c%llu", n ? "/" : "",
				    world->step.point, world->step.kind,
				    (unsigned long long)world->step.state);
}

static void tell_replay(const struct world *world)
{
	const struct campaign *campaign = world->campaign;
	char steps[200] = "";

	(void)put_steps(world, steps, sizeof(steps));
	fprintf(stderr, "again: power --run %s --seed %llu --depth %u --most %llu --at %s",
		campaign->run->name, (unsigned long long)campaign->seed, campaign->depth,
		(unsigned long long)campaign->most[0], steps[0] ? steps : "-");
	if (campaign->fault)
		fprintf(stderr, " --fail %llu --fault %u", (unsigned long long)campaign->fail_at,
			campaign->fault);
	fprintf(stderr, "\n");
}

void world_fail(const struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	disk_show(&world->disk);
	tell_replay(world);
	current = NULL;
	abort();
}

void world_abort(int signal_number)
{
	if (current)
		tell_replay(current);
}

/* True when it was there before. */
static bool is_known(struct campaign *campaign, uint64_t hash)
{
	size_t i;

	hash |= 1;
	if (2 * campaign->known_count >= campaign->known_room) {
		size_t room = campaign->known_room;
		uint64_t *old = campaign->known;

		campaign->known_room = room ? 2 * room : 4096;
		campaign->known_count = 0;
		campaign->known = calloc(campaign->known_room, sizeof(*campaign->known));
		CHECK(campaign->known);
		for (i = 0; i < room; i++)
			if (old[i])
				(void)is_known(campaign, old[i]);
		free(old);
	}
	i = hash * 0x9e3779b97f4a7c15 % campaign->known_room;
	while (campaign->known[i] && campaign->known[i] != hash)
		i = (i + 1) % campaign->known_room;
	if (campaign->known[i])
		return true;
	campaign->known[i] = hash;
	campaign->known_count++;
	return false;
}

static uint64_t hash_of(const struct world *world)
{
	uint64_t hash = disk_hash(&world->disk) * 31 + oracle_hash(&world->oracle) * 7 +
			world->depth + world->torn.offset * 1000003 + world->torn.segment;

	hash = (hash + world->target.begun + 2 * world->target.acked) * 0x9e3779b97f4a7c15 +
	       oracle_crc(world->torn.bytes.data, world->torn.bytes.len);
	return hash ^ hash >> 29;
}

/* All but what the disk holds. */
struct world *world_next(const struct world *world, struct crash_step step)
{
	struct world *next = malloc(sizeof(*next));

	CHECK(next);
	memset((char *)next + sizeof(next->disk), 0,
	       offsetof(struct world, oracle) - sizeof(next->disk));
	oracle_copy(&next->oracle, &world->oracle);
	next->campaign = world->campaign;
	next->before = world;
	next->step = step;
	next->depth = world->depth + 1;
	next->serial = world->serial;
	next->options = world->options;
	next->target = world->target;
	memcpy(next->mtimes, world->mtimes, sizeof(next->mtimes));
	next->torn = world->torn;
	disk_bytes_copy(&next->torn.bytes, &world->torn.bytes);
	memcpy(next->dir, world->dir, sizeof(next->dir));
	return next;
}

static void end_world(struct world *world)
{
	disk_release(&world->disk);
	free(world->torn.bytes.data);
	free(world);
}

static bool is_wanted(const struct world *world, struct crash_step step)
{
	const struct campaign *campaign = world->campaign;
	const struct crash_step *wanted = &campaign->steps[world->depth];

	return !campaign->replay ||
	       (world->depth < campaign->step_count && wanted->point == step.point &&
		wanted->kind == step.kind && wanted->state == step.state);
}

/* Takes the world over. */
void world_visit(struct world *next)
{
	struct campaign *campaign = next->campaign;
	const struct world *outer = current;

	campaign->states++;
	if (!campaign->replay && is_known(campaign, hash_of(next))) {
		end_world(next);
		return;
	}
	campaign->checked++;
	current = next;
	if (campaign->replay) {
		fprintf(stderr, "%u.%c%llu: %u events may be there, %u were written, %u synced\n",
			next->step.point, next->step.kind, (unsigned long long)next->step.state,
			next->oracle.count, next->oracle.returned, next->oracle.acked);
		disk_show(&next->disk);
	}
	world_check(next);
	current = outer;
	end_world(next);
}

static void cut_power(const struct world *world)
{
	struct campaign *campaign = world->campaign;
	struct crash crash;

	crash_begin(&crash, &world->disk, campaign->most[world->depth],
		    campaign->seed * 1000 + world->point);
	campaign->sampled += !crash.all;
	for (uint64_t i = 0; i < crash.states; i++) {
		struct crash_step step = {world->point, 'c', i};
		struct world *next;

		if (!is_wanted(world, step))
			continue;
		next = world_next(world, step);
		crash_state(&crash, i, &next->disk);
		world_visit(next);
	}
}

static bool keep_none(void *ctx)
{
	return false;
}

static bool keep_any(void *ctx)
{
	return unit_random(ctx) >> 33 & 1;
}

/* The process dies; before, in states other than the first, or where the log is
 * poisoned already, a sync of the file has failed: 1 and 2 what the cache shows is
 * not on the disk, or in part. */
static void kill_process(const struct world *world, unsigned ino)
{
	uint64_t seed = world->campaign->seed * 77 + world->point + 1;
	bool poisoned = world->kv && dwal_kv_is_poisoned(world->kv);

	for (unsigned i = 0; i < (ino ? 4 : 1); i++) {
		struct crash_step step = {world->point, i ? 'f' : 'k', i};
		struct world *next;

		if (!is_wanted(world, step))
			continue;
		next = world_next(world, step);
		disk_copy(&next->disk, &world->disk);
		disk_drop_unnamed(&next->disk);
		next->lies = world->lies || poisoned || i;
		if (i)
			disk_fail_sync(&next->disk, ino, i == 1 ? keep_none : keep_any, &seed);
		if (poisoned || i)
			next->oracle.returned = next->oracle.acked;
		world_visit(next);
	}
}

/* Before each change, and after the last. */
static void on_change(struct disk *disk, const char *what, const char *name)
{
	struct world *world = disk->ctx;
	unsigned ino = 0;

	world->point++;
	if (world->faulty && !disk->failed)
		return; /* that is what a run without faults is for */
	world->campaign->points++;
	if (world->campaign->replay && world->depth < world->campaign->step_count &&
	    world->campaign->steps[world->depth].point == world->point)
		fprintf(stderr, "before change %u: %s %s\n", world->point, what, name);
	if (strstr(what, "sync"))
		ino = disk_lookup(&disk->now, DISK_LOG, name);
	kill_process(world, ino);
	if (strcmp(what, DISK_WITHIN_WRITE) != 0) /* nothing that is not there after it */
		cut_power(world);
}

void world_watch(struct world *world)
{
	if (world->depth >= world->campaign->depth)
		return;
	world->disk.before = on_change;
	world->disk.ctx = world;
}

static void parse_steps(struct campaign *campaign)
{
	const char *at = campaign->replay;

	campaign->step_count = 0;
	while (at && *at && campaign->step_count < WORLD_DEPTH) {
		struct crash_step *step = &campaign->steps[campaign->step_count];
		unsigned long long state;

		if (sscanf(at, "%u.%c%llu", &step->point, &step->kind, &state) != 3)
			return;
		step->state = state;
		campaign->step_count++;
		at = strchr(at, '/');
		at = at ? at + 1 : NULL;
	}
}

struct world *world_new(struct campaign *campaign)
{
	struct world *world = calloc(1, sizeof(*world));

	CHECK(world);
	parse_steps(campaign);
	disk_init(&world->disk, campaign->root);
	world->disk.seed = campaign->seed * 2 + 1;
	world->campaign = campaign;
	world->serial = 1;
	CHECK((size_t)snprintf(world->dir, sizeof(world->dir), "%s/log", campaign->root) <
	      sizeof(world->dir));
	CHECK(mkdir(world->dir, 0700) == 0 || errno == EEXIST); /* for realpath(3) alone */
	current = world;
	return world;
}

void world_free(struct world *world)
{
	current = NULL;
	end_world(world);
}

const struct run *world_run(const char *name)
{
	for (size_t i = 0; i < world_run_count; i++)
		if (strcmp(name, world_runs[i].name) == 0)
			return &world_runs[i];
	return NULL;
}

void world_forget(struct campaign *campaign)
{
	free(campaign->known);
	campaign->known = NULL;
	campaign->known_room = campaign->known_count = 0;
}

void world_campaign(struct campaign *campaign)
{
	struct world *world = world_new(campaign);

	world_watch(world);
	campaign->run->run(world);
	if (world->disk.before)
		on_change(&world->disk, "end", "");
	CHECK_INT(disk_open_count(&world->disk), 0);
	world_free(world);
	world_forget(campaign);
}
