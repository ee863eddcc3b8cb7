/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Small contents are allocated, large ones mapped.
 */
#include "file/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datawal.h"
#include "file/area.h"
#include "hugepage.h"

#define PAGE ((size_t)4096)

/* A third of the daemon's time for a value of 64 MiB went into faults of small
 * pages and their end; with huge ones it needed 0.8 of its time for that value. Of
 * smaller contents half a huge page and more would be taken for nothing. */
#define LARGE (2 * HUGEPAGE)

static size_t round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

size_t bytes_taken(size_t touched)
{
	return round_up(touched, touched > LARGE ? HUGEPAGE : PAGE);
}

/* Without addresses it is allocated. */
static int map(struct bytes *bytes, size_t touched)
{
	struct area *area = area_take();

	if (!area)
		return ENOSPC;
	if (touched)
		memcpy(area->data, bytes->data, touched);
	free(bytes->data);
	*bytes = (struct bytes){area->data, DWAL_MAX_PAYLOAD, area};
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

void bytes_release(struct bytes *bytes, size_t touched)
{
	if (bytes->area)
		area_give_back(bytes->area, touched);
	else
		free(bytes->data);
	*bytes = (struct bytes){0};
}
