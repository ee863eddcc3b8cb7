/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The memory of large contents, each of the size of the largest there is. What one
 * has touched is kept for the next for a while: with it reading 64 MiB took 0.4 to 0.6
 * of the time. Shared by the process, any thread; knows no content.
 */
#ifndef FILE_AREA_H
#define FILE_AREA_H

#include <stdbool.h>
#include <stddef.h>

/* So many bytes are kept at most, beside what contents take. */
#define AREA_KEPT_MOST ((size_t)64 << 20)

struct area {
	unsigned char *data; /* DWAL_MAX_PAYLOAD bytes, as they come */

	struct area *next; /* that is kept */
	void *mapped;
	size_t kept; /* bytes that count as kept, also while it is in use again */
	bool rested; /* was kept at the last area_rest() */
};

/* NULL: there are no addresses. */
struct area *area_take(void);

/* The first bytes, so many, were touched. */
void area_give_back(struct area *area, size_t touched);

/* Frees what has been kept since the last call. */
void area_rest(void);

#endif
