/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The own times of segments, for nodes of which no record tells a time. Pure.
 */
#ifndef TREE_OWNTIME_H
#define TREE_OWNTIME_H

#include "logtime.h"

/* What a segment's own time is, by its file. */
typedef struct timespec segment_time_fn(void *ctx, uint32_t segment);

struct own_times {
	const struct logtime *logtime;
	segment_time_fn *segment_time; /* asked where logtime tells none */
	void *ctx;
	bool is_known; /* of one: */
	struct segment_time last;
};

/* A file is not asked once for each node. */
struct timespec own_time(struct own_times *times, uint32_t segment);

#endif
