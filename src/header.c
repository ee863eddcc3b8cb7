/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The header of an operation: text to fields and back. Pure. Must not know
 * where the frames are that it announces, nor what follows from them.
 */
#include "header.h"
#include "text.h"
#include "util.h"

#include <errno.h>

#define FIRST_LINE "datawal batch 1\n"
#define MOST       ((uint64_t)1 << 32) /* records of an operation */

/* A name for a line of the caller's: none of ours. */
static bool is_name(const char *name, size_t len)
{
	static const char *const ours[] = {"txid", "n", "bytes", "crc"};

	if (!text_is_name(name, len))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (len == strlen(ours[i]) && memcmp(name, ours[i], len) == 0)
			return false;
	return true;
}

static bool take_crcs(struct text *text, uint64_t n, struct dwal_bytes *out)
{
	const char *start, *end;

	if (!text_take(text, "crc=") || n > MOST ||
	    (uint64_t)(text->end - text->at) < n * HEADER_CRC_DIGITS)
		return false;
	start = text->at;
	for (end = start + n * HEADER_CRC_DIGITS; text->at < end; text->at++)
		if (!text_is_digit(*text->at) && (*text->at < 'a' || *text->at > 'f'))
			return false;
	*out = (struct dwal_bytes){start, (size_t)(end - start)};
	return text_take(text, "\n");
}

static bool is_line(struct text line)
{
	size_t name_len;

	return text_is_line(line, &name_len) && is_name(line.at, name_len);
}

bool dwal_header_parse(const struct dwal_record *record, struct dwal_header *out)
{
	struct text text = text_of(record->payload);
	struct dwal_header header;

	if (!text_is_of(record, HEADER_KEY))
		return false;
	if (!text_take(&text, FIRST_LINE) || !text_take_number(&text, "txid=", &header.txid) ||
	    header.txid != record->txid || !text_take_number(&text, "n=", &header.n) ||
	    !text_take_number(&text, "bytes=", &header.bytes) ||
	    !take_crcs(&text, header.n, &header.crc))
		return false;
	header.lines = (struct dwal_bytes){text.at, (size_t)(text.end - text.at)};
	while (text.at < text.end)
		if (!is_line(text_take_line(&text)))
			return false;
	*out = header;
	return true;
}

bool dwal_header_line(const struct dwal_header *header, const char *name, char *out, size_t size)
{
	struct text text = text_of(header->lines);

	while (text.at < text.end) {
		struct text line = text_take_line(&text);

		if (text_take(&line, name) && text_take(&line, "="))
			return text_unescape(line, out, size);
	}
	return false;
}

bool header_is_reserved(const struct dwal_op *op)
{
	const struct dwal_record record = {.type = op->type, .key = op->key};
	struct text text = text_of(op->payload);

	return text_is_of(&record, HEADER_KEY) && text_take(&text, FIRST_LINE);
}

int header_measure(const struct header_text *text, size_t *len)
{
	size_t all = strlen(FIRST_LINE) + text_number_len("txid=", text->txid) +
		     text_number_len("n=", text->n) + text_number_len("bytes=", text->bytes) +
		     strlen("crc=\n") + text->written_lines.len;

	if (text->n > DWAL_MAX_PAYLOAD / HEADER_CRC_DIGITS)
		return DWAL_EPAYLOADSIZE;
	all += (size_t)text->n * HEADER_CRC_DIGITS;
	for (size_t i = 0; i < text->line_count && all <= DWAL_MAX_PAYLOAD; i++) {
		const struct dwal_line *line = &text->lines[i];

		if (!line->name || !line->value || !is_name(line->name, strlen(line->name)))
			return -EINVAL;
		all += strlen(line->name) + text_escaped_len(line->value) + strlen("=\n");
	}
	*len = all;
	return all > DWAL_MAX_PAYLOAD ? DWAL_EPAYLOADSIZE : 0;
}

void header_put(const struct header_text *text, void *out, char **crcs)
{
	char *p = text_put(out, FIRST_LINE);

	p = text_put_number(p, "txid=", text->txid);
	p = text_put_number(p, "n=", text->n);
	p = text_put_number(p, "bytes=", text->bytes);
	*crcs = p = text_put(p, "crc=");
	p = text_put(p + text->n * HEADER_CRC_DIGITS, "\n");
	for (size_t i = 0; i < text->line_count; i++) {
		p = text_put(text_put(p, text->lines[i].name), "=");
		p = text_put(text_put_escaped(p, text->lines[i].value), "\n");
	}
	(void)put_bytes((unsigned char *)p, text->written_lines);
}

void header_put_crc(char *crcs, size_t i, uint32_t crc)
{
	static const char lower[] = "0123456789abcdef";

	for (int digit = HEADER_CRC_DIGITS - 1; digit >= 0; digit--, crc >>= 4)
		crcs[i * HEADER_CRC_DIGITS + (size_t)digit] = lower[crc & 15];
}

uint32_t header_crc(const struct dwal_header *header, uint64_t i)
{
	const char *digits = (const char *)header->crc.data + i * HEADER_CRC_DIGITS;
	uint32_t crc = 0;

	for (int k = 0; k < HEADER_CRC_DIGITS; k++)
		crc = crc << 4 |
		      (uint32_t)(text_is_digit(digits[k]) ? digits[k] - '0' : digits[k] - 'a' + 10);
	return crc;
}
