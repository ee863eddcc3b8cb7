/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The list of a file's extended attributes and its lines in a record, held to
 * a plain array, to ATTRIBUTES.md and to what ext4 holds. Knows xattr.h alone.
 */
#include <errno.h>

#include "unit.h"
#include "xattr.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void check_value(const struct xattr *list, const char *name, const char *wanted)
{
	const struct xattr *xattr = xattr_find(list, name);

	CHECK(xattr && strcmp(xattr->name, name) == 0);
	CHECK_INT(xattr->len, strlen(wanted));
	CHECK(memcmp(xattr->value, wanted, xattr->len) == 0);
}

static int set(struct xattr **list, const char *name, const char *value)
{
	return xattr_set(list, name, value, strlen(value));
}

/* All lines, terminated. The caller frees it. */
static char *lines_of(const struct xattr *list)
{
	size_t len = xattr_lines_len(list);
	char *exact = malloc(len + !len), *text = malloc(len + 1);

	CHECK(exact && text);
	xattr_write_lines(list, exact);
	memcpy(text, exact, len);
	text[len] = '\0';
	free(exact);
	return text;
}

static void check_lines(const struct xattr *list, const char *wanted)
{
	char *text = lines_of(list);

	if (strcmp(text, wanted) != 0)
		fprintf(stderr, "wanted:\n%s\ngot:\n%s\n", wanted, text);
	CHECK(strcmp(text, wanted) == 0);
	free(text);
}

/* From memory of exactly its length, so that a sanitizer sees a byte too many. */
static int set_line(struct xattr **list, const char *name, size_t name_len, const char *value,
		    size_t value_len)
{
	char *name_copy = malloc(name_len + !name_len),
	     *value_copy = malloc(value_len + !value_len);
	int r;

	CHECK(name_copy && value_copy);
	memcpy(name_copy, name, name_len);
	memcpy(value_copy, value, value_len);
	r = xattr_set_line(list, name_copy, name_len, value_copy, value_len);
	free(name_copy);
	free(value_copy);
	return r;
}

static int set_text(struct xattr **list, const char *name, const char *value)
{
	return set_line(list, name, strlen(name), value, strlen(value));
}

static void an_attribute_is_there_once_until_removed(void)
{
	struct xattr *list = NULL;

	CHECK(!xattr_find(NULL, "user.a") && !xattr_remove(&list, "user.a"));
	CHECK_INT(xattr_total(NULL), 0);
	CHECK_INT(set(&list, "user.b", "one"), 0);
	CHECK_INT(set(&list, "user.b", "other"), 0);
	CHECK_INT(set(&list, "user.a", ""), 0);
	CHECK_INT(set(&list, "user.bc", "three"), 0);
	CHECK(list && list->next && list->next->next && !list->next->next->next);
	check_value(list, "user.a", "");
	check_value(list, "user.b", "other");
	check_value(list, "user.bc", "three");
	CHECK(!xattr_find(list, "user.") && !xattr_find(list, "user.B") && !xattr_find(list, ""));
	CHECK(!xattr_remove(&list, "user.") && !xattr_remove(&list, "user.c"));
	CHECK(xattr_remove(&list, "user.b") && !xattr_remove(&list, "user.b"));
	CHECK(!xattr_find(list, "user.b"));
	check_value(list, "user.a", "");
	check_value(list, "user.bc", "three");
	CHECK(xattr_remove(&list, "user.a") && xattr_remove(&list, "user.bc") && !list);
	xattr_free(NULL);
}

static void a_value_of_the_list_can_be_set_again(void)
{
	struct xattr *list = NULL;
	const struct xattr *old;

	CHECK_INT(set(&list, "user.a", "value"), 0);
	old = xattr_find(list, "user.a");
	CHECK_INT(xattr_set(&list, old->name, (const char *)old->value + 2, old->len - 2), 0);
	check_value(list, "user.a", "lue");
	CHECK_INT(xattr_set(&list, "user.a", NULL, 0), 0);
	check_value(list, "user.a", "");
	CHECK(xattr_find(list, "user.a")->value);
	xattr_free(list);
}

