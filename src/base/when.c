/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Txids and times to numbers. strptime() would take blanks, signs and names of
 * the user's language.
 */
#include "when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NSEC_DIGITS 9

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* n digits, of a number from least to most. */
static bool take_digits(const char **text, int n, int least, int most, int *out)
{
	int number = 0;

	for (int i = 0; i < n; i++) {
		if (!is_digit((*text)[i]))
			return false;
		number = 10 * number + ((*text)[i] - '0');
	}
	*text += n;
	*out = number;
	return number >= least && number <= most;
}

static bool take(const char **text, char c)
{
	if (**text != c)
		return false;
	++*text;
	return true;
}

/* .DIGITS, or nothing. */
static bool take_fraction(const char **text, long *nsec)
{
	int n = 0;

	*nsec = 0;
	if (!take(text, '.'))
		return true;
	for (; is_digit(**text); ++*text, n++)
		if (n < NSEC_DIGITS)
			*nsec = 10 * *nsec + (**text - '0');
	for (int i = n; i < NSEC_DIGITS; i++)
		*nsec *= 10;
	return n > 0 && n <= NSEC_DIGITS;
}

/* Z, or +HH:MM, or +HHMM: the seconds that it is ahead. */
static bool take_zone(const char **text, int *ahead)
{
	int hours, minutes, sign = **text == '-' ? -1 : 1;

	*ahead = 0;
	if (take(text, 'Z'))
		return true;
	if ((!take(text, '+') && !take(text, '-')) || !take_digits(text, 2, 0, 23, &hours))
		return false;
	(void)take(text, ':');
	if (!take_digits(text, 2, 0, 59, &minutes))
		return false;
	*ahead = sign * (60 * hours + minutes) * 60;
	return true;
}

static bool take_date(const char **text, struct tm *tm)
{
	struct tm same;

	if (!take_digits(text, 4, 1, 9999, &tm->tm_year) || !take(text, '-') ||
	    !take_digits(text, 2, 1, 12, &tm->tm_mon) || !take(text, '-') ||
	    !take_digits(text, 2, 1, 31, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	same = *tm;
	(void)timegm(&same);
	return same.tm_mday == tm->tm_mday; /* else there is no such day in that month */
}

static bool take_clock(const char **text, struct tm *tm, long *nsec)
{
	*nsec = 0;
	if (!take_digits(text, 2, 0, 23, &tm->tm_hour) || !take(text, ':') ||
	    !take_digits(text, 2, 0, 59, &tm->tm_min))
		return false;
	return !take(text, ':') ||
	       (take_digits(text, 2, 0, 60, &tm->tm_sec) && take_fraction(text, nsec));
}

static bool parse_iso(const char *text, struct timespec *out)
{
	struct tm tm = {0};
	long nsec;
	int ahead;

	if (!take_date(&text, &tm) || (!take(&text, 'T') && !take(&text, ' ')) ||
	    !take_clock(&text, &tm, &nsec) || !take_zone(&text, &ahead) || *text)
		return false;
	*out = (struct timespec){timegm(&tm) - ahead, nsec};
	return true;
}

/* [-]SECONDS[.FRACTION], where the fraction takes away from what is before 1970. */
static bool parse_seconds(const char *text, struct timespec *out)
{
	const bool before = *text == '-';
	long long seconds;
	char *end;
	long nsec;

	if (!is_digit(text[before]))
		return false;
	errno = 0;
	seconds = strtoll(text, &end, 10);
	text = end;
	if (errno || !take_fraction(&text, &nsec) || *text || (time_t)seconds != seconds)
		return false;
	if (before && nsec) {
		seconds--;
		nsec = 1000000000 - nsec;
	}
	*out = (struct timespec){(time_t)seconds, nsec};
	return true;
}

bool when_parse(const char *text, struct when *out)
{
	struct when when = {.by_time = true};
	char *end;

	if (*text == '@' ? parse_seconds(text + 1, &when.time) : parse_iso(text, &when.time)) {
		*out = when;
		return true;
	}
	errno = 0;
	when = (struct when){.txid = strtoull(text, &end, 10)};
	if (!is_digit(*text) || *end || errno)
		return false;
	*out = when;
	return true;
}
