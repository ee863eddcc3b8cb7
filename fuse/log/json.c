/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The JSON writer: RFC 8259 out, never in. Must not know what it writes.
 */
#include "log/json.h"

#include "base64.h"

#include <inttypes.h>
#include <string.h>

/* The stream is in memory and remembers a failure until it is closed. */
#define emit(json, ...) ((void)fprintf((json)->out, __VA_ARGS__))

void json_init(struct json *json, FILE *out)
{
	*json = (struct json){.out = out, .empty = true};
}

/* Length of the well-formed UTF-8 sequence at s, 0 when it is none. Overlong
 * forms, surrogates and what lies beyond U+10FFFF are not well-formed. */
static int sequence_length(const unsigned char *s)
{
	int len = s[0] < 0x80   ? 1
		  : s[0] < 0xc2 ? 0
		  : s[0] < 0xe0 ? 2
		  : s[0] < 0xf0 ? 3
		  : s[0] < 0xf5 ? 4
				: 0;

	for (int i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

static void quote(struct json *json, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	emit(json, "\"");
	while (*s) {
		int len = sequence_length(s);

		if (len == 0)
			emit(json, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			emit(json, "\\%c", *s);
		else if (*s < 0x20)
			emit(json, "\\u%04x", *s);
		else
			emit(json, "%.*s", len, (const char *)s);
		s += len ? len : 1;
	}
	emit(json, "\"");
}

static void begin(struct json *json, const char *name)
{
	if (!json->empty)
		emit(json, ",");
	if (json->depth)
		emit(json, "\n%*s", 2 * json->depth, "");
	json->empty = false;
	if (!name)
		return;
	quote(json, name);
	emit(json, ": ");
}

void json_open(struct json *json, const char *name, char bracket)
{
	begin(json, name);
	emit(json, "%c", bracket);
	json->depth++;
	json->empty = true;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (!json->empty)
		emit(json, "\n%*s", 2 * json->depth, "");
	emit(json, "%c", bracket);
	json->empty = false;
	if (!json->depth)
		emit(json, "\n");
}

void json_number(struct json *json, const char *name, uint64_t value)
{
	begin(json, name);
	emit(json, "%" PRIu64, value);
}

void json_bool(struct json *json, const char *name, bool value)
{
	begin(json, name);
	emit(json, "%s", value ? "true" : "false");
}

void json_text(struct json *json, const char *name, const char *text)
{
	begin(json, name);
	if (text)
		quote(json, text);
	else
		emit(json, "null");
}

void json_bytes(struct json *json, const char *name, const void *data, size_t len)
{
	begin(json, name);
	emit(json, "\"");
	base64_write(json->out, data, len);
	emit(json, "\"");
}
