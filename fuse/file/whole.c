/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Whoever is the last one frees it.
 */
#include "file/whole.h"

#include <stdlib.h>

struct whole *whole_new(size_t size)
{
	struct whole *whole = calloc(1, sizeof(*whole));

	if (!whole || bytes_grow(&whole->bytes, size, 0)) {
		free(whole);
		return NULL;
	}
	atomic_init(&whole->refs, 1);
	whole->size = size;
	return whole;
}

struct whole *whole_ref(struct whole *whole)
{
	atomic_fetch_add_explicit(&whole->refs, 1, memory_order_relaxed);
	return whole;
}

void whole_unref(struct whole *whole)
{
	if (!whole || atomic_fetch_sub_explicit(&whole->refs, 1, memory_order_acq_rel) > 1)
		return;
	bytes_release(&whole->bytes, whole->size);
	free(whole);
}
