/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From the records of a log to the tree, while the log is opened. The rules
 * are those of ATTRIBUTES.md. Wants no lock: nobody else knows the tree yet.
 */
#ifndef TREE_REPLAY_H
#define TREE_REPLAY_H

#include "tree/tree.h"

/* Applies one record. time: of the clock in force, for the file's (or its
 * directory's) mtime. 0 or -ENOMEM. */
int tree_replay(struct tree *tree, const struct dwal_record *record, int64_t time);

/* The log has ended: numbers the nodes, forgets what only its replay needed, and
 * from here on files that stand aside are seen by somebody. Nodes with a node id
 * have a number of which the log is to be told (number.h). 0 or -ENOMEM. */
int tree_replay_end(struct tree *tree);

#endif
