/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Texts about the log and this mount of it, for people and as JSON. Must not
 * change anything, and must not read a record: what it tells is known.
 */
#include "log/logtext.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/damage.h"
#include "file/pending.h"
#include "file/unfinished.h"
#include "findings.h"
#include "log/compacttext.h"

/* The stream is in memory and remembers a failure until it is closed. */
#define say(out, ...) ((void)fprintf(out, __VA_ARGS__))

const char *logtext_name(enum logtext which)
{
	static const char *const names[LOGTEXT_COUNT] = {
		[LOGTEXT_README] = "README",
		[LOGTEXT_RECOVERY] = "recovery",
		[LOGTEXT_RECOVERY_JSON] = "recovery.json",
		[LOGTEXT_STATS_JSON] = "stats.json",
	};

	return names[which];
}

/* ---- README ---- */

static int write_readme(struct fs *fs, FILE *out)
{
	say(out,
	    "This is the log behind the files of this mount, read-only. It is entered by its\n"
	    "name, and listed only when mounted with -o showlog.\n"
	    "\n"
	    "00000001.dwal ...   the segments, exactly as on disk now. Together they are the\n"
	    "                    log: `cp .log/*.dwal BACKUP/` makes a directory that opens as\n"
	    "                    one, unless the log is compacted meanwhile. `datawal scan` on\n"
	    "                    such a directory shows each record.\n"
	    "*.dwal.torn-N       bytes that an open cut off at N: an unfinished record, and all\n"
	    "                    that lay behind it; `datawal dump --all` shows what is whole\n"
	    "recovery            what opening the log found and did; changes that could not be\n"
	    "                    written so far, and values that could not be read; the space\n"
	    "                    that was given back since\n"
	    "recovery.json       the same for programs\n"
	    "stats.json          records, live and dead bytes of each segment, and totals\n"
	    "\n"
	    "The log directory is ");
	say(out, "%s\n", fs->opt.log_dir);
	return 0;
}

/* ---- recovery ---- */

