/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * scan, get, list: what is in a log. They take no lock and change nothing.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

static void print_record_json(const struct dwal_record *r)
{
	struct json json = json_record("record", r);

	json_bytes(&json, "key_base64", r->key.data, r->key.len);
	json_bytes(&json, "payload_base64", r->payload.data, r->payload.len);
	json_close(&json, '}');
}

/* A Raw record has no key, a Delete no payload: only what is there, or
 * should be, is shown. */
static void print_record(const struct args *args, const struct dwal_record *r)
{
	print_record_head(r, dwal_type_name(r->type));
	if (r->type != DWAL_RAW || r->key.len) {
		fputs(" key=", stdout);
		print_field(stdout, r->key, args->bytes, args->cut);
	}
	if (r->type != DWAL_DELETE || r->payload.len) {
		fputs(r->type == DWAL_PUT ? " value=" : " payload=", stdout);
		print_field(stdout, r->payload, args->bytes, args->cut);
	}
	putchar('\n');
}

/* The header of an operation is one line, and what it announces follows. */
static void print_header(const struct dwal_record *r, const struct dwal_operation *operation)
{
	print_record_head(r, "Operation");
	print_operation(stdout, operation);
	if (operation->n) /* else it is of those that a compaction has left of it */
		printf(" records=%llu", (unsigned long long)operation->n);
	putchar('\n');
}

/* Reads from the start of the segment: only so is it known where records
 * start, since a payload may well hold the bytes of one. */
static int skip_to(struct walk *walk, uint64_t offset, struct dwal_error *error)
{
	const uint32_t segment = walk->segment;
	struct dwal_record record;
	int ret = 0;

	while (!ret && walk->segment == segment && walk->offset < offset)
		ret = walk_next(walk, &record, error);
	if (ret < 0)
		return ret;
	if (!ret && walk->segment == segment && walk->offset == offset)
		return 0;
	snprintf(error->message, sizeof(error->message),
		 "%s: segment %u, offset %llu: no record starts there; "
		 "'datawal scan' shows where they do",
		 walk->dir, segment, (unsigned long long)offset);
	return DWAL_END;
}

static int open_scan(struct walk *walk, const struct args *args, struct dwal_error *error)
{
	int ret = walk_open(walk, args->operand[0], args->from_segment, 0, error);

	if (ret || !args->from_offset)
		return ret;
	if (!walk->segment && dwal_reader_segment_count(walk->reader))
		walk->segment = dwal_reader_segment(walk->reader, 0).id;
	return skip_to(walk, args->from_offset, error);
}

static enum status scan_records(struct walk *walk, const struct args *args)
{
	struct dwal_operation operation = {0};
	struct dwal_error error = {0};
	struct dwal_record record;

	for (uint64_t n = 0; n < args->limit && !ferror(stdout); n++) {
		int ret = walk_next(walk, &record, &error);
		bool begins;

		if (ret == DWAL_END || ret == DWAL_ECORRUPT)
			return walk_tell_damage(walk);
		if (ret)
			return fail(walk->dir, ret, &error);
		begins = dwal_operation_add(&operation, &record);
		if (args->json)
			print_record_json(&record);
		else if (begins && operation.has_header)
			print_header(&record, &operation);
		else
			print_record(args, &record);
	}
	return DONE;
}

enum status cmd_scan(const struct args *args)
{
	struct dwal_error error = {0};
	struct walk walk = {0};
	enum status status = check_log(args->operand[0], false);
	int ret;

	if (status != DONE)
		return status;
	ret = open_scan(&walk, args, &error);
	if (ret == DWAL_END)
		complain("%s", error.message);
	if (ret)
		status = ret == DWAL_END ? WRONG_USE : fail(args->operand[0], ret, &error);
	else
		status = scan_records(&walk, args);
	walk_close(&walk);
	return status;
}

enum status print_miss(const struct args *args, const char *what)
{
	const struct dwal_bytes key = {args->key, args->key_len};
	struct json json;

	if (!args->json) {
		complain_bytes(args->operand[0], what, key);
		return RECOVERABLE;
	}
	json = json_line("miss");
	json_bytes(&json, "key_base64", key.data, key.len);
	json_close(&json, '}');
	return RECOVERABLE;
}

/* The exact bytes, unless asked for a text or written to a terminal: then
 * a line. */
static void print_hit(const struct args *args, struct dwal_bytes value)
{
	const bool text = args->bytes == BYTES_BASE64 || args->bytes == BYTES_HEX;

	if (args->json) {
		struct json json = json_line("value");

		json_bytes(&json, "key_base64", args->key, args->key_len);
		json_bytes(&json, "value_base64", value.data, value.len);
		json_number(&json, "value_len", value.len);
		json_close(&json, '}');
	} else if (!args->raw && (text || isatty(STDOUT_FILENO))) {
		print_value(stdout, value, args->bytes, args->cut);
		putchar('\n');
	} else {
		print_value(stdout, value, BYTES_RAW, SIZE_MAX);
	}
}

enum status cmd_get(const struct args *args)
{
	struct dwal_error error = {0};
	void *value = NULL;
	size_t len = 0;
	dwal_kv *kv;
	enum status status = open_store(args, &kv);
	int ret;

	if (status != DONE)
		return status;
	ret = dwal_kv_get(kv, args->key, args->key_len, &value, &len, &error);
	if (ret == DWAL_ABSENT)
		status = print_miss(args, "no such key: ");
	else if (ret)
		status = fail(args->operand[0], ret, &error);
	else
		print_hit(args, (struct dwal_bytes){value, len});
	free(value);
	(void)dwal_kv_close(kv); /* nothing was written */
	return status;
}

static void print_key(const struct args *args, const struct dwal_item *item)
{
	if (args->json) {
		struct json json = json_line("key");

		json_bytes(&json, "key_base64", item->key.data, item->key.len);
		json_number(&json, "value_len", item->value_len);
		json_close(&json, '}');
		return;
	}
	printf("%9u ", item->value_len);
	print_field(stdout, item->key, args->bytes, args->cut);
	putchar('\n');
}

enum status cmd_list(const struct args *args)
{
	struct dwal_item item;
	dwal_cursor *cursor;
	dwal_kv *kv;
	enum status status = open_store(args, &kv);
	int ret;

	if (status != DONE)
		return status;
	ret = dwal_kv_cursor(kv, &cursor);
	if (!ret) {
		while (!ferror(stdout) && !dwal_cursor_next(cursor, &item))
			print_key(args, &item);
		dwal_cursor_close(cursor);
	}
	(void)dwal_kv_close(kv); /* nothing was written */
	return ret ? fail(args->operand[0], ret, NULL) : DONE;
}
