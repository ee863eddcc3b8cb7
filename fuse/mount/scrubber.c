/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reads slowly, and only what was not read for long. Must not know what an index file
 * looks like, nor what is done about damage.
 */
#include "mount/scrubber.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "file/damage.h"
#include "mount/modest.h"
#include "mount/pace.h"

#define BYTES_PER_SECOND ((uint64_t)50 << 20)
#define FRESH_SECONDS    ((uint64_t)7 * 24 * 3600)
#define LOOK_SECONDS     5
#define PASS_SECONDS     ((uint64_t)3600) /* also without news: for what was not compared for long */
#define NS_PER_SECOND    ((uint64_t)1000000000)

struct scrubber {
	struct fs *fs;
	pthread_t thread;
	struct pace pace; /* of the thread, as the next two: */
	uint32_t active;  /* segment, when it looked last, */
	uint64_t run;     /* and the last compaction */

	pthread_mutex_t lock;
	pthread_cond_t stopped; /* by CLOCK_MONOTONIC */
	bool stop;
};

static struct timespec now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* a valid clock */
	return t;
}

/* False: it is to end. */
static bool wait_until(struct scrubber *scrubber, struct timespec due)
{
	bool stop;

	pthread_mutex_lock(&scrubber->lock);
	while (!scrubber->stop &&
	       pthread_cond_timedwait(&scrubber->stopped, &scrubber->lock, &due) != ETIMEDOUT)
		;
	stop = scrubber->stop;
	pthread_mutex_unlock(&scrubber->lock);
	return !stop;
}

static int progress(void *ctx, uint64_t bytes)
{
	struct scrubber *scrubber = ctx;

	return wait_until(scrubber, pace_after(&scrubber->pace, now(), bytes)) ? 0 : -ECANCELED;
}

static void damaged(void *ctx, const struct dwal_error *damage)
{
	struct scrubber *scrubber = ctx;

	damage_found(scrubber->fs, damage);
}

/* A segment may have been sealed, or rewritten, since the last time. */
static bool has_news(struct scrubber *scrubber)
{
	struct fs *fs = scrubber->fs;
	const char *why_not;
	const uint32_t active = dwal_kv_active_segment(fs->kv);
	const uint64_t run = compaction_last(&fs->compaction, &why_not).state.run;
	bool has = active != scrubber->active || run != scrubber->run;

	scrubber->active = active;
	scrubber->run = run;
	return has;
}

static void *work(void *arg)
{
	struct scrubber *scrubber = arg;
	struct fs *fs = scrubber->fs;
	const struct dwal_scrub_options options = {
		.fresh_seconds = FRESH_SECONDS,
		.progress = progress,
		.damaged = damaged,
		.ctx = scrubber,
	};
	const uint32_t commit = fs->opt.commit_seconds;
	const uint64_t rest = commit < LOOK_SECONDS ? commit : LOOK_SECONDS;
	struct timespec pass = now();

	be_modest();
	while (wait_until(scrubber, timespec_later(now(), rest * NS_PER_SECOND))) {
		if (!has_news(scrubber) && timespec_is_before(now(), pass))
			continue;
		(void)dwal_kv_scrub(fs->kv, &options, NULL); /* later then */
		pass = timespec_later(now(), PASS_SECONDS * NS_PER_SECOND);
	}
	return NULL;
}

static void init_stopped(struct scrubber *scrubber)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&scrubber->lock, NULL);
	(void)pthread_condattr_init(&attr); /* nor can these fail */
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&scrubber->stopped, &attr);
	(void)pthread_condattr_destroy(&attr);
}

static void release(struct scrubber *scrubber)
{
	pthread_cond_destroy(&scrubber->stopped);
	pthread_mutex_destroy(&scrubber->lock);
	free(scrubber);
}

int scrubber_start(struct fs *fs, struct scrubber **out)
{
	struct scrubber *scrubber = calloc(1, sizeof(*scrubber));
	int r;

	if (!scrubber)
		return ENOMEM;
	scrubber->fs = fs;
	scrubber->pace.bytes_per_second = BYTES_PER_SECOND;
	init_stopped(scrubber);
	r = pthread_create(&scrubber->thread, NULL, work, scrubber);
	if (r) {
		release(scrubber);
		return r;
	}
	*out = scrubber;
	return 0;
}

void scrubber_stop(struct scrubber *scrubber)
{
	if (!scrubber)
		return;
	pthread_mutex_lock(&scrubber->lock);
	scrubber->stop = true;
	pthread_cond_signal(&scrubber->stopped);
	pthread_mutex_unlock(&scrubber->lock);
	pthread_join(scrubber->thread, NULL);
	release(scrubber);
}