static void a_copy_stands_alone(void)
{
	struct xattr *list = NULL, *copy = NULL;

	CHECK_INT(xattr_copy(NULL, &copy), 0);
	CHECK(!copy);
	CHECK_INT(set(&list, "user.a", "1"), 0);
	CHECK_INT(set(&list, "user.b", "22"), 0);
	CHECK_INT(set(&list, "user.c", ""), 0);
	CHECK_INT(xattr_copy(list, &copy), 0);
	CHECK_INT(set(&list, "user.a", "other"), 0);
	CHECK(xattr_remove(&list, "user.c"));
	xattr_free(list);
	check_lines(copy, "xattr.user.a=MQ==\nxattr.user.b=MjI=\nxattr.user.c=\n");
	xattr_free(copy);
}

/* The names' spellings are in byte order whatever the order of setting, and
 * the list holds what an array with no order holds. */
static void the_list_agrees_with_an_array(void)
{
	static const struct {
		const char *name, *spelt;
	} names[] = {
		{"user.a", "user.a"},
		{"user.aa", "user.aa"},
		{"user.a b", "user.a%20b"},
		{"user.a~", "user.a%7E"},
		{"user.a-", "user.a-"},
		{"user.a.b", "user.a.b"},
		{"user.a_", "user.a_"},
		{"user.aZ", "user.aZ"},
		{"user.a0", "user.a0"},
		{"user.a\x01", "user.a%01"},
		{"user.a\xff", "user.a%FF"},
		{"user.a\xa0", "user.a%A0"},
		{"user.a\x9f", "user.a%9F"},
		{"user.a%", "user.a%25"},
		{"user.a=\n", "user.a%3D%0A"},
		{"trusted.a", "trusted.a"},
		{"~", "%7E"},
		{"Z", "Z"},
	};
	const char *values[COUNT(names)] = {NULL};
	static const char *const some[] = {"", "1", "22", "333", "4444", "55555"};
	struct xattr *list = NULL;
	uint64_t state = 7;

	for (int round = 0; round < 20000; round++) {
		size_t i = unit_random(&state) % COUNT(names), n = 0, total = 0;
		const char *before = "";

		if (unit_random(&state) % 3 == 0) {
			CHECK_INT(xattr_remove(&list, names[i].name), values[i] != NULL);
			values[i] = NULL;
		} else {
			values[i] = some[unit_random(&state) % COUNT(some)];
			CHECK_INT(set(&list, names[i].name, values[i]), 0);
		}
		for (i = 0; i < COUNT(names); i++) {
			CHECK_INT(xattr_find(list, names[i].name) != NULL, values[i] != NULL);
			if (!values[i])
				continue;
			check_value(list, names[i].name, values[i]);
			n++;
		}
		for (const struct xattr *x = list; x; x = x->next, n--) {
			for (i = 0; strcmp(names[i].name, x->name) != 0;)
				CHECK(++i < COUNT(names));
			CHECK(strcmp(before, names[i].spelt) < 0);
			before = names[i].spelt;
			total += x->len + strlen(x->name) + 1;
		}
		CHECK_INT(n, 0);
		CHECK(xattr_total(list) >= total);
	}
	xattr_free(list);
}

static char *filled(size_t len)
{
	char *value = malloc(len + 1);

	CHECK(value);
	memset(value, 'v', len);
	value[len] = '\0';
	return value;
}

/* Measured with setfattr on ext4, blocks of 4096 bytes, inodes of 256. */
static void the_longest_value_is_that_of_ext4(void)
{
	static const struct {
		size_t name_len, value_len; /* the name behind "user." */
	} longest[] = {{1, 4040}, {2, 4040}, {4, 4040}, {5, 4036}, {250, 3792}};
	char *value = filled(70000);

	for (size_t i = 0; i < COUNT(longest); i++) {
		char name[300] = "user.";
		struct xattr *list = NULL;

		memset(name + 5, 'n', longest[i].name_len);
		CHECK_INT(xattr_set(&list, name, value, longest[i].value_len + 1), ENOSPC);
		CHECK_INT(xattr_set(&list, name, value, 65536), ENOSPC);
		CHECK_INT(xattr_set(&list, name, value, SIZE_MAX), ENOSPC);
		CHECK(!list);
		CHECK_INT(xattr_set(&list, name, value, longest[i].value_len), 0);
		CHECK_INT(xattr_set(&list, name, value, longest[i].value_len + 1), ENOSPC);
		CHECK_INT(xattr_find(list, name)->len, longest[i].value_len);
		/* replaced in its own room; then what is left is in the inode */
		CHECK_INT(xattr_set(&list, name, value, longest[i].value_len), 0);
		CHECK_INT(xattr_set(&list, "user.z", value, 69), ENOSPC);
		CHECK_INT(xattr_set(&list, "user.z", value, 68), 0);
		CHECK_INT(xattr_set(&list, "user.z", value, 69), ENOSPC);
		CHECK_INT(xattr_total(list), XATTR_TOTAL_BYTES);
		xattr_free(list);
	}
	free(value);
}

