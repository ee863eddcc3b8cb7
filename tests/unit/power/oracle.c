/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Comparing what is found in a log with what was done to it.
 */
#include "oracle.h"
#include "unit.h"

uint32_t oracle_crc(const void *data, size_t len)
{
	return dwal_crc32c(0, data, len);
}

static char kind_of(enum dwal_type type, struct dwal_bytes payload)
{
	char first = payload.len ? *(const char *)payload.data : ' ';

	return type == DWAL_RAW && memchr("AEX", first, 3) ? first : ' ';
}

static struct oracle_record record_of(enum dwal_type type, struct dwal_bytes key,
				      struct dwal_bytes payload)
{
	return (struct oracle_record){
		.type = type,
		.kind = kind_of(type, payload),
		.key = oracle_crc(key.data, key.len),
		.payload = oracle_crc(payload.data, payload.len),
		.payload_len = (uint32_t)payload.len,
	};
}

void oracle_copy(struct oracle *out, const struct oracle *oracle)
{
	memcpy(out, oracle,
	       offsetof(struct oracle, events) + oracle->count * sizeof(oracle->events[0]));
}

void oracle_begin(struct oracle *oracle, const struct dwal_op *ops, size_t n, bool has_header)
{
	struct oracle_event *event = &oracle->events[oracle->count];

	CHECK(oracle->count < ORACLE_EVENTS && n <= ORACLE_RECORDS);
	oracle->count++;
	event->has_header = has_header;
	event->n = event->announced = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		event->records[i] = record_of(ops[i].type, ops[i].key, ops[i].payload);
}

void oracle_recover(struct oracle *oracle, const struct oracle_found *found)
{
	oracle->count = oracle->returned = oracle->acked = found->events;
	if (found->events < oracle->tag_event)
		oracle->tag = oracle->tag_event = 0;
	if (found->lone_header)
		oracle->events[found->events - 1].n = 0;
}

void oracle_see(struct oracle_seen *seen, const struct dwal_record *record)
{
	struct oracle_record *next = &seen->list[seen->n++];
	struct dwal_horizon horizon;
	struct dwal_header header;

	CHECK(seen->n <= ORACLE_SEEN);
	*next = record_of(record->type, record->key, record->payload);
	next->txid = record->txid;
	if (dwal_header_parse(record, &header)) {
		next->kind = 'H';
		next->n = header.n;
	}
	if (dwal_horizon_parse(record, &horizon)) {
		next->kind = 'Z';
		next->lo = horizon.lo;
		next->hi = horizon.hi;
	}
}

static bool is_same(const struct oracle_record *a, const struct oracle_record *b)
{
	return a->type == b->type && a->kind == b->kind && a->key == b->key &&
	       a->payload == b->payload && a->payload_len == b->payload_len;
}

/* Nothing may be missing. */
static const char *judge_whole(const struct oracle *oracle, const struct oracle_seen *seen,
			       struct oracle_found *found)
{
	size_t at = 0;
	unsigned i;

	*found = (struct oracle_found){0};

	for (i = 0; i < oracle->count && at < seen->n; i++) {
		const struct oracle_event *event = &oracle->events[i];

		if (event->has_header) {
			if (seen->list[at].kind != 'H' || seen->list[at].n != event->announced)
				return "not the header that was written";
			if (seen->list[at++].txid != i + 1)
				return "a header with another txid";
		}
		found->lone_header = at == seen->n && event->has_header && event->n == 1;
		for (unsigned k = 0; k < event->n && !found->lone_header; k++, at++) {
			if (at == seen->n)
				return "an operation that is not whole";
			if (!is_same(&seen->list[at], &event->records[k]))
				return "a record that was not written there";
			if (seen->list[at].txid != i + 1)
				return "a record with another txid";
		}
	}
	found->events = i;
	return at < seen->n ? "a record that was never written" : NULL;
}

static bool is_refused(const struct oracle_seen *seen, uint64_t txid)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->list[i].kind == 'Z' && seen->list[i].lo <= txid &&
		    txid < seen->list[i].hi)
			return true;
	return false;
}

/* What a record is to one kind of state: 1 the state, -1 the end of it, 0 none
 * of its business. */
static int says(const struct oracle_record *record, char kind)
{
	if (kind == 'E')
		return record->kind == 'E' ? 1 : record->kind == 'X' ? -1 : 0;
	if (record->type == DWAL_DELETE)
		return -1;
	return kind == 'A' ? record->kind == 'A' : record->type == DWAL_PUT;
}

/* The value, the attributes or the entry that a key has as of a txid; NULL: none. */
static const struct oracle_record *as_of(const struct oracle_seen *seen, uint64_t txid,
					 uint32_t key, char kind)
{
	const struct oracle_record *value = NULL;

	for (size_t i = 0; i < seen->n; i++) {
		const struct oracle_record *record = &seen->list[i];

		if (record->txid > txid || record->key != key)
			continue;
		if (says(record, kind))
			value = says(record, kind) > 0 ? record : NULL;
	}
	return value;
}

/* All that was written in the first events, as if it had been found. */
static void all_of(const struct oracle *oracle, unsigned events, struct oracle_seen *out)
{
	out->n = 0;
	for (unsigned i = 0; i < events; i++)
		for (unsigned k = 0; k < oracle->events[i].n; k++) {
			CHECK(out->n < ORACLE_SEEN);
			out->list[out->n] = oracle->events[i].records[k];
			out->list[out->n++].txid = i + 1;
		}
}

