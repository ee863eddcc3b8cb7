/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Bytes for people, and the beginning of a JSON line. It must not know where they come
 * from.
 */
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "cli.h"
#include "utf8.h"

static bool is_break(unsigned char c)
{
	return c == '\n' || c == '\t' || c == '\r';
}

/* Text is what can be shown as it is, breaks included. A character that was
 * cut in two at the end is left out: *len shrinks by it. */
static bool is_text(const unsigned char *s, size_t *len, bool was_cut)
{
	size_t at = 0, n;

	while (at < *len) {
		n = is_break(s[at]) ? 1 : utf8_shown(s + at, *len - at);
		if (!n) {
			if (!was_cut || *len - at > 3 || s[at] < 0xc0)
				return false;
			*len = at;
		}
		at += n;
	}
	return true;
}

static bool has_prefix(struct dwal_bytes b, const char *prefix)
{
	return b.len >= strlen(prefix) && !memcmp(b.data, prefix, strlen(prefix));
}

/* Bare text must read as one word and as nothing else. */
static bool needs_quotes(struct dwal_bytes b)
{
	const unsigned char *s = b.data;

	if (!b.len || has_prefix(b, "b64:") || has_prefix(b, "hex:"))
		return true;
	for (size_t i = 0; i < b.len; i++)
		if (s[i] == ' ' || s[i] == '"' || s[i] == '\\' || s[i] == '\'' || is_break(s[i]))
			return true;
	return false;
}

static void write_bytes(FILE *to, struct dwal_bytes b)
{
	if (b.len)
		fwrite_unlocked(b.data, 1, b.len, to);
}

static void write_quoted(FILE *to, struct dwal_bytes b)
{
	const unsigned char *s = b.data;

	putc_unlocked('"', to);
	for (size_t i = 0; i < b.len; i++) {
		if (s[i] == '"' || s[i] == '\\' || is_break(s[i]))
			putc_unlocked('\\', to);
		putc_unlocked(s[i] == '\n'   ? 'n'
			      : s[i] == '\t' ? 't'
			      : s[i] == '\r' ? 'r'
					     : s[i],
			      to);
	}
	putc_unlocked('"', to);
}

static void write_hex(FILE *to, struct dwal_bytes b)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *s = b.data;

	for (size_t i = 0; i < b.len; i++) {
		putc_unlocked(digits[s[i] >> 4], to);
		putc_unlocked(digits[s[i] & 15], to);
	}
}

/* In a form that holds any bytes. */
static void write_encoded(FILE *to, struct dwal_bytes bytes, enum bytes_form form)
{
	if (form == BYTES_RAW) {
		write_bytes(to, bytes);
	} else if (form == BYTES_HEX) {
		write_hex(to, bytes);
	} else {
		if (form == BYTES_AUTO) /* where text could stand as well */
			fputs("b64:", to);
		base64_write(to, bytes.data, bytes.len);
	}
}

static struct dwal_bytes cut_to(struct dwal_bytes bytes, size_t cut)
{
	return (struct dwal_bytes){bytes.data, bytes.len < cut ? bytes.len : cut};
}

void print_field(FILE *to, struct dwal_bytes bytes, enum bytes_form form, size_t cut)
{
	struct dwal_bytes shown = cut_to(bytes, cut);

	if (form != BYTES_AUTO || !is_text(shown.data, &shown.len, bytes.len > cut))
		write_encoded(to, shown, form);
	else if (needs_quotes(shown))
		write_quoted(to, shown);
	else
		write_bytes(to, shown);
	if (bytes.len > cut)
		fputs("...", to);
}

void print_value(FILE *to, struct dwal_bytes bytes, enum bytes_form form, size_t cut)
{
	struct dwal_bytes shown = cut_to(bytes, cut);

	if (form == BYTES_AUTO && is_text(shown.data, &shown.len, bytes.len > cut) &&
	    !has_prefix(shown, "b64:"))
		form = BYTES_RAW;
	write_encoded(to, shown, form);
	if (bytes.len > cut)
		fputs("...", to);
}

void complain_bytes(const char *where, const char *what, struct dwal_bytes bytes)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (to) {
		print_field(to, bytes, BYTES_AUTO, CLI_CUT);
		(void)fclose(to); /* to memory: text is NULL if that ran out */
	}
	complain("%s: %s%s", where, what, text ? text : "?");
	free(text);
}

struct json json_line_to(FILE *to, const char *kind)
{
	struct json json;

	json_init(&json, to, JSON_LINE);
	json_open(&json, NULL, '{');
	json_text(&json, "schema", "datawal.cli.v1");
	json_text(&json, "kind", kind);
	return json;
}

struct json json_line(const char *kind)
{
	return json_line_to(stdout, kind);
}

struct json json_record(const char *kind, const struct dwal_record *r)
{
	struct json json = json_line(kind);

	json_number(&json, "segment", r->segment);
	json_number(&json, "offset", r->offset);
	json_number(&json, "len", r->length);
	json_text(&json, "record_type", dwal_type_name(r->type));
	json_number(&json, "txid", r->txid);
	return json;
}

void print_record_head(const struct dwal_record *r, const char *what)
{
	printf("%u:%llu %s txid=%llu len=%u", r->segment, (unsigned long long)r->offset, what,
	       (unsigned long long)r->txid, r->length);
}
