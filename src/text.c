/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Lines of NAME=VALUE to numbers and bytes and back. Pure. Must not know which
 * lines there are.
 */
#include "text.h"
#include "util.h"

static const char upper[] = "0123456789ABCDEF";

static bool is_literal(unsigned char c)
{
	return c >= 0x20 && c <= 0x7e && c != '%';
}

struct text text_of(struct dwal_bytes bytes)
{
	const char *text = bytes.data ? bytes.data : "";

	return (struct text){text, text + (bytes.data ? bytes.len : 0)};
}

bool text_is_of(const struct dwal_record *record, const char *key)
{
	return record->type == DWAL_RAW && record->key.data && record->key.len == strlen(key) &&
	       memcmp(record->key.data, key, record->key.len) == 0;
}

bool text_take(struct text *text, const char *literal)
{
	size_t len = strlen(literal);

	if ((size_t)(text->end - text->at) < len || memcmp(text->at, literal, len) != 0)
		return false;
	text->at += len;
	return true;
}

bool text_take_number(struct text *text, const char *name, uint64_t *out)
{
	const char *start;
	uint64_t n = 0;

	if (!text_take(text, name))
		return false;
	for (start = text->at; text->at < text->end && text_is_digit(*text->at); text->at++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text->at - '0'), &n))
			return false;
	if (text->at == start || (*start == '0' && text->at - start > 1))
		return false;
	*out = n;
	return text_take(text, "\n");
}

struct text text_take_line(struct text *text)
{
	const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
	struct text line = {newline ? text->at : NULL, newline};

	text->at = newline ? newline + 1 : text->end;
	return line;
}

static int hex_value(char c)
{
	if (text_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int text_take_byte(struct text *text)
{
	unsigned char c = (unsigned char)*text->at++;
	int high, low;

	if (is_literal(c))
		return c;
	if (c != '%' || text->end - text->at < 2)
		return -1;
	high = hex_value(text->at[0]);
	low = hex_value(text->at[1]);
	text->at += 2;
	return high < 0 || low < 0 ? -1 : 16 * high + low;
}

bool text_unescape(struct text value, char *out, size_t size)
{
	size_t len = 0;

	while (value.at < value.end) {
		int byte = text_take_byte(&value);

		if (byte <= 0 || len + 1 >= size)
			return false;
		out[len++] = (char)byte;
	}
	if (len >= size)
		return false;
	out[len] = '\0';
	return true;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || text_is_digit(c) || c == '.' || c == '-';
}

bool text_is_name(const char *name, size_t len)
{
	if (!len || name[0] < 'a' || name[0] > 'z')
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_name_char(name[i]))
			return false;
	return true;
}

bool text_is_line(struct text line, size_t *name_len)
{
	size_t len = (size_t)(line.end - line.at);
	const char *equals = len ? memchr(line.at, '=', len) : NULL;

	if (!equals || !text_is_name(line.at, (size_t)(equals - line.at)))
		return false;
	*name_len = (size_t)(equals - line.at);
	line.at = equals + 1;
	while (line.at < line.end)
		if (text_take_byte(&line) < 0)
			return false;
	return true;
}

size_t text_number_len(const char *name, uint64_t n)
{
	size_t len = strlen(name) + 2; /* a digit and the newline */

	for (; n > 9; n /= 10)
		len++;
	return len;
}

size_t text_escaped_len(const char *value)
{
	size_t len = 0;

	for (; *value; value++)
		len += is_literal((unsigned char)*value) ? 1 : 3;
	return len;
}

char *text_put(char *p, const char *literal)
{
	return (char *)put_bytes((unsigned char *)p, (struct dwal_bytes){literal, strlen(literal)});
}

char *text_put_number(char *p, const char *name, uint64_t n)
{
	char *end = p + text_number_len(name, n);

	p = end;
	*--p = '\n';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	(void)text_put(p - strlen(name), name);
	return end;
}

char *text_put_escaped(char *p, const char *value)
{
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (is_literal(c)) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = upper[c >> 4];
		*p++ = upper[c & 15];
	}
	return p;
}