static bool is_right_as_of(const struct oracle_seen *all, const struct oracle_seen *seen,
			   uint64_t txid)
{
	for (size_t i = 0; i < all->n; i++) {
		for (const char *kind = "PAE"; *kind; kind++) {
			uint32_t key = all->list[i].key;
			const struct oracle_record *wanted = as_of(all, txid, key, *kind);
			const struct oracle_record *got = as_of(seen, txid, key, *kind);

			if (!wanted != !got || (wanted && !is_same(wanted, got)))
				return false;
		}
	}
	return true;
}

/* Each record that was found is one that was written, in that order; what
 * belongs to nobody is all there. */
static const char *judge_order(const struct oracle_seen *all, const struct oracle_seen *seen)
{
	size_t at = 0;

	for (size_t i = 0; i < seen->n; i++) {
		const struct oracle_record *record = &seen->list[i];

		if (record->kind == 'H' || record->kind == 'Z')
			continue;
		for (; at < all->n; at++) {
			if (all->list[at].txid == record->txid && is_same(&all->list[at], record))
				break;
			if (all->list[at].type == DWAL_RAW && all->list[at].kind == ' ')
				return "a Raw record of nobody's was dropped";
		}
		if (at++ == all->n)
			return "a record that was not written there";
	}
	for (; at < all->n; at++)
		if (all->list[at].type == DWAL_RAW && all->list[at].kind == ' ')
			return "a Raw record of nobody's was dropped";
	return NULL;
}

/* A header stays as long as one of its records, or of what follows from it. */
static const char *judge_headers(const struct oracle *oracle, const struct oracle_seen *seen)
{
	uint64_t last = 0;

	for (size_t i = 0; i < seen->n; i++) {
		const struct oracle_record *record = &seen->list[i];

		if (record->kind == 'Z')
			continue;
		if (!record->txid || record->txid > oracle->count)
			return "a txid that was never given";
		/* the record of a header that announces one may be missing */
		for (uint64_t k = 1; record->kind == 'H' && record->n > 1 && k <= record->n; k++)
			if (i + k >= seen->n || seen->list[i + k].txid != record->txid)
				return "a header announces what has gone";
		if (record->kind == 'H')
			last = record->txid;
		else if (oracle->events[record->txid - 1].has_header && last != record->txid)
			return "a record without its header";
	}
	return NULL;
}

/* The header of one record, which a crash has left without it. */
static bool is_lone(const struct oracle *oracle, const struct oracle_record *last, uint64_t highest)
{
	return last && last->kind == 'H' && last->n == 1 && oracle->events[highest - 1].n == 1;
}

static const char *judge_compacted(const struct oracle *oracle, const struct oracle_seen *seen,
				   struct oracle_found *found)
{
	const struct oracle_record *last = seen->n ? &seen->list[seen->n - 1] : NULL;
	static struct oracle_seen all;
	uint64_t highest = 0;
	const char *wrong = judge_headers(oracle, seen);

	for (size_t i = 0; i < seen->n; i++)
		highest = seen->list[i].txid > highest ? seen->list[i].txid : highest;
	if (wrong)
		return wrong;
	*found = (struct oracle_found){
		.events = (unsigned)highest,
		.lone_header = is_lone(oracle, last, highest),
	};
	all_of(oracle, found->events - found->lone_header, &all);
	wrong = judge_order(&all, seen);
	if (wrong)
		return wrong;
	if (is_refused(seen, highest))
		return "the present is refused by a horizon";
	for (uint64_t txid = 1; txid <= highest; txid++)
		if (txid >= oracle->keep && is_refused(seen, txid))
			return "a state that was to stay is refused";
		else if (!is_refused(seen, txid) && !is_right_as_of(&all, seen, txid))
			return txid == highest ? "the present is not what was written"
					       : "a state of the past is wrong and not refused";
	return NULL;
}

const char *oracle_judge(const struct oracle *oracle, const struct oracle_seen *seen, unsigned must,
			 struct oracle_found *found)
{
	const char *wrong = oracle->compacts ? judge_compacted(oracle, seen, found)
					     : judge_whole(oracle, seen, found);

	if (wrong)
		return wrong;
	return found->events - found->lone_header < must ? "what was acknowledged is not there"
							 : NULL;
}

const struct oracle_record *oracle_value(const struct oracle *oracle, unsigned events, uint32_t key)
{
	const struct oracle_record *value = NULL;

	for (unsigned i = 0; i < events; i++)
		for (unsigned k = 0; k < oracle->events[i].n; k++) {
			const struct oracle_record *record = &oracle->events[i].records[k];

			if (record->key != key || record->type == DWAL_RAW)
				continue;
			value = record->type == DWAL_PUT ? record : NULL;
		}
	return value;
}

size_t oracle_live(const struct oracle *oracle, struct oracle_record *out, size_t room)
{
	size_t n = 0;

	for (unsigned i = 0; i < oracle->returned; i++)
		for (unsigned k = 0; k < oracle->events[i].n; k++) {
			const struct oracle_record *record = &oracle->events[i].records[k];

			/* each live key once: where its last Put stands */
			if (record->type != DWAL_PUT ||
			    oracle_value(oracle, oracle->returned, record->key) != record)
				continue;
			CHECK(n < room);
			out[n++] = *record;
		}
	return n;
}

uint64_t oracle_hash(const struct oracle *oracle)
{
	uint64_t hash = ((uint64_t)oracle->count << 32) + ((uint64_t)oracle->returned << 16) +
			oracle->acked;

	for (unsigned i = 0; i < oracle->count; i++)
		for (unsigned k = 0; k < oracle->events[i].n; k++) {
			const struct oracle_record *record = &oracle->events[i].records[k];

			hash = (hash ^ record->payload ^ (uint64_t)record->key << 32) *
				       0x9e3779b97f4a7c15 +
			       record->type;
			hash ^= hash >> 31;
		}
	return hash;
}
