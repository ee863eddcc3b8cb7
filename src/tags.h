/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The tags of a log: which name stands for which txid now. Pure: not
 * thread-safe; its user locks.
 */
#ifndef DWAL_TAGS_H
#define DWAL_TAGS_H

#include "datawal.h"

struct tag;

/* Zero is ready: none. */
struct tags {
	struct tag *of;
	size_t n;
	bool lost; /* there was no memory for one: nobody knows which */
};

/* Takes in a record of the log, in log order, if it is a tag. */
void tags_note(struct tags *tags, const struct dwal_record *record);
void tags_release(struct tags *tags);

/* The lowest txid that has a name; UINT64_MAX for none, 0 where that is not
 * known. */
uint64_t tags_lowest(const struct tags *tags);

#endif
