/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The tree is built by a thread of its own, while another one reads the log. Of
 * a log of a few records by the one that reads it. Must not know the log.
 */
#ifndef TREE_REPLAYER_H
#define TREE_REPLAYER_H

#include <pthread.h>
#include <stdbool.h>

#include "tree/replay.h"

struct replayer {
	struct tree *tree; /* of the thread's alone until the end */
	struct chunk *filling;
	pthread_t thread;
	bool runs; /* the thread */

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	struct chunk *full;  /* waits for the thread; NULL: none */
	struct chunk *spare; /* was replayed; NULL: none */
	bool ended;          /* none comes any more */
	int err;             /* of tree_replay(): what follows is not replayed */
};

void replayer_begin(struct replayer *replayer, struct tree *tree);

/* As tree_replay(), in the same order, but later. Borrows nothing. 0 or -ENOMEM, also
 * where an earlier one has failed. */
int replayer_add(struct replayer *replayer, const struct dwal_record *record,
		 const struct record_time *when);

/* Waits until all were replayed, and frees what it has. 0 or -ENOMEM. */
int replayer_end(struct replayer *replayer);

#endif
