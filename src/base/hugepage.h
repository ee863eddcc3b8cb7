/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Memory in huge pages: a search at random in much of it misses the processor's table of
 * pages less often. Whoever touches one first waits until all of it is zeroed.
 */
#ifndef DWAL_HUGEPAGE_H
#define DWAL_HUGEPAGE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGEPAGE ((size_t)2 << 20) /* where there are others, these are as good as any */

/* Up to where one can begin. */
static inline uintptr_t hugepage_round(uintptr_t n)
{
	return (n + HUGEPAGE - 1) & -HUGEPAGE;
}

/* Those that lie in these n bytes, as far as they were not touched yet. Where that cannot
 * be, nothing changes. */
static inline void hugepage_advise(void *bytes, size_t n)
{
	uintptr_t end = ((uintptr_t)bytes + n) & -HUGEPAGE;
	uintptr_t from = hugepage_round((uintptr_t)bytes);

	if (from < end)
		(void)madvise((void *)from, end - from, MADV_HUGEPAGE);
}

/* Zeroed and in huge pages, where it is large enough for some: each of them is touched here,
 * and not one by one at random. free() it; NULL: no memory. */
static inline void *hugepage_zeroed(size_t bytes)
{
	void *memory;

	if (bytes < 2 * HUGEPAGE)
		return calloc(1, bytes);
	memory = aligned_alloc(HUGEPAGE, hugepage_round(bytes));
	if (!memory)
		return NULL;
	hugepage_advise(memory, bytes);
	return memset(memory, 0, bytes);
}

#endif
