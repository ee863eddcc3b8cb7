/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Memory for many small chunks of mixed sizes, cut from large slabs. A chunk is
 * known by a number, half as long as a pointer, and stays where it is. Pure. Not
 * thread-safe; its user locks.
 *
 * A chunk that is freed is kept for the next one of its size, and no slab is given
 * back before all are.
 */
#ifndef DWAL_SLABS_H
#define DWAL_SLABS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLABS_UNIT    8u           /* bytes; what a chunk is aligned to */
#define SLABS_UNITS   (1u << 18)   /* of a slab: 2 MiB; of it only what is used is touched */
#define SLABS_MOST    (1u << 14)   /* slabs: 32 GiB of chunks */
#define SLABS_MAX     (128u << 10) /* bytes of a chunk */
#define SLABS_EXACT   128u         /* units; up to here each size has a list of its own */
#define SLABS_CLASSES 640u

struct slab {
	unsigned char *bytes;
	uint32_t end; /* units that were cut from it; the first is never */
};

/* Zero is ready. */
struct slabs {
	struct slab *of;
	uint32_t n, room;
	uint32_t free[SLABS_CLASSES]; /* the first of each list, or 0 */
	bool is_patient;              /* those behind the first are taken as huge pages */
};

void slabs_release(struct slabs *slabs);

/* The number of a chunk of that many bytes, at most SLABS_MAX; 0: no memory. */
uint32_t slabs_alloc(struct slabs *slabs, size_t size);

/* size is what it was allocated with. Of its bytes only the first four change, so
 * that who walks over the chunks can tell how long it is. */
void slabs_free(struct slabs *slabs, uint32_t number, size_t size);

/* The chunk behind that one, which was allocated with this size; the first one for
 * 0; 0: there is none. Free ones are among them. */
uint32_t slabs_next(const struct slabs *slabs, uint32_t number, size_t size);

static inline void *slabs_at(const struct slabs *slabs, uint32_t number)
{
	return slabs->of[number / SLABS_UNITS].bytes + (size_t)(number % SLABS_UNITS) * SLABS_UNIT;
}

#endif
