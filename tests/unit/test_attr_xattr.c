/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Extended attributes in attribute records, held to ATTRIBUTES.md: which lines
 * of a payload count, and what is written. Knows attr.h and xattr.h alone.
 */
#include "attr.h"
#include "unit.h"
#include "xattr.h"

#define PREFIX      "datawalfs.attr 1\n"
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The caller frees the list. */
static struct xattr *parse_xattrs(const char *text, size_t len)
{
	char *copy = malloc(len + !len);
	struct xattr *list = NULL;

	CHECK(copy);
	memcpy(copy, text, len);
	CHECK_INT(attr_parse_xattrs(copy, len, &list), 0);
	free(copy);
	return list;
}

/* The payload of these attributes has exactly this text. */
static void check_text(const struct attr *attr, const struct xattr *xattrs, const char *wanted)
{
	char *text;
	size_t len;

	CHECK_INT(attr_format_full(attr, xattrs, &text, &len), 0);
	CHECK_INT(len, strlen(wanted));
	CHECK(memcmp(text, wanted, len) == 0);
	free(text);
}

static void extended_attributes_follow_the_fields(void)
{
	static const char frozen[] = PREFIX "type=dir\n"
					    "mode=0700\n"
					    "ctime=7.000000000\n"
					    "xattr.user.%7E=\n"
					    "xattr.user.a%20b=AA==\n"
					    "xattr.user.a.b=Zm9v\n"
					    "xattr.user.colour=cmVk\n";
	struct attr attr = {.type = ATTR_DIR, .present = ATTR_HAS_MODE | ATTR_HAS_CTIME};
	struct attr back;
	struct xattr *list = NULL;

	attr.mode = 0700;
	attr.ctime.tv_sec = 7;
	check_text(&attr, NULL, PREFIX "type=dir\nmode=0700\nctime=7.000000000\n");
	CHECK_INT(xattr_set(&list, "user.colour", "red", 3), 0);
	CHECK_INT(xattr_set(&list, "user.a.b", "foo", 3), 0);
	CHECK_INT(xattr_set(&list, "user.a b", "", 1), 0);
	CHECK_INT(xattr_set(&list, "user.~", "", 0), 0);
	check_text(&attr, list, frozen);
	xattr_free(list);

	CHECK(attr_parse(frozen, strlen(frozen), &back));
	list = parse_xattrs(frozen, strlen(frozen));
	check_text(&back, list, frozen);
	xattr_free(list);
}

static void no_truncation_gives_a_wrong_extended_attribute(void)
{
	static const char whole[] =
		PREFIX "type=file\nuid=7\n"
		       "xattr.user.a%7E=AAAA\nxattr.user.b=AA==\nxattr.user.c=\n";
	size_t len = strlen(whole);
	struct xattr *none;
	struct attr attr;

	for (size_t n = 0; n <= len; n++) {
		char cut[sizeof(whole)];

		if (!attr_parse(whole, n, &attr))
			continue;
		struct xattr *list = parse_xattrs(whole, n);
		memcpy(cut, whole, n);
		cut[n] = '\0';
		check_text(&attr, list, cut);
		xattr_free(list);
	}
	CHECK_INT(attr_parse_xattrs(NULL, 0, &none), 0);
	CHECK(!none);
}

