/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The tags of a log: which name stands for which txid now, and of which of these
 * the state is not to be had any more. Pure: not thread-safe; its user locks.
 */
#ifndef DWAL_TAGS_H
#define DWAL_TAGS_H

#include "datawal.h"

struct tag;

/* Zero is ready: none. */
struct tags {
	struct tag *of;
	size_t n;
	struct dwal_horizon *gone;
	size_t gone_n;
	bool lost; /* there was no memory for one: nobody knows which */
};

/* Takes in a record of the log, in log order, if it is a tag or a horizon. */
void tags_note(struct tags *tags, const struct dwal_record *record);

/* A compaction has given these states up. Without memory for that a tag among
 * them is one like any other. */
void tags_give_up(struct tags *tags, struct dwal_horizon horizon);

void tags_release(struct tags *tags);

/* The lowest txid that has a name, and its state; UINT64_MAX for none, 0 where that
 * is not known. */
uint64_t tags_lowest(const struct tags *tags);

#endif
