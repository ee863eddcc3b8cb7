/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * tag: names for moments. To list them takes no lock and changes nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cli.h"
#include "moments.h"
#include "mountctl.h"

static void print_tag(const struct args *args, const char *name, uint64_t txid, bool given_up)
{
	struct json json;

	if (args->json) {
		json = json_line("tag");
		json_text(&json, "name", name);
		json_number(&json, "txid", txid);
		json_bool(&json, "given_up", given_up);
		json_close(&json, '}');
		return;
	}
	printf("txid=%" PRIu64 " name=", txid);
	print_field(stdout, (struct dwal_bytes){name, strlen(name)}, BYTES_AUTO, args->cut);
	puts(given_up ? " given up by a compaction" : "");
}

static enum status no_such_tag(const struct args *args)
{
	complain("%s: '%s' is no name of a moment", args->operand[0], args->remove);
	return RECOVERABLE;
}

/* ---------------------------------------------------------------- reading */

/* As walk_tell_damage() but for a torn tail, which is no reason to stop. */
static enum status read_moments(const char *dir, struct moments *moments)
{
	struct dwal_error error = {0};
	struct dwal_record record;
	struct walk walk = {0};
	enum status status = check_log(dir, false);
	int ret;

	if (status != DONE)
		return status;
	ret = walk_open(&walk, dir, 0, 0, &error);
	while (!ret) {
		ret = walk_next(&walk, &record, &error);
		if (!ret)
			ret = moments_observe(moments, &record);
	}
	if (ret != DWAL_END && ret != DWAL_ECORRUPT)
		status = fail(dir, ret, &error);
	else
		status = walk_tell_damage(&walk);
	walk_close(&walk);
	return status == RECOVERABLE ? DONE : status;
}

static enum status list(const struct args *args, const char *dir, struct moments *moments)
{
	enum status status = read_moments(dir, moments);

	moments_sort(moments);
	for (size_t i = 0; i < moments->count && !ferror(stdout); i++) {
		const struct named_moment *one = &moments->named[i];

		print_tag(args, one->name, one->txid,
			  dwal_history_has(moments->history, one->txid) != 0);
	}
	return status;
}

/* ---------------------------------------------------------------- writing */

/* The txid for the name that is given, or 0 for the one that is taken back. */
static enum status find_txid(const struct args *args, const struct moments *moments, uint64_t *txid)
{
	if (!args->remove)
		return moments_find(moments, args->operand[0], txid);
	*txid = 0;
	return moments_named(moments, args->remove) ? DONE : no_such_tag(args);
}

static void tell(const struct args *args, uint64_t txid)
{
	if (!args->remove)
		print_tag(args, args->operand[1], txid, false);
}

static enum status tag_log(const struct args *args, struct moments *moments)
{
	struct dwal_options options = {.observe = moments_observe, .observe_ctx = moments};
	uint64_t txid;
	dwal_kv *kv;
	enum status status = open_kv(args, &options, &kv);
	int ret;

	if (status != DONE)
		return status;
	status = find_txid(args, moments, &txid);
	if (status == DONE) {
		ret = dwal_kv_tag(kv, args->remove ? args->remove : args->operand[1], txid);
		if (!ret && args->sync)
			ret = dwal_kv_sync(kv);
		status = ret ? kv_refused(args, kv, ret) : DONE;
	}
	if (status == DONE)
		tell(args, txid);
	return close_kv(args, kv, status);
}

/* What is read of the log is read behind the mount; now is known to the daemon. */
static enum status tag_mount(const struct args *args, const char *behind, struct moments *moments)
{
	const char *name = args->remove ? args->remove : args->operand[1];
	struct mountctl_tag tag = {.flags = args->remove ? MOUNTCTL_TAG_REMOVE : 0};
	enum status status = DONE;
	int ret;

	if (strlen(name) >= sizeof(tag.name))
		return fail(args->operand[0], -ENAMETOOLONG, NULL);
	if (args->sync)
		tag.flags |= MOUNTCTL_TAG_SYNC;
	if (args->remove || args->operand[2])
		status = read_moments(behind, moments);
	if (status == DONE && (args->remove || args->operand[2]))
		status = find_txid(args, moments, &tag.txid);
	if (status != DONE)
		return status;
	memcpy(tag.name, name, strlen(name));
	ret = ask_mount(args->operand[0], MOUNTCTL_TAG, &tag);
	if (ret > 0)
		return refuse_mount(args->operand[0]);
	if (ret)
		return fail(args->operand[0], ret, NULL);
	tell(args, tag.txid);
	return DONE;
}

enum status cmd_tag(const struct args *args)
{
	cleanup_free char *behind = log_behind(args->operand[0]);
	const bool writes = args->operand[1] || args->remove;
	struct moments moments;
	enum status status = DONE;
	int ret = moments_begin(&moments, &args->when);

	if (ret)
		status = fail(args->operand[0], ret, NULL);
	else if (!writes)
		status = list(args, behind ? behind : args->operand[0], &moments);
	else if (behind)
		status = tag_mount(args, behind, &moments);
	else
		status = tag_log(args, &moments);
	moments_release(&moments);
	return status;
}
