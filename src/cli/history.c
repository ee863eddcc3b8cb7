/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * history: every version of a key. It takes no lock and changes nothing.
 */
#include <inttypes.h>

#include "cli.h"

static void print_version(const struct args *args, const struct dwal_version *v)
{
	const struct dwal_record *r = &v->record;
	struct json json;

	if (!args->json) {
		print_record_head(r, dwal_type_name(r->type));
		if (r->type == DWAL_PUT)
			printf(" value_len=%zu", r->payload.len);
		print_operation(stdout, &v->operation);
		putchar('\n');
		return;
	}
	json = json_record("version", r);
	json_bytes(&json, "key_base64", args->key, args->key_len);
	json_number(&json, "value_len", r->payload.len);
	json_operation(&json, &v->operation);
	json_close(&json, '}');
}

/* What a compaction has left is not all there was. */
static void print_completeness(const struct args *args, uint64_t from)
{
	struct json json;

	if (!from)
		return;
	if (!args->json) {
		printf("complete from txid %" PRIu64 "\n", from);
		return;
	}
	json = json_line("complete");
	json_number(&json, "from_txid", from);
	json_close(&json, '}');
}

/* A key of which nothing is found before a damage may have been all the same. */
static enum status print_versions(const struct args *args, const dwal_history *history,
				  enum status status)
{
	const struct dwal_version *versions;
	size_t n = dwal_history_versions(history, &versions);
	uint64_t from = dwal_history_complete_from(history);

	print_completeness(args, from);
	if (!n && status == DONE)
		return print_miss(args, from ? "no version of such a key is left: "
					     : "there never was such a key: ");
	for (size_t i = 0; i < n && !ferror(stdout); i++)
		print_version(args, &versions[i]);
	return status;
}

static enum status read_history(const struct args *args, struct walk *walk, dwal_history *history)
{
	struct dwal_error error = {0};
	struct dwal_record record;
	enum status status;
	int ret;

	do {
		ret = walk_next(walk, &record, &error);
		if (!ret)
			ret = dwal_history_add(history, &record);
	} while (!ret);
	if (ret != DWAL_END && ret != DWAL_ECORRUPT)
		return fail(walk->dir, ret, &error);
	status = walk_tell_damage(walk);
	return print_versions(args, history, status == RECOVERABLE ? DONE : status);
}

enum status cmd_history(const struct args *args)
{
	struct dwal_error error = {0};
	dwal_history *history = NULL;
	struct walk walk = {0};
	enum status status = check_log(args->operand[0], false);
	int ret;

	if (status != DONE)
		return status;
	ret = walk_open(&walk, args->operand[0], 0, 0, &error);
	if (!ret)
		ret = dwal_history_open(args->key, args->key_len, &history);
	status = ret ? fail(args->operand[0], ret, &error) : read_history(args, &walk, history);
	dwal_history_close(history);
	walk_close(&walk);
	return status;
}
