/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The last of everything for each key, as of the txid whose state is to stay,
 * and how much lies below its last tombstone. Must not know segments but as
 * numbers, nor what becomes of a record that can go.
 */
#include "facts.h"
#include "keyed_hash.h"
#include "util.h"

#include <errno.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Of a value, or of an entry. A tombstone is a Delete, or the end of an entry.
 * Only what counts as of facts->keep is marked; all that lies below is counted,
 * since a tombstone hides it whatever its txid. */
struct fact {
	UT_hash_handle hh;
	struct mark last;       /* Put or Delete; entry or its end */
	struct mark attributes; /* attributes or Delete */
	struct mark tombstone;
	uint64_t below;  /* what the tombstone hides and is left */
	uint64_t behind; /* what the next one would hide beside that */
	uint64_t going;  /* of below, what can go in the round */
	uint32_t round;
	unsigned char key[];
};

void facts_init(struct facts *facts, uint64_t keep, uint64_t highest)
{
	*facts = (struct facts){
		.keep = keep ? keep : UINT64_MAX,
		.highest = highest,
		.hash_key = keyed_hash_key(),
		.lowest_damaged = UINT32_MAX,
	};
}

static void clear_table(struct fact **table)
{
	struct fact *fact = *table;

	HASH_CLEAR(hh, *table);
	while (fact) {
		struct fact *next = fact->hh.next;

		free(fact);
		fact = next;
	}
}

void facts_clear(struct facts *facts)
{
	clear_table(&facts->values);
	clear_table(&facts->entries);
}

void facts_release(struct facts *facts)
{
	facts_clear(facts);
	free(facts->accepted);
	facts->accepted = NULL;
}

static unsigned hash(const struct facts *facts, struct dwal_bytes key)
{
	return (unsigned)keyed_hash(facts->hash_key, key.data, key.len);
}

static struct fact *find(const struct facts *facts, struct fact *table, struct dwal_bytes key)
{
	const void *bytes = key.len ? key.data : ""; /* memcmp must not see NULL */
	struct fact *fact;

	HASH_FIND_BYHASHVALUE(hh, table, bytes, key.len, hash(facts, key), fact);
	return fact;
}

/* NULL: no memory. */
static struct fact *find_or_add(const struct facts *facts, struct fact **table,
				struct dwal_bytes key)
{
	struct fact *fact = find(facts, *table, key);

	if (fact)
		return fact;
	fact = calloc(1, sizeof(*fact) + key.len);
	if (!fact)
		return NULL;
	put_bytes(fact->key, key);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, *table, fact->key, key.len, hash(facts, key), fact);
	if (fact->hh.tbl)
		return fact;
	free(fact);
	return NULL;
}

/* What a record is, seen from its key. */
enum role { NOTHING, CONTENT, ATTRIBUTES, TOMBSTONE };

static enum role role_of(const struct dwal_record *record, enum dwal_raw_kind kind)
{
	if (record->type == DWAL_PUT)
		return CONTENT;
	if (record->type == DWAL_DELETE)
		return TOMBSTONE;
	switch (kind) {
	case DWAL_RAW_ATTRIBUTES:
		return ATTRIBUTES;
	case DWAL_RAW_ENTRY:
		return CONTENT;
	case DWAL_RAW_ENTRY_END:
		return TOMBSTONE;
	case DWAL_RAW_TIME:
	case DWAL_RAW_OTHER:
		break;
	}
	return NOTHING;
}

static struct fact **table_of(struct facts *facts, enum dwal_raw_kind kind)
{
	return kind == DWAL_RAW_ENTRY || kind == DWAL_RAW_ENTRY_END ? &facts->entries
								    : &facts->values;
}

static struct mark mark_of(const struct dwal_record *record)
{
	return (struct mark){true, record->segment, record->offset, record->txid};
}

static void mark_tombstone(struct fact *fact, struct mark mark)
{
	fact->last = fact->attributes = fact->tombstone = mark;
	fact->below += fact->behind;
	fact->behind = 0;
}

