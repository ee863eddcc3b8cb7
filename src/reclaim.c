/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Compaction in place. The whole log is read once, so that it is known what
 * makes which record superfluous; then each sealed segment is judged, and
 * rewritten where enough of it can go.
 */
#include "reclaim.h"
#include "horizon.h"
#include "index.h"
#include "kv.h"
#include "log.h"
#include "scan.h"
#include "util.h"

#include <errno.h>

/* So much work between two calls of progress, where the caller can let others have the
 * processor: a record counts as 1 KiB more than its bytes. Puts into a mount of others, on
 * two processors, take 1.3 ms (99.9th percentile, medians of 3) beside it, 0.7 alone, and took
 * 3.6 when nobody was let in. */
#define TELL_AFTER  (64u << 10)
#define RECORD_WORK 1024

int reclaim_fail(struct reclaim *reclaim, uint32_t segment, const char *what, int err)
{
	if (err == reclaim->stopped)
		return error_set(reclaim->error, err, "%s: the compaction was stopped",
				 kv_dir(reclaim->kv));
	return error_set_at(reclaim->error, err, segment, 0, DWAL_FRAME_OK,
			    "%s: segment %08u %s: %s; what was rewritten before stays",
			    kv_dir(reclaim->kv), segment, what, dwal_strerror(err));
}

static int tell(struct reclaim *reclaim)
{
	const struct dwal_rewrite_options *options = &reclaim->options;

	reclaim->untold = 0;
	if (options->progress && !reclaim->stopped)
		reclaim->stopped = options->progress(options->progress_ctx, &reclaim->stats);
	if (reclaim->stopped > 0)
		reclaim->stopped = 0;
	return reclaim->stopped;
}

int reclaim_work(struct reclaim *reclaim, uint64_t bytes)
{
	reclaim->untold += bytes + RECORD_WORK;
	return reclaim->untold >= TELL_AFTER ? tell(reclaim) : 0;
}

int reclaim_tick(struct reclaim *reclaim, uint64_t bytes)
{
	reclaim->stats.bytes_done += bytes;
	return reclaim_work(reclaim, bytes);
}

bool reclaim_is_damaged(const struct reclaim *reclaim, uint32_t segment)
{
	for (size_t i = 0; i < reclaim->damaged_count; i++)
		if (reclaim->damaged[i] == segment)
			return true;
	return false;
}

static int note_damaged(struct reclaim *reclaim, uint32_t segment)
{
	uint32_t *grown =
		reallocarray(reclaim->damaged, reclaim->damaged_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	reclaim->damaged = grown;
	grown[reclaim->damaged_count++] = segment;
	if (segment < reclaim->facts.lowest_damaged)
		reclaim->facts.lowest_damaged = segment;
	return 0;
}

int reclaim_each(const struct reclaim *reclaim, struct segment *segment, uint64_t end,
		 reclaim_record_fn fn, void *ctx)
{
	enum dwal_frame_status status;
	struct dwal_record record;
	struct segment_scan scan;
	int err;

	segment_scan_init(&scan, segment, 0, end);
	while ((err = segment_scan_next(&scan, &record, &status)) == 0 &&
	       (err = fn(ctx, &record)) == 0)
		;
	segment_scan_release(&scan);
	if (err == DWAL_END)
		return status != DWAL_FRAME_OK || scan.offset < end;
	return err == -ENOMEM || reclaim->stopped ? err : 1;
}

static int survey_record(void *ctx, const struct dwal_record *record)
{
	struct reclaim *reclaim = ctx;
	const enum dwal_raw_kind kind = reclaim_kind(reclaim, record);
	int err = facts_add(&reclaim->facts, record, kind, kv_is_live(reclaim->kv, record));

	if (reclaim->compares)
		reclaim->index_crc = index_crc_add(reclaim->index_crc, record);
	reclaim->tells_time |= kind == DWAL_RAW_TIME;
	if (record->txid > reclaim->facts.highest)
		reclaim->facts.highest = record->txid;
	return err ? err : reclaim_tick(reclaim, record->length);
}

/* Where an index file told the open of a segment what it does not hold, what the
 * key directory says of it proves nothing: 1, as for damage. */
static int survey_segment(struct reclaim *reclaim, const struct segment_view *view)
{
	const struct segment *segment = view->segment;
	int err;

	reclaim->compares = segment->by_index;
	reclaim->index_crc = index_crc_begin();
	err = reclaim_each(reclaim, view->segment, view->end, survey_record, reclaim);
	return !err && reclaim->compares && segment->index_crc != reclaim->index_crc ? 1 : err;
}

/* Reads all segments but those known to be damaged; when one turns out to be,
 * what it has said already must not count. */
static int survey(struct reclaim *reclaim, const struct segment_view *views, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n; i++) {
		const uint32_t id = views[i].segment->id;

		if (reclaim_is_damaged(reclaim, id))
			continue;
		err = survey_segment(reclaim, &views[i]);
		if (err > 0) {
			err = note_damaged(reclaim, id);
			facts_clear(&reclaim->facts);
			i = (size_t)-1; /* from the start */
		}
		if (err)
			return reclaim_fail(reclaim, id, "cannot be read", err);
	}
	return 0;
}

