/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Keys and file names: see name.h. The encoder is the definition; the decoder
 * undoes escapes generously and then accepts only what the encoder would have
 * written, so the two cannot drift apart.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "name.h"

#define EMPTY_NAME  "\\empty"
#define LONG_WORD   "long-"
#define LONG_DIGITS 32

/* What of a component's escaped form the long form has room for, in bytes. */
#define LONG_PREFIX_MAX (NAME_MAX - strlen("\\" LONG_WORD) - LONG_DIGITS)

/* A file name under construction. */
struct name_text {
	char bytes[NAME_MAX];
	size_t len;
	bool overflow;
};

static void add(struct name_text *text, const char *bytes, size_t len)
{
	if (len > sizeof(text->bytes) - text->len) {
		text->overflow = true;
		return;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static bool equals(const char *bytes, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(bytes, word, len) == 0;
}

static bool ends_with(const char *bytes, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && memcmp(bytes + len - n, word, n) == 0;
}

/* The byte that the three bytes behind a backslash stand for, or -1. */
static int escaped_byte(const char *bytes, size_t len)
{
	static const struct {
		char code[4];
		char byte;
	} escapes[] = {{"x00", '\0'}, {"x2e", '.'}, {"x2f", '/'}, {"x5c", '\\'}};

	for (size_t i = 0; len >= 3 && i < sizeof(escapes) / sizeof(escapes[0]); i++)
		if (memcmp(bytes, escapes[i].code, 3) == 0)
			return escapes[i].byte;
	return -1;
}

/* Is this, behind a backslash, what a long form ends in? */
static bool is_long_end(const char *bytes, size_t len)
{
	size_t n = strlen(LONG_WORD);

	if (len != n + LONG_DIGITS || memcmp(bytes, LONG_WORD, n) != 0)
		return false;
	for (; n < len; n++)
		if (bytes[n] == '\0' || !strchr("0123456789abcdef", bytes[n]))
			return false;
	return true;
}

/* Would a backslash before the rest of a component read as an escape? */
static bool reads_as_escape(const char *rest, size_t len)
{
	return escaped_byte(rest, len) >= 0 || equals(rest, len, "value") || is_long_end(rest, len);
}

/* Components that are escaped as a whole, because a file name that is right
 * byte by byte means something else in this place. */
static bool is_reserved(const struct name_part *part)
{
	const char *raw = part->raw;
	size_t len = part->len;

	if (equals(raw, len, ".") || equals(raw, len, ".."))
		return true;
	return part->first && (equals(raw, len, ".log") || equals(raw, len, EMPTY_NAME));
}

/* What is written for byte i of the component, or NULL for the byte itself. */
static const char *escape_of(const struct name_part *part, size_t i)
{
	bool reserved = i == 0 && is_reserved(part);

	switch (part->raw[i]) {
	case '\0':
		return "\\x00";
	case '/':
		return "\\x2f";
	case '.':
		return reserved ? "\\x2e" : NULL;
	case '\\':
		reserved |= reads_as_escape(part->raw + i + 1, part->len - i - 1);
		return reserved ? "\\x5c" : NULL;
	default:
		return NULL;
	}
}

/* The length of the character that starts here, 1 where it is not UTF-8. */
static size_t char_len(const char *bytes, size_t len)
{
	unsigned char lead = (unsigned char)bytes[0];
	unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	size_t n = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (n > len)
		return 1;
	for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
		if ((unsigned char)bytes[i] < low || (unsigned char)bytes[i] > high)
			return 1;
	return n;
}

/* What is written for the component from byte *i on, as little of it as a name
 * may be cut behind: an escape, a character, a byte. Moves *i on. */
static const char *next_unit(const struct name_part *part, size_t *i, size_t *len)
{
	const char *raw = part->raw + *i, *escape = escape_of(part, *i);

	*len = escape ? strlen(escape) : char_len(raw, part->len - *i);
	*i += escape ? 1 : *len;
	return escape ? escape : raw;
}

static void encode(const struct name_part *part, bool value_suffix, struct name_text *text)
{
	text->len = 0;
	text->overflow = false;
	if (part->len == 0)
		add(text, EMPTY_NAME, strlen(EMPTY_NAME));
	for (size_t i = 0, n; i < part->len && !text->overflow;) {
		const char *unit = next_unit(part, &i, &n);

		add(text, unit, n);
	}
	if (value_suffix)
		add(text, NAME_VALUE_SUFFIX, strlen(NAME_VALUE_SUFFIX));
}

struct hash128 {
	uint64_t high, low;
};

/* FNV-1a. The prime is 2^88 + 0x13b: its upper part only shifts. */
static void hash_add(struct hash128 *hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t low = hash->low ^ (unsigned char)bytes[i];
		uint64_t right = (low & UINT32_MAX) * 0x13b;
		uint64_t left = (low >> 32) * 0x13b + (right >> 32);

		hash->high = hash->high * 0x13b + (left >> 32) + (low << 24);
		hash->low = left << 32 | (right & UINT32_MAX);
	}
}

/* Goes over the whole component once more: short names pay for no hash. */
static void write_long(const struct name_part *part, bool value_suffix, char name[NAME_SIZE])
{
	struct hash128 hash = {0x6c62272e07bb0142, 0x62b821756295c58d};
	size_t len = 0;
	bool fits = true;

	for (size_t i = 0, n; i < part->len;) {
		const char *unit = next_unit(part, &i, &n);

		hash_add(&hash, unit, n);
		fits = fits && n <= LONG_PREFIX_MAX - len;
		if (fits) {
			memcpy(name + len, unit, n);
			len += n;
		}
	}
	if (value_suffix)
		hash_add(&hash, NAME_VALUE_SUFFIX, strlen(NAME_VALUE_SUFFIX));
	(void)snprintf(name + len, NAME_SIZE - len, "\\" LONG_WORD "%016" PRIx64 "%016" PRIx64,
		       hash.high, hash.low); /* has room: see LONG_PREFIX_MAX */
}

bool name_next(const void *key, size_t key_len, size_t *cursor, struct name_part *part)
{
	const char *bytes = key;
	size_t start = *cursor, end;

	if (start > key_len)
		return false;

	/* A '/' that follows another, or opens the key, belongs to the component. */
	for (end = start; end < key_len && bytes[end] == '/'; end++)
		;
	while (end < key_len && bytes[end] != '/')
		end++;
	if (end + 1 >= key_len)
		end = key_len; /* also over a '/' that ends the key */

	*part = (struct name_part){
		.raw = key_len > 0 ? bytes + start : "",
		.len = end - start,
		.first = start == 0,
		.last = end == key_len,
	};
	*cursor = end + 1;
	return true;
}

int name_encode(const struct name_part *part, bool value_suffix, char name[NAME_SIZE])
{
	struct name_text text;

	encode(part, value_suffix, &text);
	if (text.overflow) {
		write_long(part, value_suffix, name);
		return NAME_IS_LONG;
	}
	memcpy(name, text.bytes, text.len);
	name[text.len] = '\0';
	return 0;
}

bool name_is_long(const char *name)
{
	const size_t end_len = strlen(LONG_WORD) + LONG_DIGITS;
	size_t len = strnlen(name, NAME_SIZE);

	if (len > NAME_MAX || len <= end_len)
		return false;
	name += len - end_len;
	return name[-1] == '\\' && is_long_end(name, end_len);
}

/* Undoes every escape of a name of len bytes; raw has room for as many. */
static size_t unescape(const char *name, size_t len, char *raw)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int byte = name[i] == '\\' ? escaped_byte(name + i + 1, len - i - 1) : -1;

		raw[n++] = byte >= 0 ? (char)byte : name[i];
		if (byte >= 0)
			i += 3;
	}
	return n;
}

