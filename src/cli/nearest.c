/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What somebody may have meant who mistyped a word. It must not know what the
 * words are for.
 */
#include <string.h>

#include "cli.h"

#define LONGEST 24u /* bytes of a word that is compared */

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters must be inserted, removed or replaced, or two neighbours
 * swapped, to make b of a. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned d[LONGEST + 1][LONGEST + 1];

	for (unsigned i = 0; i <= na; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= nb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= na; i++)
		for (size_t j = 1; j <= nb; j++) {
			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1,
					d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[na][nb];
}

const char *nearest(const char *word, const char *(*name)(size_t i))
{
	const char *found = NULL, *candidate;
	size_t len = strlen(word);
	unsigned best = len > 3 ? 3 : 2; /* more mistakes than are taken for one */

	if (len < 2 || len > LONGEST)
		return NULL;
	for (size_t i = 0; (candidate = name(i)); i++) {
		size_t n = strlen(candidate);
		unsigned d = n > LONGEST ? best : distance(word, len, candidate, n);

		if (d < best) {
			best = d;
			found = candidate;
		}
	}
	return found;
}
