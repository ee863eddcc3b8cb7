/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Names in a log directory, as FORMAT.md has them.
 */
#include "logname.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ID_DIGITS 8
#define EXTENSION ".dwal"
#define TORN      ".torn-"

void logname_segment(uint32_t id, char out[LOGNAME_SIZE])
{
	assert(id <= 99999999);
	(void)snprintf(out, LOGNAME_SIZE, "%08" PRIu32 EXTENSION, id); /* fits */
}

const char *logname_parse_stem(const char *name, uint32_t *id)
{
	uint32_t n = 0;

	for (int i = 0; i < ID_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return NULL;
		n = n * 10 + (uint32_t)(name[i] - '0');
	}
	if (strncmp(name + ID_DIGITS, EXTENSION, strlen(EXTENSION)) != 0)
		return NULL;
	*id = n;
	return name + ID_DIGITS + strlen(EXTENSION);
}

void logname_rewritten(uint32_t id, char out[LOGNAME_TEMP_SIZE])
{
	(void)snprintf(out, LOGNAME_TEMP_SIZE, "%08" PRIu32 LOGNAME_TEMP_SUFFIX, id); /* fits */
}

void logname_index(uint32_t id, char out[LOGNAME_TEMP_SIZE])
{
	(void)snprintf(out, LOGNAME_TEMP_SIZE, "%08" PRIu32 EXTENSION "-index", id); /* fits */
}

void logname_index_temp(uint32_t id, char out[LOGNAME_TEMP_SIZE])
{
	(void)snprintf(out, LOGNAME_TEMP_SIZE, "index.%08" PRIu32 LOGNAME_TEMP_SUFFIX, id);
}

void logname_ahead(unsigned n, char out[LOGNAME_TEMP_SIZE])
{
	(void)snprintf(out, LOGNAME_TEMP_SIZE, "ahead-%u" LOGNAME_TEMP_SUFFIX, n); /* fits */
}

bool logname_parse_segment(const char *name, uint32_t *id)
{
	uint32_t n;
	const char *rest = logname_parse_stem(name, &n);

	if (!rest || *rest)
		return false;
	*id = n;
	return true;
}

char *logname_side_file(uint32_t id, uint64_t offset, unsigned n)
{
	char name[LOGNAME_SIZE], count[16] = "", *made;

	logname_segment(id, name);
	if (n > 1)
		(void)snprintf(count, sizeof(count), ".%u", n); /* fits */
	return asprintf(&made, "%s" TORN "%" PRIu64 "%s", name, offset, count) < 0 ? NULL : made;
}

bool logname_is_side_file(const char *name)
{
	uint32_t id;
	const char *rest = logname_parse_stem(name, &id);

	return rest && strncmp(rest, TORN, strlen(TORN)) == 0 && !logname_is_temp_file(name);
}

bool logname_is_temp_file(const char *name)
{
	size_t n = strlen(name), suffix = strlen(LOGNAME_TEMP_SUFFIX);

	return n >= suffix && strcmp(name + n - suffix, LOGNAME_TEMP_SUFFIX) == 0;
}
