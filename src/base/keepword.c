/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Digits and a letter. Must not take a number alone, which would be neither.
 */
#include "keepword.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static const struct unit {
	char letter;
	bool is_age;
	uint64_t of; /* seconds or bytes */
} units[] = {
	{'s', true, 1},
	{'m', true, 60},
	{'h', true, 3600},
	{'d', true, 86400},
	{'w', true, 7 * 86400},
	{'y', true, 365 * 86400},
	{'B', false, 1},
	{'K', false, (uint64_t)1 << 10},
	{'M', false, (uint64_t)1 << 20},
	{'G', false, (uint64_t)1 << 30},
	{'T', false, (uint64_t)1 << 40},
};

static const struct unit *find_unit(const char *text)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text[0] == units[i].letter && !text[1])
			return &units[i];
	return NULL;
}

bool keepword_parse(const char *text, struct keepword *out)
{
	const struct unit *unit;
	uint64_t n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	unit = find_unit(end);
	if (errno || !unit || !n || n > KEEPWORD_MOST / unit->of)
		return false;
	*out = (struct keepword){unit->is_age, n * unit->of};
	return true;
}
