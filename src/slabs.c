/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Slabs, and a list of free chunks for each class of sizes. Must not know what is
 * in a chunk.
 */
#include "slabs.h"

#include "hugepage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(SLABS_MAX / SLABS_UNIT < SLABS_UNITS, "a chunk fits into a slab");
static_assert((uint64_t)SLABS_UNITS * SLABS_MOST <= (uint64_t)UINT32_MAX + 1,
	      "a number names a unit of all slabs");

#define SLAB_SIZE ((size_t)SLABS_UNITS * SLABS_UNIT)

static_assert(SLAB_SIZE % HUGEPAGE == 0, "aligned_alloc() wants that");

struct size_class {
	uint32_t index, units;
};

/* Long ones share a list, 64 lists for each doubling: what a chunk is longer than was
 * asked for is less than a 64th of it. */
static struct size_class class_of(size_t size)
{
	uint32_t units = (uint32_t)((size + SLABS_UNIT - 1) / SLABS_UNIT), shift = 0;

	while (units > SLABS_EXACT) {
		units = (units + 1) / 2;
		shift++;
	}
	return (struct size_class){shift * (SLABS_EXACT / 2) + units, units << shift};
}

void slabs_release(struct slabs *slabs)
{
	for (uint32_t i = 0; i < slabs->n; i++)
		free(slabs->of[i].bytes);
	free(slabs->of);
	*slabs = (struct slabs){0};
}

/* What is left of the last one is given up: less than the largest chunk. In huge pages
 * a look-up took 0.6 of the time at 4 million keys, 0.7 at 1 million, but whoever touches
 * one first waits until 2 MiB are zeroed, 5 to 9 ms at worst, without them 0.7. Where an
 * open takes them, that of 10^6 keys took 0.8 of the time and a get, with its pread, 0.9
 * (medians of five and seven by turns), with 6,169 page faults in all and not 28,650. */
static int add_slab(struct slabs *slabs)
{
	unsigned char *bytes;

	if (slabs->n == SLABS_MOST)
		return -1;
	if (slabs->n == slabs->room) {
		uint32_t room = slabs->room ? 2 * slabs->room : 4;
		struct slab *grown = reallocarray(slabs->of, room, sizeof(*grown));

		if (!grown)
			return -1;
		slabs->of = grown;
		slabs->room = room;
	}
	bytes = aligned_alloc(HUGEPAGE, SLAB_SIZE);
	if (!bytes)
		return -1;
	if (slabs->is_patient && slabs->n)
		hugepage_advise(bytes, SLAB_SIZE);
	slabs->of[slabs->n++] = (struct slab){bytes, 1}; /* no number is 0 */
	return 0;
}

static uint32_t cut(struct slabs *slabs, uint32_t units)
{
	struct slab *last = slabs->n ? &slabs->of[slabs->n - 1] : NULL;
	uint32_t at;

	if (!last || units > SLABS_UNITS - last->end) {
		if (add_slab(slabs))
			return 0;
		last = &slabs->of[slabs->n - 1];
	}
	at = last->end;
	last->end += units;
	return (slabs->n - 1) * SLABS_UNITS + at;
}

uint32_t slabs_alloc(struct slabs *slabs, size_t size)
{
	const struct size_class class = class_of(size);
	uint32_t *first = &slabs->free[class.index], number = *first;

	if (!number)
		return cut(slabs, class.units);
	memcpy(first, slabs_at(slabs, number), sizeof(*first));
	return number;
}

void slabs_free(struct slabs *slabs, uint32_t number, size_t size)
{
	uint32_t *first = &slabs->free[class_of(size).index];

	memcpy(slabs_at(slabs, number), first, sizeof(*first));
	*first = number;
}

uint32_t slabs_next(const struct slabs *slabs, uint32_t number, size_t size)
{
	uint32_t slab = number / SLABS_UNITS, at = number % SLABS_UNITS;

	at = number ? at + class_of(size).units : 1;
	if (slab < slabs->n && at == slabs->of[slab].end) {
		slab++;
		at = 1;
	}
	return slab < slabs->n ? slab * SLABS_UNITS + at : 0;
}
