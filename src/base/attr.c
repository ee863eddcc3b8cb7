/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Attribute and clock records: see attr.h. The format is ATTRIBUTES.md, which
 * gives each value exactly one spelling; so the parsers are strict.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "attr.h"

#define ATTR_PREFIX  "datawalfs.attr 1\n"
#define CLOCK_PREFIX "datawalfs.clock 1\n"

#define MODE_DIGITS 4
#define NSEC_DIGITS 9
#define MAX_ID      (UINT32_MAX - 1) /* the highest value means "no id" to chown(2) */

static_assert(sizeof(time_t) == 8, "times are 64-bit");

static const char *const type_names[] = {
	[ATTR_NONE] = "none",       [ATTR_DIR] = "dir",     [ATTR_FILE] = "file",
	[ATTR_SYMLINK] = "symlink", [ATTR_FIFO] = "fifo",   [ATTR_SOCKET] = "socket",
	[ATTR_CHAR] = "char",       [ATTR_BLOCK] = "block",
};

/* Text that is left to be read. */
struct text {
	const char *at;
	size_t len;
};

static bool take_word(struct text *text, const char *word)
{
	size_t n = strlen(word);

	if (n > text->len || memcmp(text->at, word, n) != 0)
		return false;
	text->at += n;
	text->len -= n;
	return true;
}

/* The bytes before the next stop byte, and past it. */
static bool take_until(struct text *text, char stop, struct text *out)
{
	const char *end = text->len > 0 ? memchr(text->at, stop, text->len) : NULL;

	if (!end)
		return false;
	*out = (struct text){text->at, (size_t)(end - text->at)};
	text->len -= out->len + 1;
	text->at = end + 1;
	return true;
}

static bool is_word(struct text text, const char *word)
{
	return take_word(&text, word) && text.len == 0;
}

/* Exactly n digits of the base, which is at most 10. */
static bool take_digits(struct text *text, unsigned int n, unsigned int base, uint64_t *out)
{
	uint64_t value = 0;

	if (n > text->len)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int digit = (unsigned char)text->at[i] - (unsigned int)'0';

		if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	text->at += n;
	text->len -= n;
	*out = value;
	return true;
}

/* A decimal number without needless zeros, up to max. */
static bool take_number(struct text *text, uint64_t max, uint64_t *out)
{
	unsigned int n = 0;
	uint64_t value;

	while (n < text->len && n < 20 && text->at[n] >= '0' && text->at[n] <= '9')
		n++;
	if (n == 0 || (n > 1 && text->at[0] == '0'))
		return false;
	if (!take_digits(text, n, 10, &value) || value > max)
		return false;
	*out = value;
	return true;
}

static bool take_seconds(struct text *text, int64_t *out)
{
	bool negative = take_word(text, "-");
	uint64_t value;

	if (!take_number(text, (uint64_t)INT64_MAX + negative, &value) || (negative && value == 0))
		return false;
	*out = (int64_t)(negative ? -value : value);
	return true;
}

static bool parse_type(struct text text, enum attr_type *out)
{
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
		if (is_word(text, type_names[i])) {
			*out = (enum attr_type)i;
			return true;
		}
	}
	return false;
}

