/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * compact without OUT: gives back the space of what no state needs that is to
 * stay. Of a live mount its daemon does it, and is asked how far it is.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "moments.h"
#include "mountctl.h"
#include "rawkind.h"

#define POLL_MS 50

struct inplace {
	const struct args *args;
	struct moments moments; /* of a log; of a mount there are none */
	struct progress progress;
	uint64_t done, total; /* bytes, while the log is opened */
	uint64_t keep_txid;   /* asked for; 0: the present only */
};

static bool keeps(const struct args *args, enum mountctl_keep how)
{
	return args->keep.how == how;
}

/* ------------------------------------------------------------- what was done */

/* Tags have a say where they are older than what was asked for. Of a mount, that is
 * not known of an age or a size. */
static bool is_held_back(const struct inplace *it, const struct dwal_rewrite_stats *stats)
{
	return stats->keep_txid && (!it->keep_txid || stats->keep_txid < it->keep_txid);
}

static void print_holders(const struct inplace *it, const struct dwal_rewrite_stats *stats)
{
	const struct moments *moments = &it->moments;
	const char *separator = "";

	printf("held back   by ");
	for (size_t i = 0; i < moments->count; i++) {
		const struct named_moment *tag = &moments->named[i];

		if ((it->keep_txid && tag->txid >= it->keep_txid) ||
		    dwal_history_has(moments->history, tag->txid) != 0)
			continue;
		printf("%s", separator);
		print_field(stdout, (struct dwal_bytes){tag->name, strlen(tag->name)}, BYTES_AUTO,
			    it->args->cut);
		printf(" (txid %" PRIu64 ")", tag->txid);
		separator = ", ";
	}
	if (!*separator)
		printf("a tag (txid %" PRIu64 ")", stats->keep_txid);
	printf(": --drop-tags overrides\n");
}

static void print_text(const struct inplace *it, const struct dwal_rewrite_stats *stats)
{
	const char *would = it->args->dry_run ? "would be " : "";

	printf("%srewritten   %" PRIu64 " of %" PRIu64 " segments\n", would,
	       stats->segments_rewritten, stats->segments);
	printf("%sdropped     %" PRIu64 " records\n", would, stats->records_dropped);
	printf("%sfreed       %" PRIu64 " bytes\n", would, stats->bytes_freed);
	if (stats->given_up.lo < stats->given_up.hi)
		printf("%sgiven up    the states as of txid %" PRIu64 " up to below %" PRIu64 "\n",
		       would, stats->given_up.lo, stats->given_up.hi);
	else
		printf("%sgiven up    no state\n", would);
	if (stats->segments_damaged)
		printf("%sleft alone  %" PRIu64 " damaged segments\n", would,
		       stats->segments_damaged);
	if (is_held_back(it, stats))
		print_holders(it, stats);
}

static void print_json(const struct inplace *it, const struct dwal_rewrite_stats *stats,
		       bool complete)
{
	struct json json = json_line("compact");

	json_bool(&json, "dry_run", it->args->dry_run);
	json_bool(&json, "complete", complete);
	json_number(&json, "segments", stats->segments);
	json_number(&json, "segments_rewritten", stats->segments_rewritten);
	json_number(&json, "segments_damaged", stats->segments_damaged);
	json_number(&json, "records_dropped", stats->records_dropped);
	json_number(&json, "bytes_freed", stats->bytes_freed);
	json_number(&json, "given_up_lo", stats->given_up.lo);
	json_number(&json, "given_up_hi", stats->given_up.hi);
	json_number(&json, "keep_txid", stats->keep_txid);
	json_bool(&json, "held_back", is_held_back(it, stats));
	json_close(&json, '}');
}

static enum status say_why_not(const struct inplace *it, int code, const char *message)
{
	struct dwal_error error = {0};

	if (interrupt_came()) {
		complain("interrupted: what was rewritten stays");
		(void)fflush(stdout); /* or a closed pipe, which is told by whoever is left */
		interrupt_raise();
		return WRONG_USE;
	}
	(void)snprintf(error.message, sizeof(error.message), "%s", message);
	return fail(it->args->operand[0], code, &error);
}

static enum status conclude(struct inplace *it, int code, const struct dwal_rewrite_stats *stats,
			    const char *message)
{
	progress_end(&it->progress);
	moments_sort(&it->moments);
	if (!code || stats->segments_rewritten || interrupt_came()) {
		if (it->args->json)
			print_json(it, stats, !code);
		else
			print_text(it, stats);
	}
	if (code)
		return say_why_not(it, code, message);
	if (!stats->segments_damaged)
		return DONE;
	complain("%s: damaged segments were left alone: see 'datawal check'", it->args->operand[0]);
	return HARD_ERROR;
}

/* ------------------------------------------------------------------ a mount */

static void take_state(struct dwal_rewrite_stats *stats, const struct mountctl_compact_state *state)
{
	*stats = (struct dwal_rewrite_stats){
		.segments = state->segments,
		.segments_done = state->segments_done,
		.segments_rewritten = state->segments_rewritten,
		.segments_damaged = state->segments_damaged,
		.bytes = state->bytes,
		.bytes_done = state->bytes_done,
		.records_dropped = state->records_dropped,
		.bytes_freed = state->bytes_freed,
		.given_up = {state->lo, state->hi},
		.keep_txid = state->keep_txid,
	};
}

