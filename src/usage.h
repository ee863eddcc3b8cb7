/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How much of each segment is live, counted as it changes. Pure: knows no key
 * and no file. Not thread-safe; its user locks.
 */
#ifndef DWAL_USAGE_H
#define DWAL_USAGE_H

#include "datawal.h"

struct segment_usage {
	uint32_t segment;
	uint64_t records; /* Puts that are some key's value */
	uint64_t bytes;   /* their frames */
};

/* Zero is ready: nothing is live. */
struct usage {
	struct segment_usage *of; /* ascending; ids may lie far apart */
	size_t n, room;
};

void usage_release(struct usage *usage);

/* Of a segment, counted or not. */
struct segment_usage usage_of(const struct usage *usage, uint32_t segment);

/* The slow ways of the functions below: makes room for more segments; finds or
 * adds one. */
int usage_grow(struct usage *usage);
struct segment_usage *usage_enter(struct usage *usage, uint32_t segment);

/* Makes room for one segment that is not counted yet: 0 or -ENOMEM. */
static inline int usage_reserve(struct usage *usage)
{
	return usage->n < usage->room ? 0 : usage_grow(usage);
}

/* Where a segment stands if no id is left out. Asked for each record of an
 * open. */
static inline struct segment_usage *usage_at(struct usage *usage, uint32_t segment)
{
	uint32_t guess = usage->n ? segment - usage->of[0].segment : 0;

	return guess < usage->n && usage->of[guess].segment == segment
		       ? &usage->of[guess]
		       : usage_enter(usage, segment);
}

/* One record more. A segment's first one needs the room. */
static inline void usage_add(struct usage *usage, uint32_t segment, uint32_t bytes)
{
	struct segment_usage *at = usage_at(usage, segment);

	at->records++;
	at->bytes += bytes;
}

static inline void usage_take(struct usage *usage, uint32_t segment, uint32_t bytes)
{
	struct segment_usage *at = usage_at(usage, segment);

	at->records--;
	at->bytes -= bytes;
}

#endif
