/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Names in a log directory.
 */
#include "log/logname.h"

#include <stddef.h>
#include <string.h>

/* The id of a name that begins as a segment's does, and what follows it. */
static const char *parse_stem(const char *name, uint32_t *id)
{
	uint32_t n = 0;

	for (int i = 0; i < 8; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		n = n * 10 + (uint32_t)(name[i] - '0');
	}
	if (strncmp(name + 8, ".dwal", 5) != 0)
		return NULL;
	*id = n;
	return name + 13;
}

bool logname_parse_segment(const char *name, uint32_t *id)
{
	uint32_t n;
	const char *rest = parse_stem(name, &n);

	if (!rest || *rest)
		return false;
	*id = n;
	return true;
}

bool logname_is_side_file(const char *name)
{
	uint32_t id;
	const char *rest = parse_stem(name, &id);
	size_t len = rest ? strlen(rest) : 0;

	/* While it is being written it bears another suffix. */
	return rest && strncmp(rest, ".torn-", 6) == 0 &&
	       (len < 9 || strcmp(rest + len - 9, ".dwal-tmp") != 0);
}
