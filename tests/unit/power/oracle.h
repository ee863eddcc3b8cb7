/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What was done to a log, and whether what is found in it is right. An event
 * is what is there as a whole or not at all; the i-th (from 0) has txid i + 1.
 */
#ifndef POWER_ORACLE_H
#define POWER_ORACLE_H

#include "datawal.h"

#define ORACLE_EVENTS  64
#define ORACLE_RECORDS 8
#define ORACLE_SEEN    512

/* One record as it was given, or as it was found. Keys and payloads are known
 * by their CRC. */
struct oracle_record {
	enum dwal_type type;
	char kind; /* 'A' attributes, 'E' entry, 'X' its end, 'H' header, 'Z' horizon, ' ' anything
		      else */
	uint32_t key, payload, payload_len;
	uint64_t txid;
	uint64_t lo, hi; /* of a horizon */
	uint64_t n;      /* of a header */
};

struct oracle_event {
	bool has_header;
	unsigned announced; /* by the header */
	unsigned n;
	struct oracle_record records[ORACLE_RECORDS];
};

/* How much of it there is. */
struct oracle_found {
	unsigned events;
	bool lone_header; /* the last is a header that announces one record, which is missing:
			   * such a one is not judged */
};

struct oracle {
	unsigned count;     /* that may be there */
	unsigned returned;  /* that are written, since the call has said so */
	unsigned acked;     /* that are durable, since a sync has said so */
	bool compacts;      /* superseded records may be gone */
	uint64_t keep;      /* but what states as of this txid and later ones need */
	uint64_t tag;       /* which is held back by this one; 0: none */
	unsigned tag_event; /* so many events are there with it */
	struct oracle_event events[ORACLE_EVENTS]; /* last: oracle_copy() */
};

struct oracle_seen {
	struct oracle_record list[ORACLE_SEEN];
	size_t n;
};

void oracle_copy(struct oracle *out, const struct oracle *oracle);

/* The next event is about to be written. */
void oracle_begin(struct oracle *oracle, const struct dwal_op *ops, size_t n, bool has_header);

/* What was found is all there is, and durable. */
void oracle_recover(struct oracle *oracle, const struct oracle_found *found);

void oracle_see(struct oracle_seen *seen, const struct dwal_record *record);

/* NULL, and what was found; or what is wrong. must: so many events. */
const char *oracle_judge(const struct oracle *oracle, const struct oracle_seen *seen, unsigned must,
			 struct oracle_found *found);

/* The value that a key has after so many events; NULL: none. */
const struct oracle_record *oracle_value(const struct oracle *oracle, unsigned events,
					 uint32_t key);

/* All values after what is written; how many there are, at most room. */
size_t oracle_live(const struct oracle *oracle, struct oracle_record *out, size_t room);

uint64_t oracle_hash(const struct oracle *oracle);
uint32_t oracle_crc(const void *data, size_t len);

#endif
