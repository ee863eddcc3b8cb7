/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Small contents are allocated, large ones mapped.
 */
#include "file/bytes.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "datawal.h"

#define PAGE ((size_t)4096)
#define HUGE ((size_t)2 << 20) /* where there are others, these are as good as any */

/* A third of the daemon's time for a value of 64 MiB went into faults of small
 * pages and their end; with huge ones it needed 0.8 of its time for that value. Of
 * smaller contents half a huge page and more would be taken for nothing. */
#define LARGE (2 * HUGE)

static size_t round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

size_t bytes_taken(size_t touched)
{
	return round_up(touched, touched > LARGE ? HUGE : PAGE);
}

static const size_t area_size = DWAL_MAX_PAYLOAD + HUGE; /* to begin with a whole one */

/* Addresses for the largest content there is. Without them it is allocated. */
static int map(struct bytes *bytes, size_t touched)
{
	void *area = mmap(NULL, area_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned char *data;

	if (area == MAP_FAILED)
		return ENOSPC;
	data = (unsigned char *)area + (round_up((uintptr_t)area, HUGE) - (uintptr_t)area);
	(void)madvise(data, DWAL_MAX_PAYLOAD, MADV_HUGEPAGE); /* else small ones */
	if (touched)
		memcpy(data, bytes->data, touched);
	free(bytes->data);
	*bytes = (struct bytes){data, DWAL_MAX_PAYLOAD, area};
	return 0;
}

static int allocate(struct bytes *bytes, size_t need)
{
	size_t capacity = bytes->capacity ? bytes->capacity : PAGE;
	void *larger;

	while (capacity < need)
		capacity *= 2;
	larger = realloc(bytes->data, capacity);
	if (!larger)
		return ENOSPC;
	bytes->data = larger;
	bytes->capacity = capacity;
	return 0;
}

int bytes_grow(struct bytes *bytes, size_t need, size_t touched)
{
	if (need <= bytes->capacity)
		return 0;
	return need > LARGE && map(bytes, touched) == 0 ? 0 : allocate(bytes, need);
}

void bytes_release(struct bytes *bytes)
{
	if (bytes->area)
		(void)munmap(bytes->area, area_size);
	else
		free(bytes->data);
	*bytes = (struct bytes){0};
}