static bool is_worth_it(const struct reclaim *reclaim, const struct plan *plan)
{
	const unsigned percent = reclaim->options.least_percent;

	if (!plan->dropped || plan->damaged)
		return false;
	if (!percent)
		return true;
	return plan->kept < plan->end && (plan->end - plan->kept) / percent >= plan->end / 100;
}

static void count(struct reclaim *reclaim, const struct plan *plan)
{
	struct dwal_rewrite_stats *stats = &reclaim->stats;

	if (!reclaim->options.dry_run) {
		kv_lock_index(reclaim->kv);
		tags_give_up(&reclaim->kv->tags, plan->given_up);
		kv_unlock_index(reclaim->kv);
	}
	stats->segments_rewritten++;
	stats->records_dropped += plan->dropped;
	stats->given_up = horizon_merge(stats->given_up, plan->given_up);
	if (reclaim->options.dry_run && plan->end > plan->kept)
		stats->bytes_freed += plan->end - plan->kept;
}

/* The plan is to be released also on failure. */
static int plan_segment(struct reclaim *reclaim, const struct segment_view *view, struct plan *plan)
{
	int err = facts_begin(&reclaim->facts);

	*plan = (struct plan){.damaged = reclaim_is_damaged(reclaim, view->segment->id)};
	if (!err && !plan->damaged)
		err = reclaim_plan(reclaim, view->segment, view->end, plan);
	return err ? reclaim_fail(reclaim, view->segment->id, "cannot be read", err) : 0;
}

/* What nobody else reads of the old one is given back now, not at the end. */
static int rewrite(struct reclaim *reclaim, struct segment_view *view, const struct plan *plan)
{
	int err = reclaim_write(reclaim, view->segment, plan);

	if (!err) {
		(void)segment_unref(view->segment); /* only read from */
		view->segment = NULL;
	}
	return err;
}

/* Where there is no room, it is to be planned and tried again. */
static int carry_out(struct reclaim *reclaim, struct segment_view *view, const struct plan *plan)
{
	const uint32_t id = view->segment->id;
	int err = 0;

	if (is_worth_it(reclaim, plan)) {
		if (!reclaim->options.dry_run)
			err = rewrite(reclaim, view, plan);
		if (io_is_full(err))
			reclaim->stats.bytes_done -= plan->end;
		if (err)
			return err;
		facts_accept(&reclaim->facts);
		count(reclaim, plan);
	}
	reclaim->stats.segments_damaged += plan->damaged;
	reclaim->stats.segments_done++;
	return tell(reclaim) ? reclaim_fail(reclaim, id, "", reclaim->stopped) : 0;
}

static int go_through(struct reclaim *reclaim, struct segment_view *view)
{
	struct plan plan;
	int err = plan_segment(reclaim, view, &plan);

	if (!err)
		err = carry_out(reclaim, view, &plan);
	plan_release(&plan);
	return err;
}

/* The share of a segment that stays whatever is planned: of a thousand. */
static uint64_t live_share(const struct dwal_segment_stats *stats)
{
	return stats->bytes ? stats->live_bytes * 1000 / stats->bytes : 1000;
}

struct candidate {
	struct segment_view *view;
	uint64_t live_share;
	bool is_active; /* not sealed yet */
};

static int compare_share(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->live_share != y->live_share)
		return x->live_share < y->live_share ? -1 : 1;
	return (x->view > y->view) - (x->view < y->view);
}

/* Those that may be worth it: the sealed ones in the order asked for, then the active
 * one, since its tombstones may go only when what they hide has gone. */
struct worklist {
	struct candidate *of;
	size_t n;
};

static void add(struct reclaim *reclaim, struct worklist *list, struct segment_view *view,
		const struct dwal_segment_stats *stats)
{
	const unsigned percent = reclaim->options.least_percent;

	if (!view->end || (percent && live_share(stats) > 10 * (100 - (uint64_t)percent)))
		return;
	list->of[list->n++] = (struct candidate){.view = view, .live_share = live_share(stats)};
	reclaim->stats.segments++;
	reclaim->stats.bytes += view->end;
}

static int list_all(struct reclaim *reclaim, struct segment_view *views, size_t n,
		    struct worklist *list)
{
	cleanup_free struct dwal_segment_stats *stats = NULL;
	size_t count;
	int err = dwal_kv_stats(reclaim->kv, &stats, &count);

	if (!err)
		list->of = calloc(n, sizeof(*list->of));
	if (!err && !list->of)
		err = -ENOMEM;
	if (err)
		return reclaim_fail(reclaim, views[0].segment->id, "cannot be judged", err);
	for (size_t i = 0; i < n - 1; i++)
		add(reclaim, list, &views[i], &stats[i]);
	if (reclaim->options.most_dead_first)
		qsort(list->of, list->n, sizeof(*list->of), compare_share);
	list->of[list->n++] = (struct candidate){.view = &views[n - 1], .is_active = true};
	return 0;
}

