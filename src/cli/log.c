/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * log: operations, the newest first. It takes no lock and changes nothing.
 *
 * A log is read forwards: once to its end, where a mark is set at an operation
 * every STRETCH bytes; then from each mark to the next, beginning with the
 * last, what is to be shown of one such stretch being kept in memory and
 * written out backwards. So memory holds the names of a stretch, or those of
 * the largest operation, and 24 bytes for every STRETCH of the log.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define STRETCH     (1u << 20)
#define NAMES_SHOWN 8    /* of an operation on a terminal */
#define TAG_SHOWN   1024 /* bytes; one with a longer name is shown as any Raw record */

/* Where a stretch begins, with an operation. */
struct mark {
	uint32_t segment;
	uint64_t offset;
	uint64_t records; /* from there to the next mark */
};

struct marks {
	struct mark *list;
	size_t count, room;
	uint64_t bytes; /* since the last one */
	struct dwal_operation operation;
};

/* The lines of a stretch. */
struct lines {
	const struct args *args;
	FILE *to; /* text, of len bytes once flushed */
	char *text;
	size_t len;
	size_t *starts; /* in text */
	size_t count, room;
	struct dwal_operation operation; /* that of the last line, */
	struct json json;
	uint64_t records; /* and how many of it there are so far */
};

/* The list with room for one more, or NULL: out of memory. */
static void *with_room(void *list, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;

	if (count < *room)
		return list;
	list = reallocarray(list, more, size);
	if (list)
		*room = more;
	return list;
}

static int add_mark(struct marks *marks, const struct dwal_record *record)
{
	struct mark *list = with_room(marks->list, marks->count, &marks->room, sizeof(*list));

	if (!list)
		return -ENOMEM;
	marks->list = list;
	marks->list[marks->count++] = (struct mark){record->segment, record->offset, 0};
	marks->bytes = 0;
	return 0;
}

static int mark_record(struct marks *marks, const struct dwal_record *record)
{
	bool begins = dwal_operation_add(&marks->operation, record);
	int ret = 0;

	if (begins && (!marks->count || marks->bytes >= STRETCH))
		ret = add_mark(marks, record);
	if (ret)
		return ret;
	marks->bytes += record->length;
	marks->list[marks->count - 1].records++;
	return 0;
}

static void end_line(struct lines *lines)
{
	if (!lines->count)
		return;
	if (lines->args->json) {
		json_close(&lines->json, ']');
		json_close(&lines->json, '}');
		return;
	}
	if (lines->args->cut != SIZE_MAX && lines->records > NAMES_SHOWN)
		fprintf(lines->to, " and %llu more",
			(unsigned long long)(lines->records - NAMES_SHOWN));
	putc_unlocked('\n', lines->to);
}

static int begin_line(struct lines *lines)
{
	size_t *starts = with_room(lines->starts, lines->count, &lines->room, sizeof(*starts));

	end_line(lines);
	if (!starts || fflush(lines->to)) /* it is written to memory */
		return -ENOMEM;
	lines->starts = starts;
	lines->starts[lines->count++] = lines->len;
	lines->records = 0;
	return 0;
}

static void show_operation(struct lines *lines, const struct dwal_record *first)
{
	if (!lines->args->json) {
		fprintf(lines->to, "txid=%llu", (unsigned long long)first->txid);
		print_operation(lines->to, &lines->operation);
		return;
	}
	lines->json = json_line_to(lines->to, "operation");
	json_number(&lines->json, "txid", first->txid);
	json_operation(&lines->json, &lines->operation);
	json_number(&lines->json, "segment", first->segment);
	json_number(&lines->json, "offset", first->offset);
	json_open(&lines->json, "records", '[');
}

/* Of a horizon or a tag what it says. */
static void show_json(struct json *json, const struct dwal_record *r)
{
	struct dwal_horizon horizon;
	char name[TAG_SHOWN];
	struct dwal_tag tag;

	json_open(json, NULL, '{');
	json_text(json, "record_type", dwal_type_name(r->type));
	json_bytes(json, "key_base64", r->key.data, r->key.len);
	json_number(json, "payload_len", r->payload.len);
	if (dwal_horizon_parse(r, &horizon)) {
		json_number(json, "lo", horizon.lo);
		json_number(json, "hi", horizon.hi);
	} else if (dwal_tag_parse(r, &tag) && dwal_tag_name(&tag, name, sizeof(name))) {
		json_text(json, "name", name);
		json_number(json, "as_of", tag.txid);
	}
	json_close(json, '}');
}