/* Any bytes on one line. */
static void say_quoted(FILE *out, const char *s, size_t len)
{
	say(out, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f)
			say(out, "\\x%02x", c);
		else
			say(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	say(out, "\"");
}

static void say_failed_commit(void *out, const char *path, int error)
{
	say(out, "  ");
	say_quoted(out, path, strlen(path));
	say(out, ": %s\n", strerror(error));
}

static void say_damage(FILE *out, const struct dwal_damage *damage, bool cut)
{
	say(out, "  segment %08" PRIu32 ", offset %" PRIu64 ": %" PRIu64 " bytes, %s: %s\n",
	    damage->segment, damage->offset, damage->bytes, dwal_frame_status_text(damage->reason),
	    !damage->torn_tail ? "damaged"
	    : cut              ? "a torn tail, cut off"
			       : "a torn tail, left as it is");
	if (damage->intact.records)
		say(out,
		    "  in these bytes        %s%" PRIu64 " intact records, txids %" PRIu64
		    " to %" PRIu64 ",\n"
		    "                        not replayed, not known to have been synced: a power "
		    "cut or damage\n",
		    damage->intact.at_least ? "at least " : "", damage->intact.records,
		    damage->intact.lowest_txid, damage->intact.highest_txid);
}

static void say_found(FILE *out, const struct dwal_report *found)
{
	say(out, "segments scanned        %" PRIu64 "\n", found->files_scanned);
	say(out, "records replayed        %" PRIu64 "\n", found->records_replayed);
	say(out, "  Raw, not files        %" PRIu64 "\n", found->raw_records);
	say(out, "last txid seen          %" PRIu64 "\n", found->last_txid_seen);
	say(out, "txids out of order      %" PRIu64 "\n", found->txids.out_of_order);
	findings_missing_text(out, "txids missing           ", &found->txids);
	say(out, "torn tails              %" PRIu64 "\n", found->tail_truncated);
	say(out, "  bytes discarded       %" PRIu64 "\n", found->tail_bytes_discarded);
	say(out, "  intact records behind %" PRIu64 " (not replayed)\n", found->intact.records);
	say(out, "mid-stream errors       %" PRIu64 "\n", found->mid_stream_errors);
	say(out, "unsupported versions    %" PRIu64 "\n", found->unsupported_versions);
	for (size_t i = 0; i < found->damage_count; i++)
		say_damage(out, &found->damage[i], found->made_side_file);
	if (found->made_side_file)
		say(out, "what was cut off is in  %s\n", found->made_side_file);
	for (size_t i = 0; i < found->side_file_count; i++)
		say(out, "side file               %s\n", found->side_files[i]);
}

static void say_indexes(FILE *out, const struct fs *fs)
{
	const struct dwal_report *found = dwal_kv_report(fs->kv);

	if (fs->opt.verify == DWAL_VERIFY_FULL || fs->opt.degraded) {
		say(out, "index files used        none: every segment was read (verify=full)\n");
		return;
	}
	say(out, "index files used        %" PRIu64 "\n", found->indexes_used);
	for (size_t i = 0; i < found->indexes_ignored; i++)
		say(out, "  %08" PRIu32 ".dwal-index: ignored: %s\n", found->ignored[i].segment,
		    found->ignored[i].why);
}

static void say_lost(FILE *out, const struct dwal_report *found)
{
	say(out, "lost                    %" PRIu64 " bytes in %" PRIu64 " places%s\n",
	    found->lost_bytes, found->lost_ranges, found->lost_ranges ? ":" : "");
	for (size_t i = 0; i < found->lost_count; i++) {
		say(out, "  ");
		findings_lost_text(out, &found->lost[i]);
		say(out, "\n");
	}
	if (found->lost_count < found->lost_ranges)
		say(out, "  and more\n");
	if (found->lost_ranges)
		say(out,
		    "Where the last value of a file is lost, reading it is an error (EIO); where "
		    "it is\n"
		    "not known what is lost, a file may show an older value, be missing, or show\n"
		    "although it was removed.\n");
}

/* In base64, so that a line of text tells the record: its offset a compaction can change. */
#define UNFINISHED_KEY_BASE64 "ZGF0YXdhbGZzLnVuZmluaXNoZWQ="

/* As one word of the shell. */
static void say_shell_word(FILE *out, const char *word)
{
	say(out, "'");
	for (; *word; word++)
		say(out, *word == '\'' ? "'\\''" : "%c", *word);
	say(out, "'");
}

static void say_unfinished(FILE *out, const struct fs *fs)
{
	if (!fs->unfinished)
		return;
	say(out,
	    "\nUnfinished when an earlier mount ended: the old value was kept, what was being\n"
	    "written over it is beside it in the log. (Named until the key is written or\n"
	    "removed and mounted again.) Taken out, each by one line:\n");
	for (const struct unfinished *one = fs->unfinished; one; one = one->hh.next) {
		say(out, "  ");
		say_quoted(out, (const char *)one->key, one->key_len);
		say(out, ": %" PRIu64 " bytes from %" PRIu64 " on, of %" PRIu64 "\n", one->part,
		    one->begin, one->size);
		say(out, "    datawal scan ");
		say_shell_word(out, fs->opt.log_dir);
		say(out,
		    " --from-segment %" PRIu32 " --json |"
		    " sed -n '/\"txid\":%" PRIu64 ",\"key_base64\":\"" UNFINISHED_KEY_BASE64
		    "\"/{s/.*\"payload_base64\":\"//;s/\".*//;p;q}' | base64 -d | sed '1,/^$/d'"
		    " > FILE\n",
		    one->segment, one->txid);
	}
}

static void say_started(FILE *out, const struct fs *fs)
{
	char when[64] = "?";
	struct tm tm;

	if (gmtime_r(&fs->started.tv_sec, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	say(out, "log directory           %s\n", fs->opt.log_dir);
	say(out, "mounted                 %s, %s\n", when,
	    fs->opt.read_only ? "read-only" : "read-write");
}

static void say_damaged(void *out, const struct damage *damage)
{
	say(out, "  ");
	if (damage->has_key)
		say_quoted(out, damage->key, damage->key_len);
	else
		say(out,
		    damage->by_scrub ? "found by reading the segment" : "a file that was removed");
	say(out, ": segment %08" PRIu32 ", offset %" PRIu64 ": %s\n", damage->segment,
	    damage->offset, damage->reason);
}

static void ignore_damaged(void *ctx, const struct damage *damage)
{
}

static uint64_t damaged_count(struct fs *fs)
{
	return damage_each(fs, ignore_damaged, NULL);
}

static int write_recovery(struct fs *fs, FILE *out)
{
	uint64_t failed = atomic_load(&fs->failed_commits);
	const char *refusal = fs->opt.read_only ? NULL : dwal_kv_refusal(fs->kv);

	say_started(out, fs);
	say(out, "\nWhen it was mounted:\n");
	say_found(out, dwal_kv_report(fs->kv));
	say_indexes(out, fs);
	if (fs->opt.degraded)
		say_lost(out, dwal_kv_report(fs->kv));
	say_unfinished(out, fs);
	say(out, "\nNow:\n");
	say(out, "takes changes           %s\n",
	    fs->opt.read_only ? "no, mounted read-only"
	    : refusal         ? refusal
			      : "yes");
	say(out, "failed commits          %" PRIu64 "\n", failed);
	pending_each_failed(fs, say_failed_commit, out);
	say(out, "damaged values found    %" PRIu64 "\n", damaged_count(fs));
	(void)damage_each(fs, say_damaged, out);
	compacttext_write(out, fs);
	return 0;
}

static void put_failed_commit(void *json, const char *path, int error)
{
	json_open(json, NULL, '{');
	json_bytes(json, "path_base64", path, strlen(path));
	json_text(json, "error", strerror(error));
	json_close(json, '}');
}

static void put_damaged(void *json, const struct damage *damage)
{
	json_open(json, NULL, '{');
	if (damage->has_key)
		json_bytes(json, "key_base64", damage->key, damage->key_len);
	else
		json_text(json, "key_base64", NULL);
	json_number(json, "segment", damage->segment);
	json_number(json, "offset", damage->offset);
	json_text(json, "reason", damage->reason);
	json_close(json, '}');
}

static void put_found(struct json *json, const struct dwal_report *found)
{
	findings_report_json(json, found);
	json_number(json, "lost_ranges", found->lost_ranges);
	json_number(json, "lost_bytes", found->lost_bytes);
	json_open(json, "lost", '[');
	for (size_t i = 0; i < found->lost_count; i++) {
		json_open(json, NULL, '{');
		findings_lost_json(json, &found->lost[i]);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_open(json, "side_files", '[');
	for (size_t i = 0; i < found->side_file_count; i++)
		json_text(json, NULL, found->side_files[i]);
	json_close(json, ']');
	json_text(json, "made_side_file", found->made_side_file);
}

static void put_indexes(struct json *json, const struct dwal_report *found)
{
	json_number(json, "indexes_used", found->indexes_used);
	json_open(json, "indexes_ignored", '[');
	for (size_t i = 0; i < found->indexes_ignored; i++) {
		json_open(json, NULL, '{');
		json_number(json, "segment", found->ignored[i].segment);
		json_text(json, "why", found->ignored[i].why);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void put_unfinished(struct json *json, const struct fs *fs)
{
	json_open(json, "unfinished", '[');
	for (const struct unfinished *one = fs->unfinished; one; one = one->hh.next) {
		json_open(json, NULL, '{');
		json_bytes(json, "key_base64", one->key, one->key_len);
		json_number(json, "segment", one->segment);
		json_number(json, "txid", one->txid);
		json_number(json, "size", one->size);
		json_number(json, "part_offset", one->begin);
		json_number(json, "part_bytes", one->part);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void put_head(struct json *json, const struct fs *fs, const char *kind)
{
	json_open(json, NULL, '{');
	json_text(json, "schema", "datawal.mount.v1");
	json_text(json, "kind", kind);
	json_text(json, "log_dir", fs->opt.log_dir);
	json_bool(json, "read_only", fs->opt.read_only);
}

static int write_recovery_json(struct fs *fs, FILE *out)
{
	struct json json;

	json_init(&json, out, JSON_INDENTED);
	put_head(&json, fs, "recovery");
	json_number(&json, "mounted_at", (uint64_t)fs->started.tv_sec);
	put_found(&json, dwal_kv_report(fs->kv));
	put_indexes(&json, dwal_kv_report(fs->kv));
	json_bool(&json, "poisoned", dwal_kv_is_poisoned(fs->kv));
	json_text(&json, "refusal", dwal_kv_refusal(fs->kv));
	put_unfinished(&json, fs);
	json_open(&json, "failed_commits", '[');
	pending_each_failed(fs, put_failed_commit, &json);
	json_close(&json, ']');
	json_open(&json, "damaged_values", '[');
	(void)damage_each(fs, put_damaged, &json);
	json_close(&json, ']');
	compacttext_json(&json, fs);
	json_close(&json, '}');
	return 0;
}

/* ---- stats ---- */

static void put_segments(struct json *json, const struct dwal_segment_stats *stats, size_t n)
{
	struct dwal_segment_stats total = {.id = 0};

	json_open(json, "segments", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(json, NULL, '{');
		json_number(json, "segment", stats[i].id);
		json_bool(json, "active", stats[i].active);
		findings_sizes_json(json, &stats[i]);
		json_close(json, '}');
		total.bytes += stats[i].bytes;
		total.records += stats[i].records;
		total.live_records += stats[i].live_records;
		total.live_bytes += stats[i].live_bytes;
	}
	json_close(json, ']');
	json_open(json, "total", '{');
	findings_sizes_json(json, &total);
	json_close(json, '}');
}

static int write_stats_json(struct fs *fs, FILE *out)
{
	struct dwal_segment_stats *stats;
	struct json json;
	size_t n;
	int err = dwal_kv_stats(fs->kv, &stats, &n);

	if (err)
		return errno_of(err);
	json_init(&json, out, JSON_INDENTED);
	put_head(&json, fs, "stats");
	put_segments(&json, stats, n);
	json_number(&json, "keys", dwal_kv_len(fs->kv));
	json_number(&json, "commits_failed", atomic_load(&fs->failed_commits));
	json_number(&json, "damaged_values", damaged_count(fs));
	json_number(&json, "staged_bytes", atomic_load(&fs->staged_bytes));
	json_bool(&json, "poisoned", dwal_kv_is_poisoned(fs->kv));
	json_text(&json, "refusal", dwal_kv_refusal(fs->kv));
	compacttext_json(&json, fs);
	json_close(&json, '}');
	free(stats);
	return 0;
}

int logtext_make(struct fs *fs, enum logtext which, char **text, size_t *len)
{
	static int (*const writers[LOGTEXT_COUNT])(struct fs *, FILE *) = {
		[LOGTEXT_README] = write_readme,
		[LOGTEXT_RECOVERY] = write_recovery,
		[LOGTEXT_RECOVERY_JSON] = write_recovery_json,
		[LOGTEXT_STATS_JSON] = write_stats_json,
	};
	char *made = NULL;
	size_t made_len = 0;
	FILE *out = open_memstream(&made, &made_len);
	int err;

	if (!out)
		return ENOMEM;
	err = writers[which](fs, out);
	if (ferror(out))
		err = ENOMEM;
	if (fclose(out) != 0)
		err = ENOMEM;
	if (err) {
		free(made);
		return err;
	}
	*text = made;
	*len = made_len;
	return 0;
}
