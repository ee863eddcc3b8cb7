/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A range of addresses without memory, which gets some from its start on, and a
 * list of what was given back for each size.
 */
#include "tree/slab.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "hugepage.h"
#include "sanitized.h"

/* Lets a sanitizer stop whoever touches what is no object. */
#if IS_SANITIZED
#include <sanitizer/asan_interface.h>
#define CLOSE_TO_ALL(address, size) ASAN_POISON_MEMORY_REGION(address, size)
#define OPEN(address, size)         ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define CLOSE_TO_ALL(address, size) ((void)(address), (void)(size))
#define OPEN(address, size)         ((void)(address), (void)(size))
#endif

/* As far as references reach: 200 million files with short names. */
#define RESERVED_MOST \
	(SIZE_MAX / SLAB_UNIT < INT32_MAX ? SIZE_MAX / 4 : (size_t)INT32_MAX * SLAB_UNIT)
#define RESERVED_LEAST ((size_t)1 << 24)

/* Memory comes in such steps; the kernel gives no page of it that is not used. */
#define STEP HUGEPAGE

/* What others of the process need addresses for as well. */
static size_t address_space(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur / 4 > RESERVED_MOST)
		return RESERVED_MOST;
	return (size_t)limit.rlim_cur / 4;
}

int slab_init(struct slab *slab)
{
	size_t size = address_space() / STEP * STEP;
	void *base = MAP_FAILED;

	for (; size >= RESERVED_LEAST; size = size / 2 / STEP * STEP) {
		base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			    0);
		if (base != MAP_FAILED)
			break;
	}
	if (base == MAP_FAILED)
		return ENOMEM;
	*slab = (struct slab){.base = base, .reserved = size, .used = SLAB_UNIT};
	return 0;
}

void slab_release(struct slab *slab)
{
	if (slab->base) {
		OPEN(slab->base, slab->ready);
		(void)munmap(slab->base, slab->reserved); /* a range of ours */
	}
	*slab = (struct slab){.base = NULL};
}

static void set_list(struct slab *slab, unsigned units, slab_ref first)
{
	uint64_t bit = (uint64_t)1 << units % 64;

	slab->unused[units] = first;
	slab->has[units / 64] = first ? slab->has[units / 64] | bit : slab->has[units / 64] & ~bit;
}

/* The smallest units, from these on, of which there is something; or 0. */
static unsigned best_fit(const struct slab *slab, unsigned units)
{
	uint64_t sizes = slab->has[units / 64] & UINT64_MAX << units % 64;

	for (unsigned word = units / 64; word < SLAB_SIZES / 64; word++) {
		if (word != units / 64)
			sizes = slab->has[word];
		if (sizes)
			return word * 64 + (unsigned)__builtin_ctzll(sizes);
	}
	return 0;
}

static void keep_unused(struct slab *slab, void *at, unsigned units)
{
	memcpy(at, &slab->unused[units], sizeof(slab_ref));
	set_list(slab, units, slab_ref_to(slab->base, at));
	CLOSE_TO_ALL(at, units * SLAB_UNIT);
}

/* From a list, and what is too much of it goes to another one. */
static void *take_unused(struct slab *slab, unsigned units)
{
	unsigned found = best_fit(slab, units);
	char *at = found ? slab_at(slab->base, slab->unused[found]) : NULL;
	slab_ref next;

	if (!at)
		return NULL;
	OPEN(at, found * SLAB_UNIT);
	memcpy(&next, at, sizeof(next));
	set_list(slab, found, next);
	if (found > units)
		keep_unused(slab, at + units * SLAB_UNIT, found - units);
	return memset(at, 0, units * SLAB_UNIT);
}

/* Up to where a huge page can begin. The first is none, for those who need few nodes. A
 * mount of 10^6 keys in 1,000 directories took 0.7 of the processor's time with them. */
static bool grow(struct slab *slab)
{
	char *from = slab->base + slab->ready;
	size_t step = STEP - (uintptr_t)from % STEP;

	if (slab->reserved - slab->ready < step || mprotect(from, step, PROT_READ | PROT_WRITE))
		return false;
	if (slab->is_patient && slab->ready)
		hugepage_advise(from, step);
	CLOSE_TO_ALL(from, step);
	slab->ready += step;
	return true;
}

static void *take_new(struct slab *slab, size_t bytes)
{
	char *at = slab->base + slab->used;

	if (slab->used + bytes > slab->ready && !grow(slab))
		return NULL;
	slab->used += bytes;
	OPEN(at, bytes);
	return at;
}

void *slab_take(struct slab *slab, size_t size)
{
	size_t bytes = slab_room(size);
	char *object = take_unused(slab, (unsigned)(bytes / SLAB_UNIT));

	if (!object)
		object = take_new(slab, bytes);
	if (!object)
		return NULL;
	CLOSE_TO_ALL(object + size, bytes - size);
	slab->live += bytes;
	return object;
}

void slab_give_back(struct slab *slab, void *object, size_t size)
{
	size_t bytes = slab_room(size);

	OPEN(object, bytes);
	slab->live -= bytes;
	keep_unused(slab, object, (unsigned)(bytes / SLAB_UNIT));
}
