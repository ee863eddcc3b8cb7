/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The header of an operation: text to fields and back. Pure. Must not know
 * where the frames are that it announces, nor what follows from them.
 */
#include "header.h"
#include "util.h"

#include <errno.h>

#define FIRST_LINE "datawal batch 1\n"
#define MOST       ((uint64_t)1 << 32) /* records of an operation */

static const char upper[] = "0123456789ABCDEF", lower[] = "0123456789abcdef";

static bool is_literal(unsigned char c)
{
	return c >= 0x20 && c <= 0x7e && c != '%';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '.' || c == '-';
}

/* [a-z][a-z0-9.-]*, and none of ours. */
static bool is_name(const char *name, size_t len)
{
	static const char *const ours[] = {"txid", "n", "bytes", "crc"};

	if (!len || name[0] < 'a' || name[0] > 'z')
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_name_char(name[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (len == strlen(ours[i]) && memcmp(name, ours[i], len) == 0)
			return false;
	return true;
}

/* Of a record without its data, nothing is known. */
static bool has_key(struct dwal_bytes key)
{
	return key.data && key.len == strlen(HEADER_KEY) &&
	       memcmp(key.data, HEADER_KEY, key.len) == 0;
}

/* What is left of a text. */
struct rest {
	const char *at, *end;
};

static struct rest rest_of(struct dwal_bytes bytes)
{
	const char *text = bytes.data ? bytes.data : "";

	return (struct rest){text, text + (bytes.data ? bytes.len : 0)};
}

static bool take(struct rest *rest, const char *literal)
{
	size_t len = strlen(literal);

	if ((size_t)(rest->end - rest->at) < len || memcmp(rest->at, literal, len) != 0)
		return false;
	rest->at += len;
	return true;
}

/* NAME=DECIMAL and a newline, without a needless zero. */
static bool take_number(struct rest *rest, const char *name, uint64_t *out)
{
	const char *start;
	uint64_t n = 0;

	if (!take(rest, name))
		return false;
	for (start = rest->at; rest->at < rest->end && is_digit(*rest->at); rest->at++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*rest->at - '0'), &n))
			return false;
	if (rest->at == start || (*start == '0' && rest->at - start > 1))
		return false;
	*out = n;
	return take(rest, "\n");
}

