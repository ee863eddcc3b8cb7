/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The JSON writer: out, never in. Must not know what it writes.
 */
#include "json.h"

#include "base64.h"
#include "utf8.h"

#include <inttypes.h>
#include <string.h>

/* The stream remembers a failure until it is closed. */
static void put(struct json *json, const char *text)
{
	(void)fputs_unlocked(text, json->out);
}

static void put_char(struct json *json, char c)
{
	(void)putc_unlocked(c, json->out);
}

void json_init(struct json *json, FILE *out, enum json_layout layout)
{
	*json = (struct json){.out = out, .layout = layout, .empty = true};
}

/* How much of a text stands for itself. */
static size_t plain_length(const char *text, size_t len)
{
	size_t n = 0, next;

	while (n < len && (unsigned char)text[n] >= 0x20 && text[n] != '"' && text[n] != '\\' &&
	       (next = utf8_char(text + n, len - n, NULL)))
		n += next;
	return n;
}

static void escape(struct json *json, unsigned char c)
{
	if (c < 0x20)
		(void)fprintf(json->out, "\\u%04x", c);
	else if (c == '"' || c == '\\')
		(void)fprintf(json->out, "\\%c", c);
	else
		put(json, "\\ufffd");
}

static void quote(struct json *json, const char *text)
{
	size_t len = strlen(text), n;

	put_char(json, '"');
	while ((n = plain_length(text, len)) < len) {
		(void)fwrite_unlocked(text, 1, n, json->out);
		escape(json, (unsigned char)text[n]);
		text += n + 1;
		len -= n + 1;
	}
	put(json, text);
	put_char(json, '"');
}

static void begin_line(struct json *json)
{
	if (json->layout == JSON_INDENTED)
		(void)fprintf(json->out, "\n%*s", 2 * json->depth, "");
}

static void begin(struct json *json, const char *name)
{
	if (!json->empty)
		put_char(json, ',');
	if (json->depth)
		begin_line(json);
	json->empty = false;
	if (!name)
		return;
	quote(json, name);
	put(json, json->layout == JSON_INDENTED ? ": " : ":");
}

void json_open(struct json *json, const char *name, char bracket)
{
	begin(json, name);
	put_char(json, bracket);
	json->depth++;
	json->empty = true;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (!json->empty)
		begin_line(json);
	put_char(json, bracket);
	json->empty = !json->depth;
	if (!json->depth)
		put_char(json, '\n');
}

void json_number(struct json *json, const char *name, uint64_t value)
{
	begin(json, name);
	(void)fprintf(json->out, "%" PRIu64, value);
}

void json_bool(struct json *json, const char *name, bool value)
{
	begin(json, name);
	put(json, value ? "true" : "false");
}

void json_text(struct json *json, const char *name, const char *text)
{
	begin(json, name);
	if (text)
		quote(json, text);
	else
		put(json, "null");
}

void json_bytes(struct json *json, const char *name, const void *data, size_t len)
{
	begin(json, name);
	put_char(json, '"');
	base64_write(json->out, data, len);
	put_char(json, '"');
}
