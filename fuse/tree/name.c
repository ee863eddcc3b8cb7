/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Keys and file names: see name.h. Encoder and decoder ask the same question,
 * shows_in_full(): of the component to be written, of the name to be read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tree/name.h"

#include "component.h"
#include "utf8.h"

#define EMPTY_NAME "\\empty"
#define LONG_WORD  "\\long-"

/* What of a component's form the long form has room for, in bytes. */
#define LONG_PREFIX_MAX (NAME_MAX - strlen(LONG_WORD) - 32)

/* A file name under construction. */
struct name_text {
	char *bytes; /* NAME_SIZE of them */
	size_t len;
	bool overflow;
};

static void add(struct name_text *text, const char *bytes, size_t len)
{
	if (len > NAME_MAX - text->len) {
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
	} escapes[] = {{"x00", '\0'}, {"x2f", '/'}, {"x5c", '\\'}};

	for (size_t i = 0; len >= 3 && i < sizeof(escapes) / sizeof(escapes[0]); i++)
		if (memcmp(bytes, escapes[i].code, 3) == 0)
			return escapes[i].byte;
	return -1;
}

/* Is it one of the words whose first dot is escaped? */
static bool is_dots(const char *raw, size_t len, bool first)
{
	return equals(raw, len, ".") || equals(raw, len, "..") ||
	       (first && equals(raw, len, ".log"));
}

/* Is this, behind a backslash, the rest of the full form of a whole word? */
static bool is_word(const char *rest, size_t len, bool first)
{
	return equals(rest, len, "x2e") || equals(rest, len, "x2e.") ||
	       (first && (equals(rest, len, "x2elog") || equals(rest, len, "empty")));
}

/* Can it be no file name as it is, or one that means something else? */
static bool is_special(const struct name_part *part)
{
	const char *raw = part->raw;
	size_t len = part->len;

	return len == 0 || memchr(raw, '\0', len) || memchr(raw, '/', len) ||
	       is_dots(raw, len, part->first) || ends_with(raw, len, NAME_VALUE_SUFFIX);
}

/* The number of "x5c" here. */
static size_t times_escaped(const char *bytes, size_t len)
{
	size_t n = 0;

	while (len - 3 * n >= 3 && memcmp(bytes + 3 * n, "x5c", 3) == 0)
		n++;
	return n;
}

/* The least number of "x5c" behind a backslash of the component; false without one. */
static bool least_escaped(const struct name_part *part, size_t *times)
{
	const char *end = part->raw + part->len, *at = part->raw;
	size_t n;

	*times = SIZE_MAX;
	for (; (at = memchr(at, '\\', (size_t)(end - at))); at += 3 * n) {
		at++;
		n = times_escaped(at, (size_t)(end - at));
		if (n < *times)
			*times = n;
	}
	return *times != SIZE_MAX;
}

/* Is the component, but for so many "x5c" behind each backslash, the full form
 * of a component? Of one with a '/' only where that separates nothing. */
static bool is_full_form(const struct name_part *part, size_t times)
{
	bool leading = true, ended = false;

	for (size_t i = 0; i < part->len; i++) {
		int byte = part->raw[i];

		if (ended)
			return false;
		if (byte == '\\') {
			i += 1 + 3 * times;
			byte = escaped_byte(part->raw + i, part->len - i);
			if (byte < 0)
				return false;
			i += 2;
		}
		leading = leading && byte == '/';
		ended = byte == '/' && !leading;
	}
	return true;
}

/* Has it nothing that makes it special or is an escape? So are nearly all. */
static bool is_plain(const struct name_part *part)
{
	for (size_t i = 0; i < part->len; i++)
		if (part->raw[i] == '\\' || part->raw[i] == '/' || part->raw[i] == '\0')
			return false;
	return part->len > 0 && part->raw[0] != '.';
}

static bool shows_in_full(const struct name_part *part)
{
	size_t times, slash;

	if (is_plain(part))
		return false;
	if (is_special(part))
		return true;
	if (!least_escaped(part, &times))
		return false;
	slash = 1 + 3 * times; /* with what escapes it */
	if (part->raw[0] == '\\' && is_word(part->raw + slash, part->len - slash, part->first))
		return true;
	slash += strlen("value");
	if (part->len >= slash && part->raw[part->len - slash] == '\\' &&
	    ends_with(part->raw, part->len, "value"))
		return true;
	return is_full_form(part, times);
}

/* What is written for byte i of a component in full form, or NULL for the byte
 * itself. */