/* The same measurement: attributes "user.attribute_NNNN" until ENOSPC. ext4
 * cannot use the end of both its places; there is nothing it holds and we do
 * not. */
static void as_many_attributes_as_on_ext4(void)
{
	static const struct {
		size_t value_len;
		int on_ext4, here;
	} most[] = {{0, 128, 129}, {1, 114, 115}, {8, 103, 103},
		    {100, 30, 31}, {1000, 3, 4},  {2000, 1, 2}};
	char *value = filled(2000);

	for (size_t i = 0; i < COUNT(most); i++) {
		struct xattr *list = NULL;
		char name[64], *before, *after;
		int n = 0, r;

		do {
			before = lines_of(list);
			snprintf(name, sizeof(name), "user.attribute_%04d", n++);
			r = xattr_set(&list, name, value, most[i].value_len);
			after = lines_of(list);
			CHECK_INT(r != 0, strcmp(before, after) == 0);
			free(before);
			free(after);
		} while (r == 0 && n < 1000);
		CHECK_INT(r, ENOSPC);
		CHECK_INT(n - 1, most[i].here);
		CHECK(n - 1 >= most[i].on_ext4);
		CHECK(xattr_total(list) <= XATTR_TOTAL_BYTES);
		CHECK(xattr_remove(&list, "user.attribute_0000"));
		CHECK_INT(xattr_set(&list, name, value, most[i].value_len), 0);
		xattr_free(list);
	}
	free(value);
}

/* Who lists the names into XATTR_TOTAL_BYTES relies on it. */
static void names_and_values_are_within_the_total(void)
{
	static const char *const shapes[][2] = {
		{"", ""}, {"", "."}, {"", ".x"}, {"user.", ""}, {"user.", "."}};

	for (size_t i = 0; i < COUNT(shapes); i++) {
		for (int width = 1; width < 250; width += 3) {
			struct xattr *list = NULL;
			char name[300];
			size_t bytes = 0;
			int n = 0;

			do
				snprintf(name, sizeof(name), "%s%0*d%s", shapes[i][0], width, n,
					 shapes[i][1]);
			while (n++ < 1000 && set(&list, name, "") == 0);
			for (const struct xattr *x = list; x; x = x->next)
				bytes += strlen(x->name) + 1 + x->len;
			CHECK(bytes <= xattr_total(list));
			CHECK(xattr_total(list) <= XATTR_TOTAL_BYTES);
			xattr_free(list);
		}
	}
}

static void a_name_has_1_to_255_bytes(void)
{
	struct xattr *list = NULL;
	char name[300] = {0};

	CHECK_INT(set(&list, "", "v"), ERANGE);
	CHECK(!list);
	memset(name, 'n', 256);
	CHECK_INT(set(&list, name, "v"), ERANGE);
	CHECK_INT(set_text(&list, name, "dg=="), EINVAL);
	name[255] = '\0';
	CHECK_INT(set(&list, name, "v"), 0);
	CHECK_INT(set_text(&list, name, "dw=="), 0);
	check_value(list, name, "w");
	xattr_free(list);
}