/* Until it has ended; once interrupted, has it end. */
static int follow_mount(struct inplace *it, struct mountctl_compact_state *state)
{
	const struct timespec pause = {0, POLL_MS * 1000000L};
	const char *dir = it->args->operand[0];
	bool stopped = false;
	uint64_t run = 0;

	for (;;) {
		int ret = ask_mount(dir, MOUNTCTL_COMPACT_STATE, state);

		if (ret || (run && state->run != run))
			return ret < 0 ? ret : DWAL_EUNSTABLE; /* unmounted, or the next one runs */
		run = state->run;
		if (!state->running)
			return 0;
		if (progress_due(&it->progress))
			progress_show(&it->progress, state->bytes_done, state->bytes);
		if (interrupt_came() && !stopped)
			stopped = ask_mount(dir, MOUNTCTL_COMPACT_STOP, NULL) == 0;
		(void)nanosleep(&pause, NULL); /* a signal ends it early: no harm */
	}
}

static enum status compact_mount(struct inplace *it)
{
	struct mountctl_compact_state state = {0};
	struct dwal_rewrite_stats stats;
	int ret = follow_mount(it, &state);

	take_state(&stats, &state);
	if (ret) {
		progress_end(&it->progress);
		return fail(it->args->operand[0], ret, NULL);
	}
	return conclude(it, state.result, &stats, state.message);
}

/* False: it is no live mount. */
static bool ask_for_it(const struct inplace *it, enum status *status)
{
	const struct args *args = it->args;
	struct mountctl_compact order = {
		.keep = args->keep.amount,
		.how = args->keep.how,
		.flags = (args->drop_tags ? MOUNTCTL_DROP_TAGS : 0) |
			 (args->dry_run ? MOUNTCTL_DRY_RUN : 0),
	};
	int ret = ask_mount(args->operand[0], MOUNTCTL_COMPACT, &order);

	*status = DONE;
	if (ret == -EBUSY) {
		complain("%s: a compaction is at work there already", args->operand[0]);
		*status = WRONG_USE;
	} else if (ret < 0) {
		*status = fail(args->operand[0], ret, NULL);
	}
	return ret <= 0;
}

/* -------------------------------------------------------------------- a log */

static int advance_opening(void *ctx, const struct dwal_record *record)
{
	struct inplace *it = ctx;

	it->done += record->length;
	if (progress_due(&it->progress))
		progress_show(&it->progress, it->done, it->total);
	return interrupt_came() ? -EINTR : moments_observe(&it->moments, record);
}

static int advance(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	struct inplace *it = ctx;

	if (progress_due(&it->progress))
		progress_show(&it->progress, so_far->bytes_done, so_far->bytes);
	return interrupt_came() ? -EINTR : 0;
}

static int find_txid(struct inplace *it, dwal_kv *kv, struct dwal_rewrite_options *options,
		     struct dwal_error *error)
{
	const struct keep *keep = &it->args->keep;

	if (keeps(it->args, MOUNTCTL_KEEP_AGE))
		return dwal_kv_keep_age(kv, (int64_t)time(NULL) - (int64_t)keep->amount, options,
					&options->keep_txid, error);
	if (keeps(it->args, MOUNTCTL_KEEP_BYTES))
		return dwal_kv_keep_size(kv, keep->amount, options, &options->keep_txid, error);
	options->keep_txid = keep->amount;
	return 0;
}

static enum status compact_kv(struct inplace *it, dwal_kv *kv)
{
	struct dwal_rewrite_options options = {
		.raw_kind = raw_kind,
		.drop_tags = it->args->drop_tags,
		.dry_run = it->args->dry_run,
		.progress = advance,
		.progress_ctx = it,
	};
	const uint64_t highest = dwal_history_highest(it->moments.history);
	struct dwal_rewrite_stats stats = {0};
	struct dwal_error error = {0};
	int ret;

	if (keeps(it->args, MOUNTCTL_KEEP_TXID) && it->args->keep.amount > highest) {
		complain("%s: txid %" PRIu64 " is not there yet, the highest one is %" PRIu64,
			 it->args->operand[0], it->args->keep.amount, highest);
		return WRONG_USE;
	}
	ret = find_txid(it, kv, &options, &error);
	it->keep_txid = options.keep_txid;
	if (!ret)
		ret = dwal_kv_compact(kv, &options, &stats, &error);
	return conclude(it, ret, &stats, error.message);
}

/* A dry run takes no lock and changes nothing. */
static enum status open_read_only(const struct args *args, struct dwal_options *options,
				  dwal_kv **out)
{
	const char *dir = args->operand[0];
	struct dwal_error error = {0};
	enum status status = check_log(dir, false);
	int ret;

	if (status != DONE)
		return status;
	options->read_only = true;
	ret = dwal_kv_open(dir, options, out, &error);
	return ret ? fail(dir, ret, &error) : DONE;
}

static enum status compact_log(struct inplace *it)
{
	struct dwal_options options = {.observe = advance_opening, .observe_ctx = it};
	const char *dir = it->args->operand[0];
	enum status status;
	dwal_kv *kv;

	it->total = it->progress.shown ? size_of_log(dir) : 0;
	status = it->args->dry_run ? open_read_only(it->args, &options, &kv)
				   : open_kv(it->args, &options, &kv);
	progress_end(&it->progress);
	if (status == DONE)
		return close_kv(it->args, kv, compact_kv(it, kv));
	interrupt_raise();
	return status;
}

enum status compact_in_place(const struct args *args)
{
	struct inplace it = {.args = args};
	enum status status;
	int ret = moments_begin(&it.moments, NULL);

	if (ret)
		return fail(args->operand[0], ret, NULL);
	if (keeps(args, MOUNTCTL_KEEP_TXID))
		it.keep_txid = args->keep.amount;
	else
		it.keep_txid = 1; /* of a mount, or until it is found: tags are not told apart */
	progress_begin(&it.progress);
	interrupt_catch(true);
	if (!ask_for_it(&it, &status))
		status = compact_log(&it);
	else if (status == DONE)
		status = compact_mount(&it);
	moments_release(&it.moments);
	return status;
}
