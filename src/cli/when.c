/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the header of an operation says, for people and as JSON. It must not
 * know which records belong to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

#define NSEC_DIGITS 9
#define WHEN_SIZE   96

/* SECONDS.NANOSECONDS, of which *fraction is left at the digits. */
static bool parse_time(const char *text, time_t *seconds, const char **fraction)
{
	static const char digits[] = "0123456789";
	const char *first = text + (*text == '-');
	long long number;
	char *end;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (!*first || !strchr(digits, *first) || errno || *end != '.')
		return false;
	if (strspn(end + 1, digits) != NSEC_DIGITS || end[1 + NSEC_DIGITS])
		return false;
	*seconds = (time_t)number;
	*fraction = end + 1;
	return *seconds == number;
}

/* As 2025-11-25T12:00:00.5Z, the fraction without zeros at its end. False: it
 * is no time. */
static bool when_text(const char *text, char out[WHEN_SIZE])
{
	const char *fraction;
	int len = NSEC_DIGITS;
	time_t seconds;
	struct tm tm;

	if (!parse_time(text, &seconds, &fraction) || !gmtime_r(&seconds, &tm))
		return false;
	while (len && fraction[len - 1] == '0')
		len--;
	(void)snprintf(out, WHEN_SIZE, "%04ld-%02d-%02dT%02d:%02d:%02d%s%.*sZ", tm.tm_year + 1900L,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, len ? "." : "",
		       len, fraction);
	return true;
}

static void print_text(FILE *to, const char *name, const char *text)
{
	if (!*text)
		return;
	fprintf(to, " %s=", name);
	print_field(to, (struct dwal_bytes){text, strlen(text)}, BYTES_AUTO, SIZE_MAX);
}

void print_operation(FILE *to, const struct dwal_operation *operation)
{
	char when[WHEN_SIZE];

	print_text(to, "time", when_text(operation->time, when) ? when : operation->time);
	print_text(to, "op", operation->op);
}

void json_operation(struct json *json, const struct dwal_operation *operation)
{
	char when[WHEN_SIZE];

	json_text(json, "time", when_text(operation->time, when) ? when : NULL);
	json_text(json, "op", *operation->op ? operation->op : NULL);
}
