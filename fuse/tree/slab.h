/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Memory for the many small objects of one tree. They lie in one range of
 * addresses, so that one refers to another by 32 bits: how far away it is. What is
 * given back is used again, also for smaller objects. Pure: knows nothing of what
 * the objects are.
 *
 * Every function wants the tree's lock.
 */
#ifndef TREE_SLAB_H
#define TREE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Objects are of whole units; a reference counts them. */
#define SLAB_UNIT  8
#define SLAB_SIZES 256
#define SLAB_MOST  ((size_t)(SLAB_SIZES - 1) * SLAB_UNIT) /* bytes of one object */

/* Another object of the slab, as seen from one that has this in it; 0: none. */
typedef int32_t slab_ref;

struct slab {
	char *base;                    /* of the range; no object is there */
	size_t reserved, ready, used;  /* bytes of it: with memory, ever used */
	size_t live;                   /* bytes of objects */
	uint64_t has[SLAB_SIZES / 64]; /* a bit for each list that is not empty: */
	slab_ref unused[SLAB_SIZES];   /* by their units, what was given back; from base */
	bool is_patient;               /* who takes: what is new is in huge pages */
};

/* Takes no memory yet. 0 or ENOMEM. */
int slab_init(struct slab *slab);

/* The end of all objects; takes one that is all zero. */
void slab_release(struct slab *slab);

/* A new object, all zero, of at most SLAB_MOST bytes; or NULL. */
void *slab_take(struct slab *slab, size_t size);

/* Ends one that was taken with this size. */
void slab_give_back(struct slab *slab, void *object, size_t size);

/* The bytes that an object of this size has. */
static inline size_t slab_room(size_t size)
{
	return (size + SLAB_UNIT - 1) / SLAB_UNIT * SLAB_UNIT;
}

static inline void *slab_at(const void *from, slab_ref ref)
{
	return ref ? (char *)(uintptr_t)from + (ptrdiff_t)ref * SLAB_UNIT : NULL;
}

static inline slab_ref slab_ref_to(const void *from, const void *object)
{
	return object ? (slab_ref)(((const char *)object - (const char *)from) / SLAB_UNIT) : 0;
}

#endif
