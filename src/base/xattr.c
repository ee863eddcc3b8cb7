/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Extended attributes of one file: see xattr.h. The text is ATTRIBUTES.md's,
 * which gives each name and value exactly one spelling; so reading is strict.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xattr.h"
#include "base64.h"

#define ENTRY_BYTES    16      /* what ext4 spends on an attribute besides name and value */
#define FREE_NAMESPACE "user." /* ext4 keeps it in a byte of the entry */

static const char hex_digits[] = "0123456789ABCDEF";

/* Does the byte stand for itself in NAME? */
static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* Records keep the byte order of NAME, where an escaped byte begins with '%',
 * which is below every plain one. */
static int rank(char c)
{
	return is_plain(c) ? 256 + c : (unsigned char)c;
}

static int compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return rank(*a) - rank(*b);
}

/* The link to the attribute, or to the one that it would precede. */
static struct xattr **seek(struct xattr **list, const char *name)
{
	while (*list && compare((*list)->name, name) < 0)
		list = &(*list)->next;
	return list;
}

static bool is_named(const struct xattr *xattr, const char *name)
{
	return xattr && strcmp(xattr->name, name) == 0;
}

const struct xattr *xattr_find(const struct xattr *list, const char *name)
{
	while (list && !is_named(list, name))
		list = list->next;
	return list;
}

static size_t round_up(size_t n)
{
	return (n + 3) / 4 * 4;
}

/* Other namespaces are counted, so that a list of names needs no more than the
 * total, whatever a record says. */
static size_t room_of(const char *name, size_t len)
{
	size_t namespace_len = strlen(FREE_NAMESPACE);

	if (strncmp(name, FREE_NAMESPACE, namespace_len) == 0)
		name += namespace_len;
	return ENTRY_BYTES + round_up(strlen(name)) + round_up(len);
}

size_t xattr_total(const struct xattr *list)
{
	size_t total = 0;

	for (; list; list = list->next)
		total += list->room;
	return total;
}

static int check(const struct xattr *list, const struct xattr *old, const char *name, size_t len)
{
	size_t name_len = strnlen(name, XATTR_NAME_BYTES + 1);
	size_t others = xattr_total(list) - (old ? old->room : 0);

	if (name_len == 0 || name_len > XATTR_NAME_BYTES)
		return ERANGE;
	if (len > XATTR_ONE_BYTES || room_of(name, len) > XATTR_ONE_BYTES)
		return ENOSPC;
	return room_of(name, len) > XATTR_TOTAL_BYTES - others ? ENOSPC : 0;
}

static struct xattr *make(const char *name, const void *value, size_t len)
{
	size_t name_size = strlen(name) + 1;
	struct xattr *xattr = malloc(sizeof(*xattr) + name_size + len);

	if (!xattr)
		return NULL;
	char *copy = xattr->name + name_size;
	memcpy(xattr->name, name, name_size);
	if (len > 0)
		memcpy(copy, value, len);
	xattr->next = NULL;
	xattr->value = copy;
	xattr->len = len;
	xattr->room = room_of(name, len);
	return xattr;
}

int xattr_set(struct xattr **list, const char *name, const void *value, size_t len)
{
	struct xattr **link = seek(list, name);
	struct xattr *old = is_named(*link, name) ? *link : NULL;
	int r = check(*list, old, name, len);

	if (r)
		return r;
	struct xattr *fresh = make(name, value, len);
	if (!fresh)
		return ENOMEM;
	fresh->next = old ? old->next : *link;
	*link = fresh;
	free(old);
	return 0;
}

bool xattr_remove(struct xattr **list, const char *name)
{
	struct xattr **link = seek(list, name);
	struct xattr *old = *link;

	if (!is_named(old, name))
		return false;
	*link = old->next;
	free(old);
	return true;
}

int xattr_copy(const struct xattr *list, struct xattr **out)
{
	struct xattr *copy = NULL, **end = &copy;

	for (; list; list = list->next) {
		*end = make(list->name, list->value, list->len);
		if (!*end) {
			xattr_free(copy);
			return ENOMEM;
		}
		end = &(*end)->next;
	}
	*out = copy;
	return 0;
}

void xattr_free(struct xattr *list)
{
	while (list) {
		struct xattr *next = list->next;

		free(list);
		list = next;
	}
}

/* The value of a digit, or -1. */
static int digit(const char *digits, char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Terminated. False: not of the form, or too long. */
static bool decode_name(const char *text, size_t len, char out[XATTR_NAME_BYTES + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (n == XATTR_NAME_BYTES)
			return false;
		if (!is_plain(c)) {
			int high = len - i > 2 ? digit(hex_digits, text[i + 1]) : -1;
			int low = len - i > 2 ? digit(hex_digits, text[i + 2]) : -1;

			if (c != '%' || high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			/* No name holds a NUL, and a plain byte has no second spelling. */
			if (c == '\0' || is_plain(c))
				return false;
			i += 2;
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return n > 0;
}

int xattr_set_line(struct xattr **list, const char *name, size_t name_len, const char *value,
		   size_t value_len)
{
	char plain_name[XATTR_NAME_BYTES + 1];
	unsigned char plain_value[XATTR_ONE_BYTES + 3];
	size_t len;

	if (!decode_name(name, name_len, plain_name))
		return EINVAL;
	if (value_len / 4 > sizeof(plain_value) / 3)
		return ENOSPC;
	if (!base64_decode(value, value_len, plain_value, &len))
		return EINVAL;
	return xattr_set(list, plain_name, plain_value, len);
}

size_t xattr_lines_len(const struct xattr *list)
{
	size_t len = 0;

	for (; list; list = list->next) {
		len += strlen(XATTR_FIELD "=\n") + (list->len + 2) / 3 * 4;
		for (const char *c = list->name; *c; c++)
			len += is_plain(*c) ? 1 : 3;
	}
	return len;
}

static char *write_name(const char *name, char *out)
{
	for (; *name; name++) {
		if (is_plain(*name)) {
			*out++ = *name;
			continue;
		}
		*out++ = '%';
		*out++ = hex_digits[(unsigned char)*name >> 4];
		*out++ = hex_digits[*name & 15];
	}
	return out;
}

void xattr_write_lines(const struct xattr *list, char *out)
{
	for (; list; list = list->next) {
		memcpy(out, XATTR_FIELD, strlen(XATTR_FIELD));
		out = write_name(list->name, out + strlen(XATTR_FIELD));
		*out++ = '=';
		out = base64_encode(list->value, list->len, out);
		*out++ = '\n';
	}
}
