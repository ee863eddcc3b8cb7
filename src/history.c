/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Which operation a record belongs to, and the versions of one key. Must not
 * know where the records come from, nor read a value.
 */
#include "util.h"

#include <errno.h>

struct dwal_history {
	void *key;
	size_t key_len;
	struct dwal_operation operation; /* of the record before */
	struct dwal_version *versions;
	size_t count, room;
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

	if (history)
		history->key = malloc(key_len ? key_len : 1);
	if (!history || !history->key) {
		dwal_history_close(history);
		return -ENOMEM;
	}
	if (key_len)
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
	free(history);
}

static int make_room(dwal_history *history)
{
	size_t room = history->room ? 2 * history->room : 16;
	struct dwal_version *versions;

	if (history->count < history->room)
		return 0;
	versions = reallocarray(history->versions, room, sizeof(*versions));
	if (!versions)
		return -ENOMEM;
	history->versions = versions;
	history->room = room;
	return 0;
}

static bool is_version(const dwal_history *history, const struct dwal_record *record)
{
	return record->type != DWAL_RAW && record->key.len == history->key_len &&
	       (!history->key_len || memcmp(record->key.data, history->key, history->key_len) == 0);
}

int dwal_history_add(dwal_history *history, const struct dwal_record *record)
{
	struct dwal_version *version;
	int err;

	(void)dwal_operation_add(&history->operation, record); /* its lines are taken below */
	if (!is_version(history, record))
		return 0;
	err = make_room(history);
	if (err)
		return err;
	version = &history->versions[history->count++];
	*version = (struct dwal_version){
		.record = *record,
		.operation = history->operation,
	};
	version->record.key.data = version->record.payload.data = NULL; /* not ours to keep */
	return 0;
}

size_t dwal_history_versions(const dwal_history *history, const struct dwal_version **out)
{
	*out = history->versions;
	return history->count;
}

int dwal_history_as_of(const dwal_history *history, uint64_t txid, struct dwal_version *out)
{
	size_t i = history->count;

	while (i && history->versions[i - 1].record.txid > txid)
		i--;
	if (!i || history->versions[i - 1].record.type != DWAL_PUT)
		return DWAL_ABSENT;
	*out = history->versions[i - 1];
	return 0;
}
