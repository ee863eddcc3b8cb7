/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The JSON writer: RFC 8259 out, never in. Must not know what it writes.
 */
#include "log/json.h"

#include "base64.h"
#include "utf8.h"

#include <inttypes.h>
#include <string.h>

/* The stream is in memory and remembers a failure until it is closed. */
#define emit(json, ...) ((void)fprintf((json)->out, __VA_ARGS__))

void json_init(struct json *json, FILE *out)
{
	*json = (struct json){.out = out, .empty = true};
}

static void quote(struct json *json, const char *text)
{
	size_t left = strlen(text), len;

	emit(json, "\"");
	for (; left; text += len, left -= len) {
		unsigned char c = (unsigned char)*text;

		len = utf8_char(text, left, NULL);
		if (len == 0)
			emit(json, "\\ufffd");
		else if (c == '"' || c == '\\')
			emit(json, "\\%c", c);
		else if (c < 0x20)
			emit(json, "\\u%04x", c);
		else
			emit(json, "%.*s", (int)len, text);
		if (len == 0)
			len = 1;
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