/* False: the record is neither a horizon nor a tag. */
static bool show_own(const struct lines *lines, const struct dwal_record *r)
{
	struct dwal_horizon horizon;
	char name[TAG_SHOWN];
	struct dwal_tag tag;

	if (dwal_horizon_parse(r, &horizon)) {
		fprintf(lines->to, " Horizon lo=%" PRIu64 " hi=%" PRIu64, horizon.lo, horizon.hi);
		return true;
	}
	if (!dwal_tag_parse(r, &tag) || !dwal_tag_name(&tag, name, sizeof(name)))
		return false;
	fputs(" Tag name=", lines->to);
	print_field(lines->to, (struct dwal_bytes){name, strlen(name)}, BYTES_AUTO,
		    lines->args->cut);
	if (tag.txid)
		fprintf(lines->to, " as_of=%" PRIu64, tag.txid);
	else
		fputs(" removed", lines->to);
	return true;
}

static void show_record(struct lines *lines, const struct dwal_record *r)
{
	if (lines->args->json) {
		show_json(&lines->json, r);
		return;
	}
	if (lines->args->cut != SIZE_MAX && lines->records > NAMES_SHOWN)
		return;
	if (show_own(lines, r))
		return;
	fprintf(lines->to, " %s", dwal_type_name(r->type));
	if (r->type != DWAL_RAW || r->key.len) {
		fputs(" key=", lines->to);
		print_field(lines->to, r->key, lines->args->bytes, lines->args->cut);
	}
	if (r->type != DWAL_DELETE || r->payload.len)
		fprintf(lines->to, " %s=%zu", r->type == DWAL_PUT ? "value_len" : "payload_len",
			r->payload.len);
}

static int add_record(struct lines *lines, const struct dwal_record *record)
{
	bool begins = dwal_operation_add(&lines->operation, record);
	int ret = begins ? begin_line(lines) : 0;

	if (ret)
		return ret;
	if (begins)
		show_operation(lines, record);
	if (begins && lines->operation.has_header)
		return 0;
	lines->records++;
	show_record(lines, record);
	return 0;
}

/* What stood at a mark is still there, unless the files were replaced. */
static int read_stretch(struct lines *lines, dwal_reader *reader, const struct mark *mark,
			struct dwal_error *error)
{
	struct dwal_record record;
	dwal_iter *iter;
	int ret = dwal_reader_iterate(reader, mark->segment, mark->offset, &iter, error);

	if (ret)
		return ret;
	for (uint64_t i = 0; !ret && i < mark->records; i++) {
		ret = dwal_iter_next(iter, &record, error);
		if (ret == DWAL_END)
			ret = DWAL_EUNSTABLE;
		if (!ret)
			ret = add_record(lines, &record);
	}
	dwal_iter_close(iter);
	end_line(lines);
	return ret;
}

static void write_backwards(const struct lines *lines, uint64_t *left)
{
	size_t end = lines->len;

	for (size_t i = lines->count; i-- && *left && !ferror(stdout); --*left) {
		fwrite_unlocked(lines->text + lines->starts[i], 1, end - lines->starts[i], stdout);
		end = lines->starts[i];
	}
}

static int show_stretch(const struct args *args, dwal_reader *reader, const struct mark *mark,
			uint64_t *left, struct dwal_error *error)
{
	struct lines lines = {.args = args};
	int ret = -ENOMEM;

	lines.to = open_memstream(&lines.text, &lines.len);
	if (lines.to) {
		ret = read_stretch(&lines, reader, mark, error);
		if (fclose(lines.to) && !ret)
			ret = -ENOMEM;
	}
	if (!ret)
		write_backwards(&lines, left);
	free(lines.text);
	free(lines.starts);
	return ret;
}

static enum status show_all(const struct args *args, struct walk *walk, const struct marks *marks)
{
	struct dwal_error error = {0};
	uint64_t left = args->limit;

	for (size_t i = marks->count; i-- && left && !ferror(stdout);) {
		int ret = show_stretch(args, walk->reader, &marks->list[i], &left, &error);

		if (ret)
			return fail(walk->dir, ret, &error);
	}
	return DONE;
}

static enum status log_operations(const struct args *args, struct walk *walk, struct marks *marks)
{
	struct dwal_error error = {0};
	struct dwal_record record;
	enum status status, shown;
	int ret;

	do {
		ret = walk_next(walk, &record, &error);
		if (!ret)
			ret = mark_record(marks, &record);
	} while (!ret);
	if (ret != DWAL_END && ret != DWAL_ECORRUPT)
		return fail(walk->dir, ret, &error);
	status = walk_tell_damage(walk);
	shown = show_all(args, walk, marks);
	return shown != DONE || status == RECOVERABLE ? shown : status;
}

enum status cmd_log(const struct args *args)
{
	struct dwal_error error = {0};
	struct marks marks = {0};
	struct walk walk = {0};
	enum status status = check_log(args->operand[0], false);
	int ret;

	if (status != DONE)
		return status;
	ret = walk_open(&walk, args->operand[0], 0, 0, &error);
	status = ret ? fail(args->operand[0], ret, &error) : log_operations(args, &walk, &marks);
	free(marks.list);
	walk_close(&walk);
	return status;
}
