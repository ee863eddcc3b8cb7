/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How much of the history is to stay, as a word: an age such as 30d or a size
 * such as 10G. Knows nothing of history.
 */
#ifndef BASE_KEEPWORD_H
#define BASE_KEEPWORD_H

#include <stdbool.h>
#include <stdint.h>

#define KEEPWORD_MOST ((uint64_t)1 << 62)

struct keepword {
	bool is_age;
	uint64_t value; /* seconds or bytes, 1 to KEEPWORD_MOST */
};

/* Digits and one letter: s, m, h, d, w or y (365 days) for an age; K, M, G or T,
 * in 1024s, or B for a size. False: it is something else; *out is untouched. */
bool keepword_parse(const char *text, struct keepword *out);

#endif