static void lines_are_as_frozen(void)
{
	static const struct {
		const char *name, *value, *spelt, *text;
	} frozen[] = {
		/* the test vectors of RFC 4648 */
		{"user.f0", "", "user.f0", ""},
		{"user.f1", "f", "user.f1", "Zg=="},
		{"user.f2", "fo", "user.f2", "Zm8="},
		{"user.f3", "foo", "user.f3", "Zm9v"},
		{"user.f4", "foob", "user.f4", "Zm9vYg=="},
		{"user.f5", "fooba", "user.f5", "Zm9vYmE="},
		{"user.f6", "foobar", "user.f6", "Zm9vYmFy"},
		{"user.colour", "red", "user.colour", "cmVk"},
		{"user.A-z_09", "\xfb\xff\xfe", "user.A-z_09", "+//+"},
		{"user.a=b\n%", "x", "user.a%3Db%0A%25", "eA=="},
		{"\xc3\xa9/@[`{", "x", "%C3%A9%2F%40%5B%60%7B", "eA=="},
		{"+,:", "x", "%2B%2C%3A", "eA=="},
	};
	char wanted[128];

	for (size_t i = 0; i < COUNT(frozen); i++) {
		struct xattr *list = NULL;

		snprintf(wanted, sizeof(wanted), "xattr.%s=%s\n", frozen[i].spelt, frozen[i].text);
		CHECK_INT(set(&list, frozen[i].name, frozen[i].value), 0);
		check_lines(list, wanted);
		CHECK(xattr_remove(&list, frozen[i].name));
		CHECK_INT(set_text(&list, frozen[i].spelt, frozen[i].text), 0);
		check_value(list, frozen[i].name, frozen[i].value);
		xattr_free(list);
	}
	check_lines(NULL, "");
}

static void every_byte_has_one_spelling(void)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char name[2] = "", escaped[8], line[32];
	struct xattr *list = NULL;

	for (int byte = 1; byte < 256; byte++) {
		bool is_plain = strchr(plain, byte);

		name[0] = (char)byte;
		snprintf(escaped, sizeof(escaped), "%%%02X", (unsigned int)byte);
		snprintf(line, sizeof(line), "xattr.%s=\n", is_plain ? name : escaped);
		CHECK_INT(set(&list, name, ""), 0);
		check_lines(list, line);
		CHECK(xattr_remove(&list, name));
		CHECK_INT(set_text(&list, name, ""), is_plain ? 0 : EINVAL);
		CHECK_INT(xattr_remove(&list, name), is_plain);
		CHECK_INT(set_text(&list, escaped, ""), is_plain ? EINVAL : 0);
		CHECK_INT(xattr_remove(&list, name), !is_plain);
	}
	CHECK(!list);
	CHECK_INT(set_text(&list, "a", digits), 0);
	CHECK(memcmp(list->value, "\x00\x10\x83\x10\x51\x87", 6) == 0);
	snprintf(line, sizeof(line), "xattr.a=%.16s", digits);
	char *text = lines_of(list);
	CHECK(strncmp(text, line, strlen(line)) == 0);
	CHECK(strncmp(text + strlen("xattr.a="), digits, 64) == 0);
	free(text);
	xattr_free(list);
}

static void lines_of_another_form_change_nothing(void)
{
	static const char *const names[] = {
		"",    "%",   "a%",           "a%4",  "%4",  "%00",  "a%00b", "%0a", "%fF",
		"%Ff", "%G0", "%0G",          "%61",  "%2E", "%2D",  "%5F",   "%41", "%30",
		"a b", "a=b", "a%%",          "%%41", "a/b", "\xc3", "a+",    "% 1", "%1 ",
		"%+1", "=0A", "\xff\x30\x41", " 20",  "%-1", "%0x",  "%x0",   "a~",  "%3",
	};
	static const char *const values[] = {
		"=",        "==",       "===",      "====",     "A",    "AA",   "AAA",
		"AAAAA",    "A===",     "AA=",      "AA=A",     "A=AA", "=AAA", "AAA==",
		"AAAA=",    "AAAA====", "AA==AAAA", "AAA=AAAA", "AE==", "AI==", "AAC=",
		"AB==",     "AP==",     "Af==",     "AAB=",     "AAD=", "AA-_", "AA.A",
		" AAA",     "AAA ",     "AAA\t",    "AA\nA",    "AAA*", "AAA%", "%3D==",
		"AAAA\xff", "AAA\x80",
	};
	struct xattr *list = NULL;

	CHECK_INT(set(&list, "a", "as it was"), 0);
	for (size_t i = 0; i < COUNT(names); i++)
		CHECK_INT(set_text(&list, names[i], "AAAA"), EINVAL);
	for (size_t i = 0; i < COUNT(values); i++)
		CHECK_INT(set_text(&list, "a", values[i]), EINVAL);
	CHECK_INT(set_line(&list, "a\0b", 3, "", 0), EINVAL);
	CHECK_INT(set_line(&list, "a", 1, "AA\0A", 4), EINVAL);
	CHECK_INT(set_line(&list, "%4\0", 3, "", 0), EINVAL);
	/* the end of the text ends an escape, also where more follows in memory */
	CHECK_INT(xattr_set_line(&list, "%0A", 2, "", 0), EINVAL);
	check_lines(list, "xattr.a=YXMgaXQgd2Fz\n");
	xattr_free(list);
}

