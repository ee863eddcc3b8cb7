/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Gathers the records of an operation, or some that are part of none, and writes
 * them at once. Records of which no header tells the time have that of their
 * segment, so they begin one where their source began one.
 */
#include "regroup.h"

#include "header.h"
#include "text.h"
#include "util.h"

#include <errno.h>

#define LOOSE_RECORDS 256 /* of no operation, at most in one write */
#define LOOSE_BYTES   (1u << 20)
#define SEGMENT_BYTES (64u << 20) /* a source that begins behind so many begins a segment */

static void forget(struct regroup *regroup)
{
	while (regroup->n > 0)
		free((void *)(uintptr_t)regroup->ops[--regroup->n].key.data); /* a copy */
	free(regroup->lines);
	free(regroup->text);
	regroup->lines = NULL;
	regroup->text = NULL;
	regroup->line_count = regroup->bytes = 0;
	regroup->in_operation = false;
}

void regroup_release(struct regroup *regroup)
{
	forget(regroup);
	free(regroup->ops);
	free(regroup->times);
}

static int rotate(struct regroup *regroup)
{
	int rc = dwal_log_rotate(regroup->log);

	if (!rc)
		regroup->written = 0;
	return rc;
}

int regroup_source(struct regroup *regroup, struct timespec mtime)
{
	int rc = regroup_flush(regroup);

	regroup->is_fresh = true;
	regroup->mtime = mtime;
	return !rc && regroup->written >= SEGMENT_BYTES ? rotate(regroup) : rc;
}

/* The active segment gets the time of the source, unless it has one already. */
static int keep_time(struct regroup *regroup)
{
	const uint32_t segment = dwal_log_active_segment(regroup->log);
	const size_t n = regroup->time_count;
	struct regroup_time *grown;

	if (n && regroup->times[n - 1].segment == segment)
		return 0;
	grown = reallocarray(regroup->times, n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	regroup->times = grown;
	grown[n] = (struct regroup_time){segment, regroup->mtime};
	regroup->time_count++;
	return 0;
}

static int write_loose(struct regroup *regroup, struct dwal_place *places)
{
	int rc = 0;

	if (regroup->is_fresh && regroup->written)
		rc = rotate(regroup);
	if (!rc && regroup->is_fresh)
		rc = keep_time(regroup);
	return rc ? rc : dwal_log_append(regroup->log, regroup->ops, regroup->n, places);
}

static int write_operation(struct regroup *regroup, struct dwal_place *places)
{
	regroup->incomplete += regroup->announced > regroup->n;
	return dwal_log_batch(regroup->log, regroup->ops, regroup->n, regroup->lines,
			      regroup->line_count, places);
}

int regroup_flush(struct regroup *regroup)
{
	const size_t n = regroup->n;
	cleanup_free struct dwal_place *places = calloc(n + 1, sizeof(*places));
	int rc = places ? 0 : -ENOMEM;

	if (n && !rc)
		rc = (regroup->in_operation ? write_operation : write_loose)(regroup, places);
	if (n && !rc) {
		regroup->records += n;
		regroup->written = places[n - 1].offset + places[n - 1].length;
		regroup->is_fresh = false;
	}
	forget(regroup);
	return rc;
}

/* One line of a header. One that cannot be written again is left out. */
static void add_line(struct regroup *regroup, struct text line, char **room)
{
	const size_t size = (size_t)(line.end - line.at) + 1;
	char *name = *room, *value;
	size_t name_len;

	if (!text_is_line(line, &name_len))
		return;
	value = name + name_len + 1;
	memcpy(name, line.at, name_len);
	name[name_len] = '\0';
	line.at += name_len + 1;
	if (!text_unescape(line, value, size - name_len))
		return;
	regroup->lines[regroup->line_count++] = (struct dwal_line){name, value};
	*room = value + strlen(value) + 1;
}

static int begin_operation(struct regroup *regroup, const struct dwal_header *header)
{
	struct text rest = text_of(header->lines);
	int rc = regroup_flush(regroup);
	char *room;

	if (rc)
		return rc;
	/* a line is three bytes at least, and needs one more than it has */
	regroup->lines = calloc(header->lines.len / 3 + 1, sizeof(*regroup->lines));
	regroup->text = room = malloc(2 * header->lines.len + 1);
	if (!regroup->lines || !room) {
		forget(regroup);
		return -ENOMEM;
	}
	while (rest.at < rest.end)
		add_line(regroup, text_take_line(&rest), &room);
	regroup->in_operation = true;
	regroup->txid = header->txid;
	regroup->announced = header->n;
	return 0;
}

static int make_room(struct regroup *regroup)
{
	const size_t room = regroup->room ? 2 * regroup->room : 16;
	struct dwal_op *grown;

	if (regroup->n < regroup->room)
		return 0;
	grown = reallocarray(regroup->ops, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	regroup->ops = grown;
	regroup->room = room;
	return 0;
}

static int keep(struct regroup *regroup, const struct dwal_record *record)
{
	unsigned char *copy = malloc(record->key.len + record->payload.len + 1);
	int rc = copy ? make_room(regroup) : -ENOMEM;

	if (rc) {
		free(copy);
		return rc;
	}
	put_bytes(put_bytes(copy, record->key), record->payload);
	regroup->ops[regroup->n++] =
		(struct dwal_op){record->type,
				 {copy, record->key.len},
				 {copy + record->key.len, record->payload.len}};
	regroup->bytes += record->length;
	return 0;
}

/* What names a txid would name another one. */
static bool names_a_txid(struct regroup *regroup, const struct dwal_record *record)
{
	const struct dwal_op op = {record->type, record->key, record->payload};
	struct dwal_horizon horizon;
	struct dwal_tag tag;
	bool is_horizon = dwal_horizon_parse(record, &horizon);

	regroup->has_horizon |= is_horizon;
	return is_horizon || dwal_tag_parse(record, &tag) || header_is_reserved(&op);
}

static bool belongs(const struct regroup *regroup, const struct dwal_record *record)
{
	if (regroup->in_operation)
		return record->txid == regroup->txid &&
		       (!regroup->announced || regroup->n < regroup->announced);
	return regroup->n < LOOSE_RECORDS && regroup->bytes < LOOSE_BYTES;
}

int regroup_add(struct regroup *regroup, const struct dwal_record *record)
{
	struct dwal_header header;
	int rc = 0;

	if (dwal_header_parse(record, &header))
		return begin_operation(regroup, &header);
	if (names_a_txid(regroup, record)) {
		regroup->left_out++;
		return 0;
	}
	if (!belongs(regroup, record))
		rc = regroup_flush(regroup);
	return rc ? rc : keep(regroup, record);
}
