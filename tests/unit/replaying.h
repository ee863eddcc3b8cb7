/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A log into the tree that a mount shows, as mount/store.c does it.
 */
#ifndef REPLAYING_H
#define REPLAYING_H

#include "logtime.h"
#include "tree/replay.h"

struct replay {
	struct tree tree;
	struct logtime times;
};

/* A dwal_observe_fn; ctx is a struct replay. */
static inline int observe(void *ctx, const struct dwal_record *record)
{
	struct replay *replay = ctx;
	struct record_time when;
	int rc = logtime_next(&replay->times, record, &when);

	return rc ? rc : tree_replay(&replay->tree, record, &when);
}

#endif