static bool parse_id(struct text text, uint32_t *out)
{
	uint64_t value;

	if (!take_number(&text, MAX_ID, &value) || text.len != 0)
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool parse_mode(struct text text, mode_t *out)
{
	uint64_t value;

	if (!take_digits(&text, MODE_DIGITS, 8, &value) || text.len != 0)
		return false;
	*out = (mode_t)value;
	return true;
}

static bool parse_rdev(struct text text, dev_t *out)
{
	uint64_t major_number, minor_number;

	if (!take_number(&text, UINT32_MAX, &major_number) || !take_word(&text, ":") ||
	    !take_number(&text, UINT32_MAX, &minor_number) || text.len != 0)
		return false;
	*out = makedev((unsigned int)major_number, (unsigned int)minor_number);
	return true;
}

static bool parse_time(struct text text, struct timespec *out)
{
	int64_t seconds;
	uint64_t nanoseconds;

	if (!take_seconds(&text, &seconds) || !take_word(&text, ".") ||
	    !take_digits(&text, NSEC_DIGITS, 10, &nanoseconds) || text.len != 0)
		return false;
	*out = (struct timespec){.tv_sec = seconds, .tv_nsec = (long)nanoseconds};
	return true;
}

static bool parse_ino(struct text text, uint64_t *out)
{
	return take_number(&text, INO_LAST, out) && *out >= INO_FIRST && text.len == 0;
}

static unsigned int field_bit(struct text name)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} fields[] = {
		{"mode", ATTR_HAS_MODE},   {"uid", ATTR_HAS_UID},     {"gid", ATTR_HAS_GID},
		{"rdev", ATTR_HAS_RDEV},   {"mtime", ATTR_HAS_MTIME}, {"atime", ATTR_HAS_ATIME},
		{"ctime", ATTR_HAS_CTIME}, {"ino", ATTR_HAS_INO},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (is_word(name, fields[i].name))
			return fields[i].bit;
	return 0;
}

/* One field behind the type. False: known, but malformed or there twice. */
static bool parse_field(struct attr *attr, struct text name, struct text value)
{
	unsigned int bit = field_bit(name);

	if (attr->present & bit)
		return false;
	attr->present |= bit;
	switch (bit) {
	case ATTR_HAS_MODE:
		return parse_mode(value, &attr->mode);
	case ATTR_HAS_UID:
		return parse_id(value, &attr->uid);
	case ATTR_HAS_GID:
		return parse_id(value, &attr->gid);
	case ATTR_HAS_RDEV:
		return parse_rdev(value, &attr->rdev);
	case ATTR_HAS_MTIME:
		return parse_time(value, &attr->mtime);
	case ATTR_HAS_ATIME:
		return parse_time(value, &attr->atime);
	case ATTR_HAS_CTIME:
		return parse_time(value, &attr->ctime);
	case ATTR_HAS_INO:
		return parse_ino(value, &attr->ino);
	default: /* unknown, or an extended attribute */
		return name.len > 0 && !is_word(name, "type");
	}
}

bool attr_parse(const void *payload, size_t len, struct attr *out)
{
	struct text text = {payload, len}, line, name;
	struct attr attr = {0};
	bool device;

	if (!take_word(&text, ATTR_PREFIX "type=") || !take_until(&text, '\n', &line) ||
	    !parse_type(line, &attr.type))
		return false;
	while (text.len > 0) {
		if (!take_until(&text, '\n', &line) || !take_until(&line, '=', &name) ||
		    !parse_field(&attr, name, line))
			return false;
	}
	device = attr.type == ATTR_CHAR || attr.type == ATTR_BLOCK;
	if (device != !!(attr.present & ATTR_HAS_RDEV))
		return false;
	*out = attr;
	return true;
}

int attr_parse_xattrs(const void *payload, size_t len, struct xattr **out)
{
	struct text text = {payload, len}, line, name;
	struct xattr *list = NULL;

	while (take_until(&text, '\n', &line)) {
		if (!take_until(&line, '=', &name) || !take_word(&name, XATTR_FIELD))
			continue;
		if (xattr_set_line(&list, name.at, name.len, line.at, line.len) == ENOMEM) {
			xattr_free(list);
			return ENOMEM;
		}
	}
	*out = list;
	return 0;
}

/* A payload under construction. */
struct draft {
	char text[ATTR_TEXT_SIZE];
	char *at;
};

/* Returns the end of what it wrote: n with at least so many digits. (A mount writes
 * times with each change; printf took five times as many instructions.) */
static char *put_digits(char *p, uint64_t n, unsigned base, size_t least)
{
	char digits[24]; /* the last one first; of a uint64_t there are 22 at most, in octal */
	size_t len = 0;

	for (; n || len < least; n /= base)
		digits[len++] = (char)('0' + n % base);
	while (len)
		*p++ = digits[--len];
	return p;
}

