/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Looks every few seconds whether something is to be done: at numbers that are
 * there, reading nothing.
 */
#include "mount/compactor.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "file/rebase.h"
#include "mount/giveback.h"
#include "mount/modest.h"
#include "rawkind.h"

#define LOOK_SECONDS 2
#define REBASE_EVERY 64 /* rewritten segments at most: their old files are open until then */

struct compactor {
	struct fs *fs;
	pthread_t thread;
	struct giveback giveback;

	size_t held_most; /* old files of segments */

	/* of the one that is running: */
	bool dry_run;
	uint64_t freed;   /* told to giveback */
	uint64_t rebased; /* segments rewritten when that was done last */
};

static size_t most_held(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return (size_t)limit.rlim_cur / 4;
}

static struct timespec in_seconds(int seconds)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* a valid clock */
	t.tv_sec += seconds;
	return t;
}

static int64_t seconds_now(void)
{
	return in_seconds(0).tv_sec + 1; /* never 0 */
}

/* ---------------------------------------------------------- numbers */

static bool look_at_disk(const struct fs *fs, struct giveback_disk *disk)
{
	struct statvfs st;

	if (fstatvfs(fs->dir_fd, &st) != 0)
		return false;
	disk->total = (uint64_t)st.f_blocks * st.f_frsize;
	disk->free = (uint64_t)st.f_bavail * st.f_frsize;
	return true;
}

static void add_segment(struct giveback_log *log, const struct dwal_segment_stats *segment)
{
	uint64_t dead = segment->bytes - segment->live_bytes;
	unsigned percent = segment->bytes ? (unsigned)(dead * 100 / segment->bytes) : 0;

	log->bytes += segment->bytes;
	log->dead += dead;
	if (percent > log->worst_percent)
		log->worst_percent = percent;
}