static bool take_crcs(struct rest *rest, uint64_t n, struct dwal_bytes *out)
{
	const char *start, *end;

	if (!take(rest, "crc=") || n > MOST ||
	    (uint64_t)(rest->end - rest->at) < n * HEADER_CRC_DIGITS)
		return false;
	start = rest->at;
	for (end = start + n * HEADER_CRC_DIGITS; rest->at < end; rest->at++)
		if (!is_digit(*rest->at) && (*rest->at < 'a' || *rest->at > 'f'))
			return false;
	*out = (struct dwal_bytes){start, (size_t)(end - start)};
	return take(rest, "\n");
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next byte that a value stands for, or -1 when what is there is none. */
static int take_byte(struct rest *rest)
{
	unsigned char c = (unsigned char)*rest->at++;
	int high, low;

	if (is_literal(c))
		return c;
	if (c != '%' || rest->end - rest->at < 2)
		return -1;
	high = hex_value(rest->at[0]);
	low = hex_value(rest->at[1]);
	rest->at += 2;
	return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* The next line, without its newline; NULL bounds where there is none. */
static struct rest take_line(struct rest *rest)
{
	const char *newline = memchr(rest->at, '\n', (size_t)(rest->end - rest->at));
	struct rest line = {newline ? rest->at : NULL, newline};

	rest->at = newline ? newline + 1 : rest->end;
	return line;
}

/* NAME=VALUE of the form that lines have. */
static bool is_line(struct rest line)
{
	size_t len = (size_t)(line.end - line.at);
	const char *equals = len ? memchr(line.at, '=', len) : NULL;

	if (!equals || !is_name(line.at, (size_t)(equals - line.at)))
		return false;
	line.at = equals + 1;
	while (line.at < line.end)
		if (take_byte(&line) < 0)
			return false;
	return true;
}

bool dwal_header_parse(const struct dwal_record *record, struct dwal_header *out)
{
	struct rest rest = rest_of(record->payload);
	struct dwal_header header;

	if (record->type != DWAL_RAW || !has_key(record->key))
		return false;
	if (!take(&rest, FIRST_LINE) || !take_number(&rest, "txid=", &header.txid) ||
	    header.txid != record->txid || !take_number(&rest, "n=", &header.n) ||
	    !take_number(&rest, "bytes=", &header.bytes) ||
	    !take_crcs(&rest, header.n, &header.crc))
		return false;
	header.lines = (struct dwal_bytes){rest.at, (size_t)(rest.end - rest.at)};
	while (rest.at < rest.end)
		if (!is_line(take_line(&rest)))
			return false;
	*out = header;
	return true;
}

/* Undoes the escapes of a value. */
static bool unescape(struct rest value, char *out, size_t size)
{
	size_t len = 0;

	while (value.at < value.end) {
		int byte = take_byte(&value);

		if (byte <= 0 || len + 1 >= size)
			return false;
		out[len++] = (char)byte;
	}
	if (len >= size)
		return false;
	out[len] = '\0';
	return true;
}

bool dwal_header_line(const struct dwal_header *header, const char *name, char *out, size_t size)
{
	struct rest rest = rest_of(header->lines);

	while (rest.at < rest.end) {
		struct rest line = take_line(&rest);

		if (take(&line, name) && take(&line, "="))
			return unescape(line, out, size);
	}
	return false;
}

bool header_is_reserved(const struct dwal_op *op)
{
	struct rest rest = rest_of(op->payload);

	return op->type == DWAL_RAW && has_key(op->key) && take(&rest, FIRST_LINE);
}

static size_t escaped_len(const char *value)
{
	size_t len = 0;

	for (; *value; value++)
		len += is_literal((unsigned char)*value) ? 1 : 3;
	return len;
}

static size_t number_len(const char *name, uint64_t n)
{
	size_t len = strlen(name) + 2; /* a digit and the newline */

	for (; n > 9; n /= 10)
		len++;
	return len;
}

int header_measure(const struct header_text *text, size_t *len)
{
	size_t all = strlen(FIRST_LINE) + number_len("txid=", text->txid) +
		     number_len("n=", text->n) + number_len("bytes=", text->bytes) +
		     strlen("crc=\n");

	if (text->n > DWAL_MAX_PAYLOAD / HEADER_CRC_DIGITS)
		return DWAL_EPAYLOADSIZE;
	all += (size_t)text->n * HEADER_CRC_DIGITS;
	for (size_t i = 0; i < text->line_count && all <= DWAL_MAX_PAYLOAD; i++) {
		const struct dwal_line *line = &text->lines[i];

		if (!line->name || !line->value || !is_name(line->name, strlen(line->name)))
			return -EINVAL;
		all += strlen(line->name) + escaped_len(line->value) + strlen("=\n");
	}
	*len = all;
	return all > DWAL_MAX_PAYLOAD ? DWAL_EPAYLOADSIZE : 0;
}

static char *put_text(char *p, const char *text)
{
	return (char *)put_bytes((unsigned char *)p, (struct dwal_bytes){text, strlen(text)});
}

static char *put_number(char *p, const char *name, uint64_t n)
{
	char *end = p + number_len(name, n);

	p = end;
	*--p = '\n';
	do
		*--p = lower[n % 10];
	while (n /= 10);
	(void)put_text(p - strlen(name), name);
	return end;
}

static char *put_escaped(char *p, const char *value)
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

void header_put(const struct header_text *text, void *out, char **crcs)
{
	char *p = put_text(out, FIRST_LINE);

	p = put_number(p, "txid=", text->txid);
	p = put_number(p, "n=", text->n);
	p = put_number(p, "bytes=", text->bytes);
	*crcs = p = put_text(p, "crc=");
	p = put_text(p + text->n * HEADER_CRC_DIGITS, "\n");
	for (size_t i = 0; i < text->line_count; i++) {
		p = put_text(put_text(p, text->lines[i].name), "=");
		p = put_text(put_escaped(p, text->lines[i].value), "\n");
	}
}

void header_put_crc(char *crcs, size_t i, uint32_t crc)
{
	for (int digit = HEADER_CRC_DIGITS - 1; digit >= 0; digit--, crc >>= 4)
		crcs[i * HEADER_CRC_DIGITS + (size_t)digit] = lower[crc & 15];
}

uint32_t header_crc(const struct dwal_header *header, uint64_t i)
{
	const char *digits = (const char *)header->crc.data + i * HEADER_CRC_DIGITS;
	uint32_t crc = 0;

	for (int k = 0; k < HEADER_CRC_DIGITS; k++)
		crc = crc << 4 |
		      (uint32_t)(is_digit(digits[k]) ? digits[k] - '0' : digits[k] - 'a' + 10);
	return crc;
}