static void add(struct draft *draft, const char *word)
{
	draft->at = stpcpy(draft->at, word);
}

static void add_number(struct draft *draft, const char *name, uint64_t n)
{
	add(draft, name);
	draft->at = put_digits(draft->at, n, 10, 1);
	add(draft, "\n");
}

static void add_time(struct draft *draft, const char *name, struct timespec time)
{
	add(draft, name);
	time_format(time, draft->at);
	draft->at += strlen(draft->at);
	add(draft, "\n");
}

static void add_type(struct draft *draft, const struct attr *attr)
{
	add(draft, ATTR_PREFIX "type=");
	add(draft, type_names[attr->type]);
	add(draft, "\n");
	if (attr->present & ATTR_HAS_RDEV) {
		add(draft, "rdev=");
		draft->at = put_digits(draft->at, major(attr->rdev), 10, 1);
		add_number(draft, ":", minor(attr->rdev));
	}
}

static void add_mode(struct draft *draft, mode_t mode)
{
	add(draft, "mode=");
	draft->at = put_digits(draft->at, mode & 07777, 8, MODE_DIGITS);
	add(draft, "\n");
}

size_t attr_format(const struct attr *attr, char *buf, size_t size)
{
	struct draft draft;
	size_t len;

	draft.at = draft.text;
	add_type(&draft, attr);
	if (attr->present & ATTR_HAS_MODE)
		add_mode(&draft, attr->mode);
	if (attr->present & ATTR_HAS_UID)
		add_number(&draft, "uid=", attr->uid);
	if (attr->present & ATTR_HAS_GID)
		add_number(&draft, "gid=", attr->gid);
	if (attr->present & ATTR_HAS_MTIME)
		add_time(&draft, "mtime=", attr->mtime);
	if (attr->present & ATTR_HAS_ATIME)
		add_time(&draft, "atime=", attr->atime);
	if (attr->present & ATTR_HAS_CTIME)
		add_time(&draft, "ctime=", attr->ctime);
	if (attr->present & ATTR_HAS_INO)
		add_number(&draft, "ino=", attr->ino);
	len = (size_t)(draft.at - draft.text);
	assert(len < sizeof(draft.text)); /* room for every field at its longest */
	if (len > size)
		return 0;
	memcpy(buf, draft.text, len);
	return len;
}

int attr_format_full(const struct attr *attr, const struct xattr *xattrs, char **text, size_t *len)
{
	char fields[ATTR_TEXT_SIZE];
	size_t fields_len = attr_format(attr, fields, sizeof(fields));
	size_t lines_len = xattr_lines_len(xattrs);
	char *full = malloc(fields_len + lines_len);

	if (!full)
		return ENOMEM;
	memcpy(full, fields, fields_len);
	xattr_write_lines(xattrs, full + fields_len);
	*text = full;
	*len = fields_len + lines_len;
	return 0;
}

bool clock_parse(const void *key, size_t key_len, const void *payload, size_t len, int64_t *seconds)
{
	struct text text = {payload, len};
	int64_t value;

	if (!is_word((struct text){key, key_len}, CLOCK_KEY) ||
	    !take_word(&text, CLOCK_PREFIX "time=") || !take_seconds(&text, &value) ||
	    !is_word(text, "\n") || value == INT64_MIN)
		return false;
	*seconds = value;
	return true;
}

void time_format(struct timespec time, char text[TIME_TEXT_SIZE])
{
	const bool before = time.tv_sec < 0;
	const uint64_t seconds = (uint64_t)time.tv_sec;

	if (before)
		*text++ = '-';
	text = put_digits(text, before ? -seconds : seconds, 10, 1);
	*text++ = '.';
	*put_digits(text, (uint64_t)time.tv_nsec, 10, NSEC_DIGITS) = '\0';
}

bool time_parse(const char *text, struct timespec *out)
{
	return parse_time((struct text){text, strlen(text)}, out);
}