static bool look_at_log(const struct fs *fs, struct giveback_log *log)
{
	struct dwal_segment_stats *stats;
	size_t n;

	*log = (struct giveback_log){0};
	if (dwal_kv_stats(fs->kv, &stats, &n) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		add_segment(log, &stats[i]);
	free(stats);
	return true;
}

/* ---------------------------------------------------------- one compaction */

static void note_freed(struct compactor *compactor, const struct dwal_rewrite_stats *so_far)
{
	struct giveback_disk disk;

	giveback_freed(&compactor->giveback, so_far->bytes_freed - compactor->freed);
	compactor->freed = so_far->bytes_freed;
	if (look_at_disk(compactor->fs, &disk))
		giveback_sees(&compactor->giveback, disk.free);
}

/* -EMFILE: so many are held by files without a name that descriptors could get
 * short. */
static int let_go_of_old_files(struct compactor *compactor, uint64_t rewritten)
{
	size_t every = compactor->held_most / 4;

	if (rewritten < compactor->rebased + (every < REBASE_EVERY ? every : REBASE_EVERY))
		return 0;
	compactor->rebased = rewritten;
	return rebase_all(compactor->fs) > compactor->held_most ? -EMFILE : 0;
}

static int progress(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	struct compactor *compactor = ctx;
	int r = compaction_progress(&compactor->fs->compaction, so_far);

	/* Whoever was woken here may wait for as long as a tick of the clock else. */
	(void)sched_yield();
	if (r || compactor->dry_run)
		return r;
	if (so_far->bytes_freed != compactor->freed) /* once a segment, when its old file is gone */
		note_freed(compactor, so_far);
	return let_go_of_old_files(compactor, so_far->segments_rewritten);
}

/* The bytes of the log that finding the txid has read are not those that a
 * compaction reads. */
static int progress_of_finding(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	const struct dwal_rewrite_stats none = {0};

	(void)so_far;
	return compaction_progress(ctx, &none);
}

static int find_txid(struct fs *fs, const struct history_limit *keep,
		     struct dwal_rewrite_options *options, struct dwal_error *error)
{
	struct dwal_rewrite_options finding = *options;
	dwal_kv *kv = fs->kv;

	finding.progress = progress_of_finding;
	finding.progress_ctx = &fs->compaction;
	if (keep->kind == HISTORY_AGE)
		return dwal_kv_keep_age(kv, time(NULL) - (int64_t)keep->value, &finding,
					&options->keep_txid, error);
	if (keep->kind == HISTORY_BYTES)
		return dwal_kv_keep_size(kv, keep->value, &finding, &options->keep_txid, error);
	return 0;
}

static const char *message_of(int r, const struct dwal_error *error)
{
	if (!r)
		return "";
	if (r == -ECANCELED)
		return "stopped";
	if (r == -EMFILE)
		return "too many files that were removed are open still";
	return *error->message ? error->message : dwal_strerror(r);
}

/* From begin to end, whoever wants it. */
static int compact(struct compactor *compactor, const struct history_limit *keep,
		   struct dwal_rewrite_options *options, struct dwal_rewrite_stats *stats)
{
	struct fs *fs = compactor->fs;
	struct dwal_error error = {.code = 0};
	int r;

	options->raw_kind = raw_kind;
	options->progress = progress;
	options->progress_ctx = compactor;
	compactor->dry_run = options->dry_run;
	compactor->freed = compactor->rebased = 0;
	r = find_txid(fs, keep, options, &error);
	if (!r)
		r = dwal_kv_compact(fs->kv, options, stats, &error);
	if (!options->dry_run) {
		note_freed(compactor, stats);
		(void)rebase_all(fs); /* what is held still is let go when it is closed */
	}
	compaction_finish(&fs->compaction, r, message_of(r, &error), stats);
	return r;
}

static void do_order(struct compactor *compactor, const struct mountctl_compact *order)
{
	static const int kinds[] = {[MOUNTCTL_KEEP_TXID] = HISTORY_NONE,
				    [MOUNTCTL_KEEP_AGE] = HISTORY_AGE,
				    [MOUNTCTL_KEEP_BYTES] = HISTORY_BYTES};
	struct history_limit keep = {kinds[order->how], order->keep};
	struct dwal_rewrite_options options = {
		.keep_txid = order->how == MOUNTCTL_KEEP_TXID ? order->keep : 0,
		.drop_tags = order->flags & MOUNTCTL_DROP_TAGS,
		.dry_run = order->flags & MOUNTCTL_DRY_RUN,
	};
	struct dwal_rewrite_stats stats = {0};

	compaction_begin(&compactor->fs->compaction, true, order->flags, "it was asked for");
	(void)compact(compactor, &keep, &options, &stats); /* who asked is told */
}

/* ---------------------------------------------------------- by itself */

/* History that nobody has told to drop: that is said. */
static void tell(struct fs *fs, const struct giveback_plan *plan, int r,
		 const struct dwal_rewrite_stats *stats)
{
	char line[PATH_MAX + 512];

	if (stats->records_dropped)
		(void)snprintf(line, sizeof(line),
			       "%s: %s: %" PRIu64
			       " bytes of superseded records were dropped (history=); "
			       ".log/recovery tells more",
			       fs->opt.log_dir, plan->why, stats->bytes_freed);
	else if (r && r != -ECANCELED)
		(void)snprintf(line, sizeof(line),
			       "%s: %s: no space could be given back: .log/recovery tells why",
			       fs->opt.log_dir, plan->why);
	else
		return;
	fs->tell(fs->tell_ctx, line);
}

static void do_plan(struct compactor *compactor, const struct giveback_plan *plan)
{
	struct dwal_rewrite_options options = {
		.most_dead_first = plan->most_dead_first,
		.least_percent = plan->least_percent,
		.enough = plan->enough,
	};
	struct dwal_rewrite_stats stats = {0};
	struct giveback_log log;
	int r;

	compaction_begin(&compactor->fs->compaction, false, 0, plan->why);
	r = compact(compactor, &plan->keep, &options, &stats);
	tell(compactor->fs, plan, r, &stats);
	giveback_ended(&compactor->giveback, seconds_now(), plan, stats.bytes_freed,
		       look_at_log(compactor->fs, &log) ? log.dead : 0,
		       !r && (!plan->enough || stats.bytes_freed < plan->enough));
}

static void consider(struct compactor *compactor, bool was_full)
{
	struct fs *fs = compactor->fs;
	struct giveback_disk disk = {.was_full = was_full};
	struct giveback_plan plan;
	struct giveback_log log;

	if (!look_at_disk(fs, &disk) || fs_refuses(fs))
		return;
	plan = giveback_decide(&compactor->giveback, seconds_now(), &disk, NULL);
	if (plan.what == GIVEBACK_ASKS_FOR_THE_LOG && look_at_log(fs, &log))
		plan = giveback_decide(&compactor->giveback, seconds_now(), &disk, &log);
	if (plan.what == GIVEBACK_RUN)
		do_plan(compactor, &plan);
	else if (plan.why)
		compaction_decline(&fs->compaction, plan.why);
}

static void *work(void *arg)
{
	struct compactor *compactor = arg;
	struct timespec due = in_seconds(0);
	struct compaction_call call;

	be_modest();
	while (compaction_await(&compactor->fs->compaction, &due, &call)) {
		if (call.ordered)
			do_order(compactor, &call.order);
		else
			consider(compactor, call.full);
		due = in_seconds(LOOK_SECONDS);
	}
	return NULL;
}

int compactor_start(struct fs *fs, struct compactor **out)
{
	struct compactor *compactor = calloc(1, sizeof(*compactor));
	int r;

	if (!compactor)
		return ENOMEM;
	compactor->fs = fs;
	compactor->giveback.limit = fs->opt.history;
	compactor->held_most = most_held();
	r = pthread_create(&compactor->thread, NULL, work, compactor);
	if (r) {
		free(compactor);
		return r;
	}
	*out = compactor;
	return 0;
}

void compactor_stop(struct compactor *compactor)
{
	if (!compactor)
		return;
	compaction_end(&compactor->fs->compaction);
	pthread_join(compactor->thread, NULL);
	free(compactor);
}
