/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a log says of its keys as a whole: what makes a record superfluous.
 * The rules are those of contrib/formal, obligations 9 to 11. Is told every
 * record of the log once, in log order, then judges. Pure: knows no file.
 */
#ifndef DWAL_FACTS_H
#define DWAL_FACTS_H

#include "datawal.h"
#include "slabs.h"
#include "slots.h"

/* By key. */
struct facts_table {
	struct slots slots; /* where the facts are */
	struct slabs slabs; /* the facts */
};

struct facts {
	uint64_t keep;              /* states as of this txid and of later ones stay right */
	uint64_t highest;           /* txid: its records stay */
	uint64_t hash_key;          /* of the tables below */
	struct facts_table values;  /* what has been said of the value of a key */
	struct facts_table entries; /* of the thing of its own under the key */
	uint32_t lowest_damaged;    /* segment; UINT32_MAX: none */
	uint32_t round;             /* number of the segment that is being judged, from 1 */
	bool *accepted;             /* of a round: what could go in it went */
	size_t rounds;              /* room of that */
};

/* keep: 0 for the present only. highest: the highest txid of the log. */
void facts_init(struct facts *facts, uint64_t keep, uint64_t highest);
void facts_release(struct facts *facts);

/* Forgets what was told. */
void facts_clear(struct facts *facts);

/* One record. is_live: it is the value of its key now, which needs no memory.
 * 0 or -ENOMEM. */
int facts_add(struct facts *facts, const struct dwal_record *record, enum dwal_raw_kind kind,
	      bool is_live);

/* What is judged next is a segment: all its records in order. 0 or -ENOMEM. */
int facts_begin(struct facts *facts);

/* What was found superfluous in it goes. */
void facts_accept(struct facts *facts);

/* Where a record, or nothing, stands. */
struct mark {
	bool is;
	uint32_t segment;
	uint64_t offset, txid;
};

struct judgement {
	bool can_go;
	bool makes_past; /* and then states before it was superseded are not right any more: */
	uint64_t by;     /* the txid of what supersedes it */
};

/* On a record. live: the value of its key, if that may be relied on; for a
 * Put. */
struct judgement facts_judge(struct facts *facts, const struct dwal_record *record,
			     enum dwal_raw_kind kind, const struct mark *live);

#endif
