/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From the records of a log to the tree, while the log is opened. The rules
 * are those of ATTRIBUTES.md. Wants no lock: nobody else knows the tree yet.
 */
#ifndef TREE_REPLAY_H
#define TREE_REPLAY_H

#include "logtime.h"
#include "tree/owntime.h"
#include "tree/tree.h"

/* Applies one record. 0 or -ENOMEM. */
int tree_replay(struct tree *tree, const struct dwal_record *record,
		const struct record_time *when);

struct replay_entry {
	const struct dwal_record *record;
	const struct record_time *when;
};

/* The same for at most so many in turn, faster. */
#define TREE_REPLAY_SOME 16
int tree_replay_some(struct tree *tree, const struct replay_entry *entries, size_t n);

/* Makes of a record what tree_replay() needs of it: that of a value not its bytes.
 * False: nothing. */
bool tree_replay_brief(struct dwal_record *record);

/* Calls fn for each key with attributes and without a value: a crash has left
 * them so, and they would be those of a later file. */
void tree_each_waiting(const struct tree *tree, void (*fn)(void *ctx, struct dwal_bytes key),
		       void *ctx);

/* The log has ended: numbers the nodes, forgets what only its replay needed, gives
 * what no record tells a time of the time of its segment, and from here on files
 * that stand aside are seen by somebody. Nodes with a node id have a number of
 * which the log is to be told (number.h). 0 or -ENOMEM. */
int tree_replay_end(struct tree *tree, const struct logtime *logtime, segment_time_fn *segment_time,
		    void *ctx);

#endif