static void a_line_over_the_limits_changes_nothing(void)
{
	static const size_t lengths[] = {5388, 5392, 5412, 5416, 5420, 5424, 6000, 1 << 20};
	struct xattr *list = NULL;
	char *text = malloc((1 << 20) + 1);

	CHECK(text);
	memset(text, 'A', 1 << 20);
	text[1 << 20] = '\0';
	CHECK_INT(set(&list, "user.a", "as it was"), 0);
	for (size_t i = 0; i < COUNT(lengths); i++)
		CHECK_INT(set_line(&list, "user.a", 6, text, lengths[i]), ENOSPC);
	check_value(list, "user.a", "as it was");
	CHECK_INT(set_line(&list, "user.a", 6, text, 5384), 0);
	CHECK_INT(list->len, 5384 / 4 * 3);
	CHECK_INT(set_line(&list, "user.bcdef", 10, text, 256), ENOSPC);
	CHECK(!list->next);
	xattr_free(list);
	free(text);
}

static void lines_round_trip(void)
{
	uint64_t state = 3;

	for (int round = 0; round < 3000; round++) {
		struct xattr *list = NULL, *back = NULL;
		char *text, *again;

		for (size_t n = unit_random(&state) % 6; n > 0; n--) {
			char name[XATTR_NAME_BYTES + 1], value[500];
			size_t name_len =
				1 + unit_random(&state) % (round % 8 ? 8 : XATTR_NAME_BYTES);
			size_t len = unit_random(&state) % (round % 8 ? 8 : sizeof(value));

			for (size_t i = 0; i < name_len; i++)
				name[i] = (char)(1 + unit_random(&state) % 255);
			name[name_len] = '\0';
			for (size_t i = 0; i < len; i++)
				value[i] = (char)(unit_random(&state) >> 32);
			CHECK_INT(xattr_set(&list, name, value, len), 0);
			const struct xattr *found = xattr_find(list, name);
			CHECK(found && found->len == len && memcmp(found->value, value, len) == 0);
		}
		text = lines_of(list);
		CHECK_INT(strlen(text), xattr_lines_len(list));
		for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1) {
			char *equals = strchr(at, '=');

			CHECK(equals && strncmp(at, XATTR_FIELD, strlen(XATTR_FIELD)) == 0);
			at += strlen(XATTR_FIELD);
			CHECK_INT(set_line(&back, at, (size_t)(equals - at), equals + 1,
					   (size_t)(end - equals - 1)),
				  0);
		}
		again = lines_of(back);
		CHECK(strcmp(text, again) == 0);
		for (const struct xattr *x = list, *y = back; x || y; x = x->next, y = y->next)
			CHECK(x && y && strcmp(x->name, y->name) == 0 && x->len == y->len &&
			      memcmp(x->value, y->value, x->len) == 0);
		free(text);
		free(again);
		xattr_free(list);
		xattr_free(back);
	}
}

UNIT_MAIN(UNIT(an_attribute_is_there_once_until_removed),
	  UNIT(a_value_of_the_list_can_be_set_again), UNIT(a_copy_stands_alone),
	  UNIT(the_list_agrees_with_an_array), UNIT(the_longest_value_is_that_of_ext4),
	  UNIT(as_many_attributes_as_on_ext4), UNIT(names_and_values_are_within_the_total),
	  UNIT(a_name_has_1_to_255_bytes), UNIT(lines_are_as_frozen),
	  UNIT(every_byte_has_one_spelling), UNIT(lines_of_another_form_change_nothing),
	  UNIT(a_line_over_the_limits_changes_nothing), UNIT(lines_round_trip))
