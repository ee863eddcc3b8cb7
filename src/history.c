/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Which operation a record belongs to, the versions of one key, and which states
 * of it a compaction has given up. Must not know where the records come from, nor
 * read a value.
 */
#include "util.h"

#include <errno.h>

struct dwal_history {
	void *key;
	size_t key_len;
	struct dwal_operation operation; /* of the record before */
	struct dwal_version *versions;
	size_t count, room;
	struct dwal_horizon *horizons;
	size_t horizon_count, horizon_room;
	uint64_t highest; /* txid */
};

static void take_line(const struct dwal_header *header, const char *name, char *out, size_t size)
{
	if (!dwal_header_line(header, name, out, size))
		out[0] = '\0';
}

bool dwal_operation_add(struct dwal_operation *operation, const struct dwal_record *record)
{
	struct dwal_header header;
	bool is_header = dwal_header_parse(record, &header);

	if (!is_header && operation->has_header && operation->txid == record->txid)
		return false;
	*operation = (struct dwal_operation){.txid = record->txid, .has_header = is_header};
	if (is_header) {
		operation->n = header.n;
		take_line(&header, "time", operation->time, sizeof(operation->time));
		take_line(&header, "op", operation->op, sizeof(operation->op));
	}
	return true;
}

int dwal_history_open(const void *key, size_t key_len, dwal_history **out)
{
	dwal_history *history = calloc(1, sizeof(*history));

	if (history && key)
		history->key = malloc(key_len ? key_len : 1);
	if (!history || (key && !history->key)) {
		dwal_history_close(history);
		return -ENOMEM;
	}
	if (key && key_len)
		memcpy(history->key, key, key_len);
	history->key_len = key_len;
	*out = history;
	return 0;
}

void dwal_history_close(dwal_history *history)
{
	if (!history)
		return;
	free(history->key);
	free(history->versions);
	free(history->horizons);
	free(history);
}

/* The list with room for one more, or NULL: out of memory. */
static void *with_room(void *list, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 16;

	if (count < *room)
		return list;
	list = reallocarray(list, more, size);
	if (list)
		*room = more;
	return list;
}

static bool is_version(const dwal_history *history, const struct dwal_record *record)
{
	return record->type != DWAL_RAW && history->key && record->key.len == history->key_len &&
	       (!history->key_len || memcmp(record->key.data, history->key, history->key_len) == 0);
}

static int add_version(dwal_history *history, const struct dwal_record *record)
{
	struct dwal_version *version =
		with_room(history->versions, history->count, &history->room, sizeof(*version));

	if (!version)
		return -ENOMEM;
	history->versions = version;
	version += history->count++;
	*version = (struct dwal_version){
		.record = *record,
		.operation = history->operation,
	};
	version->record.key.data = version->record.payload.data = NULL; /* not ours to keep */
	return 0;
}

static int add_horizon(dwal_history *history, struct dwal_horizon horizon)
{
	struct dwal_horizon *grown = with_room(history->horizons, history->horizon_count,
					       &history->horizon_room, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	history->horizons = grown;
	grown[history->horizon_count++] = horizon;
	return 0;
}

int dwal_history_add(dwal_history *history, const struct dwal_record *record)
{
	struct dwal_horizon horizon;

	(void)dwal_operation_add(&history->operation, record); /* its lines are taken above */
	if (record->txid > history->highest)
		history->highest = record->txid;
	if (dwal_horizon_parse(record, &horizon) && horizon.lo < horizon.hi)
		return add_horizon(history, horizon);
	return is_version(history, record) ? add_version(history, record) : 0;
}

size_t dwal_history_versions(const dwal_history *history, const struct dwal_version **out)
{
	*out = history->versions;
	return history->count;
}

int dwal_history_has(const dwal_history *history, uint64_t txid)
{
	if (txid > history->highest)
		return DWAL_EHORIZON;
	for (size_t i = 0; i < history->horizon_count; i++)
		if (history->horizons[i].lo <= txid && txid < history->horizons[i].hi)
			return DWAL_EHORIZON;
	return 0;
}

uint64_t dwal_history_complete_from(const dwal_history *history)
{
	uint64_t from = 0;

	for (size_t i = 0; i < history->horizon_count; i++)
		if (history->horizons[i].hi > from)
			from = history->horizons[i].hi;
	return from;
}

uint64_t dwal_history_highest(const dwal_history *history)
{
	return history->highest;
}

int dwal_history_as_of(const dwal_history *history, uint64_t txid, struct dwal_version *out)
{
	size_t i = history->count;
	int rc = dwal_history_has(history, txid);

	if (rc)
		return rc;
	while (i && history->versions[i - 1].record.txid > txid)
		i--;
	if (!i || history->versions[i - 1].record.type != DWAL_PUT)
		return DWAL_ABSENT;
	*out = history->versions[i - 1];
	return 0;
}