static bool has_enough(const struct reclaim *reclaim)
{
	const uint64_t enough = reclaim->options.enough;

	return enough && reclaim->stats.bytes_freed >= enough;
}

/* Nothing is appended to it any more then. What was since the survey stays. */
static int seal(struct reclaim *reclaim, struct segment_view *active, struct plan *plan)
{
	int err = reclaim_seal(reclaim, active->segment->id);

	active->end = active->segment->end;
	if (err || active->end == plan->end)
		return err;
	reclaim->stats.bytes_done -= plan->end;
	plan_release(plan);
	return plan_segment(reclaim, active, plan);
}

static int go_through_active(struct reclaim *reclaim, struct candidate *candidate)
{
	struct segment_view *active = candidate->view;
	struct plan plan;
	int err = plan_segment(reclaim, active, &plan);

	if (!err && is_worth_it(reclaim, &plan)) {
		if (!reclaim->options.dry_run)
			err = seal(reclaim, active, &plan);
		if (!err) {
			candidate->is_active = false;
			reclaim->stats.segments++;
			reclaim->stats.bytes += active->end;
			err = carry_out(reclaim, active, &plan);
		}
	}
	plan_release(&plan);
	return err;
}

/* Those that find no room on a full disk stay in the list. */
static int go_through_list(struct reclaim *reclaim, struct worklist *list)
{
	const size_t n = list->n;
	int err = 0, full = 0;

	list->n = 0;
	for (size_t i = 0; i < n && !err && !has_enough(reclaim); i++) {
		struct candidate one = list->of[i];

		err = one.is_active ? go_through_active(reclaim, &one)
				    : go_through(reclaim, one.view);
		if (io_is_full(err)) {
			list->of[list->n++] = one;
			full = err;
			err = 0;
		}
	}
	return err || has_enough(reclaim) ? err : full;
}

/* On a full disk one segment may need what another one gives back. */
static int rewrite_all(struct reclaim *reclaim, struct segment_view *views, size_t n)
{
	struct worklist list = {0};
	int err = list_all(reclaim, views, n, &list);
	uint64_t freed;

	if (err)
		return err;
	do {
		freed = reclaim->stats.bytes_freed;
		err = go_through_list(reclaim, &list);
	} while (io_is_full(err) && reclaim->stats.bytes_freed > freed);
	free(list.of);
	return err;
}

static int compact(struct reclaim *reclaim)
{
	struct segment_view *views = NULL;
	size_t n = 0;
	int err = reclaim->options.dry_run ? 0 : dwal_kv_sync(reclaim->kv);

	if (!err)
		err = kv_view(reclaim->kv, &views, &n);
	if (err)
		return error_set(reclaim->error, err, "%s: cannot be compacted: %s",
				 kv_dir(reclaim->kv), dwal_strerror(err));
	for (size_t i = 0; i < n; i++)
		reclaim->stats.bytes += views[i].end;
	err = survey(reclaim, views, n);
	if (!err && n)
		err = rewrite_all(reclaim, views, n);
	segment_views_free(views, n);
	return err;
}

/* The lowest txid whose state must stay; 0: only the present. */
static uint64_t keep_txid(dwal_kv *kv, const struct dwal_rewrite_options *options)
{
	uint64_t keep = options->keep_txid ? options->keep_txid : UINT64_MAX, tag;

	kv_share_index(kv);
	tag = options->drop_tags ? UINT64_MAX : tags_lowest(&kv->tags);
	kv_unlock_index(kv);
	if (tag < keep)
		keep = tag ? tag : 1; /* not known: all of it */
	return keep == UINT64_MAX ? 0 : keep;
}

int dwal_kv_compact(dwal_kv *kv, const struct dwal_rewrite_options *options,
		    struct dwal_rewrite_stats *stats, struct dwal_error *error)
{
	struct reclaim reclaim = {.kv = kv, .error = error};
	int err;

	if (options)
		reclaim.options = *options;
	if (!kv->log && !reclaim.options.dry_run)
		return error_set(error, DWAL_EREADONLY, "%s: %s", kv_dir(kv),
				 dwal_strerror(DWAL_EREADONLY));
	if (pthread_mutex_trylock(&kv->compacting))
		return error_set(error, -EBUSY, "%s: is being compacted already", kv_dir(kv));
	reclaim.stats.keep_txid = keep_txid(kv, &reclaim.options);
	facts_init(&reclaim.facts, reclaim.stats.keep_txid, 0);
	err = compact(&reclaim);
	facts_release(&reclaim.facts);
	free(reclaim.damaged);
	pthread_mutex_unlock(&kv->compacting);
	if (stats)
		*stats = reclaim.stats;
	return err;
}