int facts_add(struct facts *facts, const struct dwal_record *record, enum dwal_raw_kind kind,
	      bool is_live)
{
	const enum role role = role_of(record, kind);
	const bool counts = record->txid <= facts->keep;
	const struct mark mark = mark_of(record);
	struct fact **table = table_of(facts, kind), *fact;

	if (role == NOTHING)
		return 0;
	fact = is_live ? find(facts, *table, record->key) : find_or_add(facts, table, record->key);
	if (!fact)
		return is_live ? 0 : -ENOMEM;
	if (role != TOMBSTONE)
		fact->behind++;
	if (!counts)
		return 0;
	if (role == TOMBSTONE)
		mark_tombstone(fact, mark);
	else if (role == ATTRIBUTES)
		fact->attributes = mark;
	else
		fact->last = mark;
	return 0;
}

int facts_begin(struct facts *facts)
{
	size_t room = facts->rounds ? 2 * facts->rounds : 64;
	bool *grown;

	if (++facts->round < facts->rounds) {
		facts->accepted[facts->round] = false;
		return 0;
	}
	grown = realloc(facts->accepted, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	facts->accepted = grown;
	facts->rounds = room;
	facts->accepted[facts->round] = false;
	return 0;
}

void facts_accept(struct facts *facts)
{
	facts->accepted[facts->round] = true;
}

/* Takes what went in an earlier round off what is left. */
static void settle(const struct facts *facts, struct fact *fact)
{
	if (fact->round == facts->round)
		return;
	if (fact->going && facts->accepted[fact->round])
		fact->below -= fact->going;
	fact->going = 0;
	fact->round = facts->round;
}

static bool is_before(const struct dwal_record *record, const struct mark *mark)
{
	if (!mark->is)
		return false;
	return record->segment != mark->segment ? record->segment < mark->segment
						: record->offset < mark->offset;
}

static struct judgement stays(void)
{
	return (struct judgement){0};
}

static struct judgement superseded(struct mark by)
{
	return (struct judgement){true, true, by.txid};
}

/* An entry's end is superseded by the next entry as well. The last tombstone
 * may go when there is nothing left that it hides: no state
 * changes by that. What a damaged segment below holds is not known. */
static struct judgement judge_tombstone(const struct facts *facts, const struct fact *fact,
					const struct dwal_record *record, enum dwal_raw_kind kind)
{
	const struct mark *by = kind == DWAL_RAW_ENTRY_END ? &fact->last : &fact->tombstone;

	if (is_before(record, by))
		return superseded(*by);
	if (!fact->tombstone.is || fact->tombstone.segment != record->segment ||
	    fact->tombstone.offset != record->offset)
		return stays();
	return (struct judgement){.can_go = fact->below == fact->going &&
					    facts->lowest_damaged >= record->segment};
}

static struct judgement judge_content(const struct fact *fact, const struct dwal_record *record,
				      const struct mark *by, const struct mark *live)
{
	if (is_before(record, by))
		return superseded(*by);
	return is_before(record, live) ? superseded(*live) : stays();
}

struct judgement facts_judge(struct facts *facts, const struct dwal_record *record,
			     enum dwal_raw_kind kind, const struct mark *live)
{
	static const struct mark none;
	const enum role role = role_of(record, kind);
	struct fact *fact = find(facts, *table_of(facts, kind), record->key);
	struct judgement judgement;

	if (role == NOTHING || record->txid == facts->highest)
		return stays();
	if (!live->is || live->txid > facts->keep)
		live = &none;
	if (!fact)
		return role == CONTENT && is_before(record, live) ? superseded(*live) : stays();
	settle(facts, fact);
	if (role == TOMBSTONE)
		return judge_tombstone(facts, fact, record, kind);
	if (role == ATTRIBUTES)
		judgement = judge_content(fact, record, &fact->attributes, &none);
	else
		judgement = judge_content(fact, record, &fact->last, live);
	if (judgement.can_go && is_before(record, &fact->tombstone))
		fact->going++;
	return judgement;
}
