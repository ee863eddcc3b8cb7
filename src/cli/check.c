/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * check: verify, then the live values, then what a mount would do, and one
 * verdict. It takes no lock and changes nothing.
 */
#include <inttypes.h>

#include "cli.h"

struct check {
	struct verification v;
	const char *dir;
	uint64_t keys, bytes, unreadable;
	struct dwal_scrub_stats scrub;
	bool refused;  /* by whoever reads all of the log */
	bool by_index; /* and not by a mount, which reads less, or passes damage of a value */
	struct dwal_error refusal;
};

/* Reading the first byte checks the whole frame and the key stored in it. */
static int check_value(dwal_kv *kv, const struct dwal_item *item, struct dwal_error *error)
{
	dwal_value *value;
	size_t got;
	char byte;
	int ret = dwal_kv_value(kv, item->key.data, item->key.len, &value);

	if (ret)
		return ret;
	ret = dwal_value_read(value, 0, &byte, 1, &got, error);
	dwal_value_close(value);
	return ret;
}

static int check_values(struct check *check, dwal_kv *kv, const char *dir)
{
	struct dwal_error error = {0};
	struct dwal_item item;
	dwal_cursor *cursor;
	int ret = dwal_kv_cursor(kv, &cursor);

	if (ret)
		return ret;
	while (!dwal_cursor_next(cursor, &item)) {
		check->keys++;
		check->bytes += item.value_len;
		ret = check_value(kv, &item, &error);
		if (ret) {
			check->unreadable++;
			(void)fail(dir, ret, &error); /* the verdict comes at the end */
		}
	}
	dwal_cursor_close(cursor);
	return 0;
}

/* It changes nothing but time, and not the verdict. */
static void tell_ignored(void *ctx, const struct dwal_index_ignored *index)
{
	const struct check *check = ctx;

	complain("%s/%08u.dwal-index is ignored: %s; a mount makes it anew", check->dir,
		 index->segment, index->why);
}

static int check_indexes(struct check *check, dwal_kv *kv)
{
	const struct dwal_scrub_options options = {.ignored = tell_ignored, .ctx = check};

	return dwal_kv_scrub(kv, &options, &check->scrub);
}

/* A log with a hard error has no live values, unless it is one that a mount comes up with:
 * nothing else opens it, and what that says is what a mount says. */
static enum status check_projection(struct check *check, const char *dir)
{
	struct dwal_options options = {.read_only = true};
	struct dwal_error error = {0};
	dwal_kv *kv;
	int ret = dwal_kv_open(dir, &options, &kv, &check->refusal);

	check->refused = ret == DWAL_ECORRUPT;
	if (check->refused) {
		options.verify = DWAL_VERIFY_INDEX;
		ret = dwal_kv_open(dir, &options, &kv, &error);
		check->by_index = !ret;
	}
	if (ret)
		return check->refused ? DONE : fail(dir, ret, &check->refusal);
	ret = check_values(check, kv, dir);
	if (!ret)
		ret = check_indexes(check, kv);
	(void)dwal_kv_close(kv); /* nothing was written */
	return ret ? fail(dir, ret, NULL) : DONE;
}

static enum status judge(const struct check *check)
{
	if (check->v.hard_errors || check->unreadable || check->refused)
		return HARD_ERROR;
	return check->v.torn ? RECOVERABLE : DONE;
}

static void print_mount(const struct check *check)
{
	if (check->by_index)
		printf("a mount             comes up, with verify=full it refuses this log: "
		       "%s\n",
		       check->refusal.message);
	else if (check->refused)
		printf("a mount             refuses this log: %s\n", check->refusal.message);
	else if (check->v.torn)
		puts("a mount             cuts the torn tail off, into a side file, and comes up");
	else
		puts("a mount             comes up");
}

static void print_check(const struct check *check)
{
	static const char *const verdicts[] = {
		[DONE] = "sound", [RECOVERABLE] = "a torn tail", [HARD_ERROR] = "damaged"};
	const struct verification *v = &check->v;

	print_verification(v);
	printf("live keys           %" PRIu64 "\n", check->keys);
	printf("bytes in them       %" PRIu64 "\n", check->bytes);
	printf("not readable        %" PRIu64 "\n", check->unreadable);
	if (check->scrub.compared || check->scrub.ignored)
		printf("index files         %" PRIu64 " right, %" PRIu64 " ignored\n",
		       check->scrub.compared, check->scrub.ignored);
	print_mount(check);
	printf("verdict             %s", verdicts[judge(check)]);
	if (v->intact_behind)
		printf(", with %" PRIu64 " intact records behind it", v->intact_behind);
	if (v->txids.missing)
		printf(", %" PRIu64 " txids missing", v->txids.missing);
	putchar('\n');
}

static const char *mount_word(const struct check *check)
{
	if (check->by_index)
		return "by-index";
	return check->refused ? "refuses" : check->v.torn ? "repairs" : "ready";
}

static void print_check_json(const struct check *check)
{
	static const char *const verdicts[] = {
		[DONE] = "sound", [RECOVERABLE] = "torn-tail", [HARD_ERROR] = "damaged"};
	struct json json = json_line("check");

	json_verification(&json, &check->v);
	json_number(&json, "live_keys", check->keys);
	json_number(&json, "live_bytes", check->bytes);
	json_number(&json, "unreadable_values", check->unreadable);
	json_number(&json, "index_files", check->scrub.compared);
	json_number(&json, "index_files_ignored", check->scrub.ignored);
	json_text(&json, "mount", mount_word(check));
	json_text(&json, "refusal", check->refused ? check->refusal.message : NULL);
	json_text(&json, "verdict", verdicts[judge(check)]);
	json_close(&json, '}');
}

enum status cmd_check(const struct args *args)
{
	const char *dir = args->operand[0];
	struct check check = {.dir = dir};
	enum status status = check_log(dir, false);

	if (status == DONE)
		status = verify_log(dir, &check.v);
	if (status == DONE)
		status = check_projection(&check, dir);
	if (status != DONE)
		return status;
	if (args->json)
		print_check_json(&check);
	else
		print_check(&check);
	return judge(&check);
}