static const char *escape_of(const struct name_part *part, size_t i)
{
	switch (part->raw[i]) {
	case '\0':
		return "\\x00";
	case '/':
		return "\\x2f";
	case '\\':
		return "\\x5c";
	case '.':
		return i == 0 && is_dots(part->raw, part->len, part->first) ? "\\x2e" : NULL;
	default:
		return NULL;
	}
}

/* What is written for the component from byte *i on, as little of it as a name
 * may be cut behind: an escape, a character, a byte. Moves *i on. */
static const char *next_unit(const struct name_part *part, bool full, size_t *i, size_t *len)
{
	const char *raw = part->raw + *i, *escape = full ? escape_of(part, *i) : NULL;

	*len = escape ? strlen(escape) : utf8_char(raw, part->len - *i, NULL);
	if (*len == 0)
		*len = 1;
	*i += escape ? 1 : *len;
	return escape ? escape : raw;
}

static void encode(const struct name_part *part, bool full, bool value_suffix,
		   struct name_text *text)
{
	if (part->len == 0)
		add(text, EMPTY_NAME, strlen(EMPTY_NAME));
	if (!full)
		add(text, part->raw, part->len);
	for (size_t i = 0, n; full && i < part->len && !text->overflow;) {
		const char *unit = next_unit(part, full, &i, &n);

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
static void write_long(const struct name_part *part, bool full, bool value_suffix,
		       char name[NAME_SIZE])
{
	struct hash128 hash = {0x6c62272e07bb0142, 0x62b821756295c58d};
	size_t len = 0;
	bool fits = true;

	for (size_t i = 0, n; i < part->len;) {
		const char *unit = next_unit(part, full, &i, &n);

		hash_add(&hash, unit, n);
		fits = fits && n <= LONG_PREFIX_MAX - len;
		if (fits) {
			memcpy(name + len, unit, n);
			len += n;
		}
	}
	if (value_suffix)
		hash_add(&hash, NAME_VALUE_SUFFIX, strlen(NAME_VALUE_SUFFIX));
	(void)snprintf(name + len, NAME_SIZE - len, LONG_WORD "%016" PRIx64 "%016" PRIx64,
		       hash.high, hash.low); /* has room: see LONG_PREFIX_MAX */
}

bool name_next(const void *key, size_t key_len, size_t *cursor, struct name_part *part)
{
	const char *bytes = key;
	size_t start = *cursor, end;

	if (start > key_len)
		return false;
	end = component_end(key, key_len, start);
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
	bool full = shows_in_full(part);
	struct name_text text = {.bytes = name};

	encode(part, full, value_suffix, &text);
	if (text.overflow) {
		write_long(part, full, value_suffix, name);
		return NAME_IS_LONG;
	}
	name[text.len] = '\0';
	return 0;
}

/* No directory has a key that is empty (but the root) or ends in '/', so no
 * value stands beside one either. */
static bool can_be_dir(const struct name_part *part)
{
	return part->len > 0 && part->raw[part->len - 1] != '/';
}

/* Takes the full form away; raw has room for len bytes. */
static size_t unescape(const char *name, size_t len, char *raw)
{
	size_t n = 0;

	if (equals(name, len, EMPTY_NAME))
		return 0;
	for (size_t i = 0; i < len; i++) {
		char byte = name[i];

		if (byte == '\\') {
			int escaped = escaped_byte(name + i + 1, len - i - 1);
			byte = escaped < 0 ? '.' : (char)escaped;
			i += 3;
		}
		raw[n++] = byte;
	}
	return n;
}

int name_decode(const char *name, bool first, enum name_use use, char raw[NAME_SIZE],
		size_t *raw_len, bool *value_suffix)
{
	size_t len = strnlen(name, NAME_SIZE);
	bool suffix = use == NAME_FILE && ends_with(name, len, NAME_VALUE_SUFFIX);
	struct name_part part = {.raw = name, .first = first};
	char bytes[NAME_SIZE];

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	part.len = suffix ? len - strlen(NAME_VALUE_SUFFIX) : len;
	if (is_special(&part))
		return -EINVAL;
	if (shows_in_full(&part)) {
		part.len = unescape(name, part.len, bytes);
		part.raw = bytes;
		if ((suffix || use == NAME_DIR) && !can_be_dir(&part))
			return -EINVAL;
	}
	memcpy(raw, part.raw, part.len);
	*raw_len = part.len;
	*value_suffix = suffix;
	return 0;
}
