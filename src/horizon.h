/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Horizons and tags as text, corpus/FORMAT.md; reading one is
 * dwal_horizon_parse() and dwal_tag_parse(). Pure.
 */
#ifndef DWAL_HORIZON_H
#define DWAL_HORIZON_H

#include "datawal.h"

#define HORIZON_KEY "datawal.horizon"
#define TAG_KEY     "datawal.tag"

#define HORIZON_SIZE 96 /* of the payload at most: the first line, two numbers */

/* Nothing is covered by one of lo = hi = 0. */
static inline bool horizon_is_empty(struct dwal_horizon horizon)
{
	return horizon.lo >= horizon.hi;
}

/* The one that covers what either does, and all between them. */
struct dwal_horizon horizon_merge(struct dwal_horizon a, struct dwal_horizon b);

/* Writes the payload and returns its length. */
size_t horizon_put(struct dwal_horizon horizon, char out[HORIZON_SIZE]);

/* The payload of a tag, newly allocated. 0, -EINVAL for a name of no bytes,
 * -ENOMEM. */
int tag_make(const char *name, uint64_t txid, char **out, size_t *len);

#endif