static void extended_attributes_of_another_form_are_passed_over(void)
{
	/* each between "xattr.a=AAAA" and "xattr.z=AAAA" */
	static const struct {
		const char *lines, *kept;
	} cases[] = {
		{"", ""},
		{"xattr.b=AAAB\nxattr.b=AAAC\n", "xattr.b=AAAC\n"},
		{"xattr.b=AAAB\nxattr.b=AAA\n", "xattr.b=AAAB\n"},
		{"xattr.b=AAAB\nxattr.%62=AAAC\n", "xattr.b=AAAB\n"},
		{"xattr.b=\nx=y\nxattr.b=AAAB\n", "xattr.b=AAAB\n"},
		{"xattr.c=AAAC\nxattr.b=AAAB\n", "xattr.b=AAAB\nxattr.c=AAAC\n"},
		{"xattr.=AAAA\n", ""},
		{"xattr=AAAA\n", ""},
		{"xattrs.b=AAAA\n", ""},
		{"Xattr.b=AAAA\n", ""},
		{" xattr.b=AAAA\n", ""},
		{"x.xattr.b=AAAA\n", ""},
		{"x=xattr.b=AAAA\n", ""},
		{"xattr.b==\n", ""},
		{"xattr.b=AAAA \n", ""},
		{"xattr.b=AAAA\r\n", ""},
		{"xattr.%00=AAAA\n", ""},
		{"xattr.b%3D=AAAA\n", "xattr.b%3D=AAAA\n"},
		{"xattr.type=AAAA\n", "xattr.type=AAAA\n"},
		{"xattr.xattr.b=AAAA\n", "xattr.xattr.b=AAAA\n"},
	};
	static const char start[] = PREFIX "type=file\n";
	char text[256], wanted[256];
	struct attr attr;

	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "%sxattr.a=AAAA\n%sxattr.z=AAAA\nuid=1\n", start,
			 cases[i].lines);
		snprintf(wanted, sizeof(wanted), "%suid=1\nxattr.a=AAAA\n%sxattr.z=AAAA\n", start,
			 cases[i].kept);
		CHECK(attr_parse(text, strlen(text), &attr));
		struct xattr *list = parse_xattrs(text, strlen(text));
		check_text(&attr, list, wanted);
		xattr_free(list);
	}
}

/* What is beyond the limit is passed over; what still fits behind it is not. */
static void extended_attributes_over_the_limit_are_passed_over(void)
{
	static const char start[] = PREFIX "type=file\n";
	static const char *const names[] = {"xattr.a=", "xattr.b=", "xattr.c=", "xattr.d="};
	static const size_t digits[] = {4000, 1600, 1200, 100}; /* 3000, 1200, 900, 75 bytes */
	char text[8192];
	size_t len = strlen(start);

	memcpy(text, start, len);
	for (size_t i = 0; i < COUNT(names); i++) {
		memcpy(text + len, names[i], strlen(names[i]));
		len += strlen(names[i]);
		memset(text + len, 'A', digits[i]);
		len += digits[i];
		text[len++] = '\n';
	}
	struct xattr *list = parse_xattrs(text, len);
	CHECK(xattr_find(list, "a")->len == 3000 && !xattr_find(list, "b"));
	CHECK(xattr_find(list, "c")->len == 900 && xattr_find(list, "d")->len == 75);
	xattr_free(list);
}

/* A right text with a few bytes changed, and random bytes: whatever is read
 * from it is written and read again as the same. */
static void junk_reads_back_the_same(void)
{
	static const char whole[] = PREFIX "type=file\nxattr.user.a%7E=AAAA\n"
					   "xattr.user.b=AA==\nxattr.user.c=AAE=\n";
	static const char alphabet[] = "\n=.%0123456789ABCDEFabcxrt/+";
	uint64_t state = 1;
	size_t kept = 0;

	for (int round = 0; round < 100000; round++) {
		char junk[sizeof(whole)], *text, *again;
		size_t len = strlen(whole), again_len;
		struct attr attr = {.type = ATTR_FILE};

		memcpy(junk, whole, sizeof(whole));
		for (size_t n = round % 4 ? (size_t)round % 4 : len; n > 0; n--)
			junk[unit_random(&state) % len] =
				alphabet[unit_random(&state) % (sizeof(alphabet) - 1)];
		struct xattr *list = parse_xattrs(junk, len);
		kept += list != NULL;
		CHECK_INT(attr_format_full(&attr, list, &text, &len), 0);
		struct xattr *back = parse_xattrs(text, len);
		CHECK_INT(attr_format_full(&attr, back, &again, &again_len), 0);
		CHECK(again_len == len && memcmp(text, again, len) == 0);
		CHECK_INT(xattr_total(back), xattr_total(list));
		free(text);
		free(again);
		xattr_free(list);
		xattr_free(back);
	}
	CHECK(kept > 0);
}

UNIT_MAIN(UNIT(extended_attributes_follow_the_fields),
	  UNIT(no_truncation_gives_a_wrong_extended_attribute),
	  UNIT(extended_attributes_of_another_form_are_passed_over),
	  UNIT(extended_attributes_over_the_limit_are_passed_over), UNIT(junk_reads_back_the_same))
