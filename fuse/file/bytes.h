/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The memory of one staged content: it grows by powers of two, and a large one
 * has an area, of huge pages, and never moves again. Knows neither stages nor limits.
 */
#ifndef FILE_BYTES_H
#define FILE_BYTES_H

#include <stddef.h>

struct area;

/* Zeroed, it is an empty one. */
struct bytes {
	unsigned char *data; /* NULL: none */
	size_t capacity;
	struct area *area; /* of a large one; NULL: it is allocated */
};

/* Room for need bytes, at most DWAL_MAX_PAYLOAD; those that were there, touched of
 * them, stay. The rest is as it comes. 0 or ENOSPC, and nothing has changed. */
int bytes_grow(struct bytes *bytes, size_t need, size_t touched);

/* That of a large one is kept for the next (area.h). */
void bytes_release(struct bytes *bytes, size_t touched);

/* The memory that is taken when so many bytes have been touched: whole pages. That
 * more is reserved costs nothing as long as it is not touched. */
size_t bytes_taken(size_t touched);

#endif
