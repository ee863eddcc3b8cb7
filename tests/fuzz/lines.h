/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * FORMAT.md 9, "Text", once more: each function gives what is left of a text
 * behind something, or NULL when that does not stand there. A text ends with a
 * NUL and has no other.
 */
#ifndef LINES_H
#define LINES_H

#include "fuzz.h"

static inline const char *after(const char *text, const char *literal)
{
	size_t len = strlen(literal);

	return text && strncmp(text, literal, len) == 0 ? text + len : NULL;
}

static inline const char *after_number(const char *text, const char *name, uint64_t *out)
{
	const char *digits = after(text, name);
	size_t n = digits ? strspn(digits, "0123456789") : 0;

	*out = 0;
	if (!n || n > 20 || (n > 1 && *digits == '0'))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		uint64_t digit = (uint64_t)(digits[i] - '0');

		if (*out > (UINT64_MAX - digit) / 10)
			return NULL;
		*out = *out * 10 + digit;
	}
	return after(digits + n, "\n");
}

static inline const char *after_value(const char *text)
{
	while (text && *text != '\n') {
		if (*text == '%')
			text = strspn(text + 1, "0123456789ABCDEF") >= 2 ? text + 3 : NULL;
		else
			text = *text >= 0x20 && *text <= 0x7e ? text + 1 : NULL;
	}
	return text;
}

/* A line of the caller: none of these names, each with its "=", up to a NULL. */
static inline const char *after_line(const char *text, const char *const *taken)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-");

	if (*text < 'a' || *text > 'z' || text[n] != '=')
		return NULL;
	for (; *taken; taken++)
		if (n + 1 == strlen(*taken) && after(text, *taken))
			return NULL;
	text = after_value(text + n + 1);
	return text ? text + 1 : NULL;
}

/* Whether only such lines are left. */
static inline bool only_lines(const char *text, const char *const *taken)
{
	while (text && *text)
		text = after_line(text, taken);
	return text;
}

#endif
