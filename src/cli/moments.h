/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The moments of a log: which states of it there are, what they are called, and
 * when they were. Gathered while the log is read.
 */
#ifndef MOMENTS_H
#define MOMENTS_H

#include "cli.h"
#include "logtime.h"
#include "when.h"

struct named_moment {
	char *name;
	uint64_t txid; /* 0: the name was taken back */
};

struct moments {
	dwal_history *history; /* of no key */
	struct named_moment *named;
	size_t count;

	struct when sought;
	struct logtime times;
	uint64_t found; /* where a time is sought: the txid up to which it was not over */
	bool known;     /* something is said to have been before, */
	bool passed;    /* or after it */
};

/* sought: NULL for none. To be released also when it failed. 0 or -ENOMEM. */
int moments_begin(struct moments *moments, const struct when *sought);
void moments_release(struct moments *moments);

/* The next record of the log. ctx is the struct moments: a dwal_observe_fn. 0 or
 * -ENOMEM. */
int moments_observe(void *ctx, const struct dwal_record *record);

/* The txid of that name, 0 for none. */
uint64_t moments_named(const struct moments *moments, const char *name);

/* After the last record: the txid of what was sought, or of the present. Complains
 * and gives WRONG_USE where there is no such state. */
enum status moments_find(const struct moments *moments, const char *dir, uint64_t *txid);

/* Sorts those that have a name by txid, and leaves the others out. */
void moments_sort(struct moments *moments);

#endif