/* Does each '/' of a component stand where it is no separator of the key? */
static bool slashes_fit(const char *raw, size_t len, bool may_end_in_slash)
{
	const char *slash;
	size_t i = 0;

	if (len > 0 && raw[len - 1] == '/' && !may_end_in_slash)
		return false;
	while (i < len && raw[i] == '/')
		i++;
	slash = i < len ? memchr(raw + i, '/', len - i) : NULL;
	return !slash || slash == raw + len - 1;
}

int name_decode(const char *name, bool first, enum name_use use, char raw[NAME_SIZE],
		size_t *raw_len, bool *value_suffix)
{
	struct name_text again;
	char bytes[NAME_SIZE];
	size_t len = strnlen(name, NAME_SIZE), stem = len;
	bool suffix = use == NAME_FILE && ends_with(name, len, NAME_VALUE_SUFFIX);
	struct name_part part = {.raw = bytes, .first = first, .last = use == NAME_FILE};

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	if (suffix)
		stem -= strlen(NAME_VALUE_SUFFIX);
	if (!first || use != NAME_FILE || !equals(name, len, EMPTY_NAME))
		part.len = unescape(name, stem, bytes);

	/* No directory has a key that is empty (but the root) or ends in '/', so
	 * no value stands beside one either. */
	if (!slashes_fit(bytes, part.len, use == NAME_FILE && !suffix))
		return -EINVAL;
	encode(&part, suffix, &again);
	if (again.overflow || again.len != len || memcmp(again.bytes, name, len) != 0)
		return -EINVAL;

	memcpy(raw, bytes, part.len);
	*raw_len = part.len;
	*value_suffix = suffix;
	return 0;
}
