/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The state of compaction.h in words.
 */
#include "log/compacttext.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define say(out, ...) ((void)fprintf(out, __VA_ARGS__)) /* the stream remembers a failure */

#define WORD_SIZE 32

static const char *history_word(const struct fs *fs, char word[WORD_SIZE])
{
	const struct history_limit *limit = &fs->opt.history;

	switch (limit->kind) {
	case HISTORY_AUTO:
		return "auto";
	case HISTORY_ALL:
		return "all";
	case HISTORY_NONE:
		return "none";
	default:
		(void)snprintf(word, WORD_SIZE, "%" PRIu64 "%c", limit->value,
			       limit->kind == HISTORY_AGE ? 's' : 'B');
		return word;
	}
}

static void say_when(FILE *out, int64_t seconds)
{
	time_t when = (time_t)seconds;
	char text[64] = "?";
	struct tm tm;

	if (gmtime_r(&when, &tm))
		(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	say(out, "%s", text);
}

static void say_last(FILE *out, const struct compaction_told *last)
{
	const struct mountctl_compact_state *state = &last->state;

	say_when(out, state->ended);
	say(out, ": %s\n", last->why);
	say(out,
	    "  freed                 %" PRIu64 " bytes; %" PRIu64 " records dropped, %" PRIu64
	    " of %" PRIu64 " segments rewritten\n",
	    state->bytes_freed, state->records_dropped, state->segments_rewritten, state->segments);
	if (state->hi)
		say(out,
		    "  not to be had         the states as of txid %" PRIu64 " to %" PRIu64 "\n",
		    state->lo, state->hi - 1);
	if (state->segments_damaged)
		say(out, "  damaged, left alone   %" PRIu64 " segments\n", state->segments_damaged);
	if (state->result)
		say(out, "  it did not end        %s\n", state->message);
}

void compacttext_write(FILE *out, struct fs *fs)
{
	const char *why_not;
	struct compaction_told last = compaction_last(&fs->compaction, &why_not);
	char word[WORD_SIZE];

	if (fs->opt.read_only)
		return;
	say(out, "history                 %s\n", history_word(fs, word));
	say(out, "last compaction         ");
	if (last.state.run)
		say_last(out, &last);
	else
		say(out, "none since it was mounted\n");
	if (compaction_state(&fs->compaction).running)
		say(out, "compaction now          running\n");
	else
		say(out, "compaction now          no: %s\n", why_not);
}

static void put_last(struct json *json, const struct compaction_told *last)
{
	const struct mountctl_compact_state *state = &last->state;

	json_open(json, "last", '{');
	json_text(json, "why", last->why);
	json_bool(json, "asked_for", state->asked);
	json_number(json, "started", (uint64_t)state->started);
	json_number(json, "ended", (uint64_t)state->ended);
	json_text(json, "error", state->result ? state->message : NULL);
	json_number(json, "segments", state->segments);
	json_number(json, "segments_rewritten", state->segments_rewritten);
	json_number(json, "segments_damaged", state->segments_damaged);
	json_number(json, "records_dropped", state->records_dropped);
	json_number(json, "bytes_freed", state->bytes_freed);
	json_number(json, "lo", state->lo);
	json_number(json, "hi", state->hi);
	json_close(json, '}');
}

void compacttext_json(struct json *json, struct fs *fs)
{
	const char *why_not;
	struct compaction_told last = compaction_last(&fs->compaction, &why_not);
	bool running = compaction_state(&fs->compaction).running;
	char word[WORD_SIZE];

	json_text(json, "history", fs->opt.read_only ? NULL : history_word(fs, word));
	json_open(json, "compaction", '{');
	json_bool(json, "running", running);
	json_text(json, "why_not", running || fs->opt.read_only ? NULL : why_not);
	if (last.state.run)
		put_last(json, &last);
	else
		json_text(json, "last", NULL);
	json_close(json, '}');
}
