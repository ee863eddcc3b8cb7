/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a log says of the past, naively: all its records in memory, and the
 * state as of any txid folded from them. For tests of what drops records.
 *
 * Attributes here are Raw records whose payload begins with "attr", things of
 * their own with "dir", their ends with "none", times with "clock".
 */
#ifndef PAST_H
#define PAST_H

#include "store.h"

#define PAST_RECORDS 4096

struct past_record {
	enum dwal_type type;
	uint32_t segment;
	uint64_t txid;
	char key[16], payload[256];
};

struct past {
	size_t n, horizon_count;
	struct past_record of[PAST_RECORDS];
	struct dwal_horizon horizons[PAST_RECORDS];
};

static inline enum dwal_raw_kind past_kind(void *ctx, const struct dwal_record *record)
{
	static const struct {
		const char *head;
		enum dwal_raw_kind kind;
	} kinds[] = {{"attr", DWAL_RAW_ATTRIBUTES},
		     {"dir", DWAL_RAW_ENTRY},
		     {"none", DWAL_RAW_ENTRY_END},
		     {"clock", DWAL_RAW_TIME}};

	for (size_t i = 0; i < 4; i++)
		if (record->payload.len >= strlen(kinds[i].head) &&
		    memcmp(record->payload.data, kinds[i].head, strlen(kinds[i].head)) == 0)
			return kinds[i].kind;
	return DWAL_RAW_OTHER;
}

static inline enum dwal_raw_kind past_kind_of(const struct past_record *record)
{
	const struct dwal_record raw = {.type = record->type,
					.payload = {record->payload, strlen(record->payload)}};

	return record->type == DWAL_RAW ? past_kind(NULL, &raw) : DWAL_RAW_OTHER;
}

static inline void past_copy(char *out, size_t size, struct dwal_bytes bytes)
{
	CHECK(bytes.len < size);
	memcpy(out, bytes.data ? bytes.data : "", bytes.len);
	out[bytes.len] = '\0';
}

/* By the lock-free reader, whatever else is going on. */
static inline void past_read(struct past *past)
{
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter;
	int err;

	past->n = past->horizon_count = 0;
	CHECK_INT(dwal_reader_open(dir.path, &reader, &error), 0);
	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, &error), 0);
	while ((err = dwal_iter_next(iter, &record, &error)) == 0) {
		struct past_record *at = &past->of[past->n++];

		CHECK(past->n < PAST_RECORDS);
		*at = (struct past_record){record.type, record.segment, record.txid, "", ""};
		past_copy(at->key, sizeof(at->key), record.key);
		past_copy(at->payload, sizeof(at->payload), record.payload);
		if (dwal_horizon_parse(&record, &past->horizons[past->horizon_count]))
			past->horizon_count++;
	}
	CHECK_INT(err, DWAL_END);
	dwal_iter_close(iter);
	dwal_reader_close(reader);
}

static inline bool past_covers(const struct past *past, uint64_t txid)
{
	for (size_t i = 0; i < past->horizon_count; i++)
		if (past->horizons[i].lo <= txid && txid < past->horizons[i].hi)
			return true;
	return false;
}

/* What shows of a key as of a txid; NULL: nothing. */
struct past_state {
	const char *value, *attributes, *entry;
};

static inline struct past_state past_state(const struct past *past, const char *key, uint64_t txid)
{
	struct past_state state = {0};

	for (size_t i = 0; i < past->n; i++) {
		const struct past_record *at = &past->of[i];
		enum dwal_raw_kind kind = past_kind_of(at);

		if (at->txid > txid || strcmp(at->key, key) != 0)
			continue;
		if (at->type == DWAL_PUT)
			state.value = at->payload;
		else if (at->type == DWAL_DELETE)
			state.value = state.attributes = NULL;
		else if (kind == DWAL_RAW_ATTRIBUTES)
			state.attributes = at->payload;
		else if (kind == DWAL_RAW_ENTRY)
			state.entry = at->payload;
		else if (kind == DWAL_RAW_ENTRY_END)
			state.entry = NULL;
	}
	if (!state.value)
		state.attributes = NULL;
	return state;
}

static inline bool past_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static inline bool past_states_equal(const struct past_state *a, const struct past_state *b)
{
	return past_same(a->value, b->value) && past_same(a->attributes, b->attributes) &&
	       past_same(a->entry, b->entry);
}

static inline bool past_is_header(const struct past_record *record)
{
	return record->type == DWAL_RAW && strcmp(record->key, "datawal.batch") == 0;
}

/* The time that a record is taken to be of: by the header of its operation, the
 * last teller before it in its segment, a clock before that, or the first header
 * of the segment that tells of when that was found; "" for none. */
static inline const char *past_time(const struct past *past, size_t i)
{
	const char *by_clock = "";
	bool by_header = false;

	for (size_t k = 0; k <= i; k++) {
		const struct past_record *at = &past->of[k];

		if (k && at->segment != past->of[k - 1].segment && by_header) {
			by_clock = "";
			by_header = false;
		}
		if (past_is_header(at) && strstr(at->payload, "time=")) {
			by_clock = strstr(at->payload, "time=");
			by_header = true;
		} else if (past_kind_of(at) == DWAL_RAW_TIME) {
			by_clock = at->payload;
			by_header = false;
		}
	}
	if (*by_clock)
		return by_clock;
	for (size_t k = i; k < past->n && past->of[k].segment == past->of[i].segment; k++)
		if (past_is_header(&past->of[k]) && strstr(past->of[k].payload, "found="))
			return strstr(past->of[k].payload, "found=");
	return "";
}

/* Compaction in place. */
static const struct dwal_rewrite_options plain = {.raw_kind = past_kind};

static inline void write_one(dwal_kv *kv, enum dwal_type type, const char *key, const char *payload)
{
	const struct dwal_op op = {type, {key, strlen(key)}, {payload, strlen(payload)}};

	CHECK_INT(dwal_kv_batch(kv, &op, 1, NULL, 0, NULL), 0);
}

static inline struct dwal_rewrite_stats compact(dwal_kv *kv,
						const struct dwal_rewrite_options *options)
{
	struct dwal_rewrite_stats stats;
	int err = dwal_kv_compact(kv, options, &stats, &error);

	if (err)
		fprintf(stderr, "compact: %s\n", error.message);
	CHECK_INT(err, 0);
	return stats;
}

static inline void rotate(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_rotate(kv), 0);
}

#endif
