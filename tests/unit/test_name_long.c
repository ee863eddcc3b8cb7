/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * File names at the limit of 255 bytes, and what stands for a component beyond
 * it. Knows name.h alone; the digits expected here were computed by another
 * program (tests/lib/name_model.py).
 */
#include <errno.h>

#include "tree/name.h"
#include "unit.h"

#define HEX32       "0123456789abcdef0123456789abcdef"
#define LONG_LEN    (strlen("\\long-") + 32)
#define SUFFIX_LEN  strlen(NAME_VALUE_SUFFIX)
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define KEY_MAX     65536

struct piece {
	const char *bytes;
	size_t len;
};

#define PIECE(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}

static size_t repeat(char *out, struct piece piece, size_t times)
{
	for (size_t i = 0; i < times; i++)
		memcpy(out + i * piece.len, piece.bytes, piece.len);
	return times * piece.len;
}

static bool decodes(const char *name, bool first, enum name_use use, int want)
{
	char raw[NAME_SIZE] = "as it was";
	size_t len = 77;
	bool suffix = true;
	int err = name_decode(name, first, use, raw, &len, &suffix);

	return err == want && (!err || (strcmp(raw, "as it was") == 0 && len == 77 && suffix));
}

static bool reads_as_itself(const char *name, bool first, enum name_use use)
{
	char raw[NAME_SIZE];
	size_t len;
	bool suffix;

	return name_decode(name, first, use, raw, &len, &suffix) == 0 && !suffix &&
	       len == strlen(name) && memcmp(raw, name, len) == 0;
}

/* The name of a component that is too long for one: what holds for all. */
static void encode_long(const char *raw, size_t len, bool suffix, char name[NAME_SIZE])
{
	struct name_part part = {.raw = raw, .len = len, .first = true, .last = true};
	char again[NAME_SIZE];

	CHECK_INT(name_encode(&part, suffix, name), NAME_IS_LONG);
	CHECK(strlen(name) >= 252 && strlen(name) <= NAME_MAX);
	CHECK(!strchr(name, '/'));
	CHECK(reads_as_itself(name, true, NAME_FILE) && reads_as_itself(name, true, NAME_DIR));
	CHECK(reads_as_itself(name, false, NAME_FILE) && reads_as_itself(name, false, NAME_DIR));

	part.first = part.last = false;
	CHECK_INT(name_encode(&part, suffix, again), NAME_IS_LONG);
	CHECK(strcmp(name, again) == 0);
}

/* n times a unit is a name of n * unit_len bytes, or a long one. */
static void check_length(struct piece unit, size_t unit_len, size_t n, bool suffix)
{
	size_t len = n * unit_len + (suffix ? SUFFIX_LEN : 0), back_len;
	char raw[1024], name[NAME_SIZE], back[NAME_SIZE];
	struct name_part part = {.raw = raw, .first = true, .last = true};
	bool back_suffix;

	part.len = repeat(raw, unit, n);
	if (len > NAME_MAX) {
		encode_long(raw, part.len, suffix, name);
		return;
	}
	CHECK_INT(name_encode(&part, suffix, name), 0);
	CHECK_INT(strlen(name), len);
	CHECK_INT(name_decode(name, true, NAME_FILE, back, &back_len, &back_suffix), 0);
	CHECK(back_len == part.len && memcmp(back, raw, back_len) == 0 && back_suffix == suffix);
}

static void names_of_255_bytes_are_short_and_those_of_256_long(void)
{
	static const struct {
		struct piece raw;
		size_t len;
	} units[] = {
		{PIECE("a"), 1},  {PIECE("\0"), 4},       {PIECE("/"), 4},
		{PIECE("\\"), 1}, {PIECE("\xc3\xa9"), 2}, {PIECE("\\x2f"), 7},
	};
	char name[600];

	for (size_t i = 0; i < COUNT(units); i++)
		for (size_t n = 1; n < 256; n++) {
			check_length(units[i].raw, units[i].len, n, false);
			if (units[i].raw.bytes[0] != '/') /* no directory has such a key */
				check_length(units[i].raw, units[i].len, n, true);
		}
	memset(name, 'a', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	CHECK(decodes(name, true, NAME_FILE, -ENAMETOOLONG));
	CHECK(decodes(name, false, NAME_DIR, -ENAMETOOLONG));
	name[NAME_MAX] = '\0';
	CHECK(decodes(name, true, NAME_FILE, 0) && decodes(name, false, NAME_DIR, 0));
}

static void long_names_are_those_of_the_format(void)
{
	static const struct {
		struct piece unit;
		size_t times;
		struct piece tail;
		bool suffix;
		const char *shown; /* of each unit in the prefix */
		size_t shown_times;
		const char *digits;
	} rows[] = {
		{PIECE("a"), 256, PIECE(""), false, "a", 217, "007018d18f76871d279f3ac1732bd68d"},
		{PIECE("a"), 250, PIECE(""), true, "a", 217, "dcfcd122d176871d26d30a97b4cac18e"},
		{PIECE("a"), 300, PIECE(""), false, "a", 217, "ef07127be1f9b7ddba57177fce2a24d9"},
		{PIECE("a"), 300, PIECE(""), true, "a", 217, "884423bf5cff5e4f9b6d6cba3bb2cbfc"},
		{PIECE("a"), 250, PIECE("\\value"), false, "a", 217,
		 "ab354560c14f8a059e5f29958c2ef398"},
		{PIECE("a"), 218, PIECE("\\long-" HEX32), false, "a", 217,
		 "80330c77928ef81b3dd6686ca1d01216"},
		{PIECE("\0"), 64, PIECE(""), false, "\\x00", 54,
		 "785d894aab2f7266665cfff91c03d78d"},
		{PIECE("\xc3\xa9"), 128, PIECE(""), false, "\xc3\xa9", 108,
		 "aa9b1e30ec1ad5f6e3cb26e919e7c38d"},
		{PIECE("\xff"), 256, PIECE(""), false, "\xff", 217,
		 "cb5ff6188082ed55a44774cf19b64e8d"},
		{PIECE("\0"), 65536, PIECE(""), false, "\\x00", 54,
		 "93dea0c4409772452cb9b6aaaaddc58d"},
		{PIECE("\0"), 65536, PIECE(""), true, "\\x00", 54,
		 "c5f259e09feaec0068ded32c8de65a88"},
		{PIECE("/"), 65536, PIECE(""), false, "\\x2f", 54,
		 "72fe956a74084ab977b2f8efc155c58d"},
		{PIECE("\\"), 65536, PIECE(""), false, "\\", 217,
		 "ec762da3ac67b6cfc226cc7d4345c58d"},
		{PIECE("\\"), 65533, PIECE("x2f"), false, "\\", 217,
		 "ec7589552e67b6cfc226cc7cffb8125d"},
	};
	char *raw = malloc(KEY_MAX), name[NAME_SIZE], want[2 * NAME_SIZE];

	CHECK(raw);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct piece shown = {rows[i].shown, strlen(rows[i].shown)};
		size_t len = repeat(raw, rows[i].unit, rows[i].times);

		len += repeat(raw + len, rows[i].tail, 1);
		encode_long(raw, len, rows[i].suffix, name);
		len = repeat(want, shown, rows[i].shown_times);
		snprintf(want + len, sizeof(want) - len, "\\long-%s", rows[i].digits);
		CHECK(strcmp(name, want) == 0);
	}
	free(raw);
}

/* However what comes over and over is shifted, the name holds as many whole
 * units as fit, and all of a name that is cut is used. */
static void long_names_are_cut_between_escapes_and_characters(void)
{
	static const struct {
		struct piece raw;
		const char *units[5]; /* its escaped form */
	} rows[] = {
		{PIECE("\0"), {"\\x00"}},
		{PIECE("\\x00"), {"\\x5c", "x", "0", "0"}},
		{PIECE("\\x5c\0"), {"\\x5c", "x", "5", "c", "\\x00"}},
		{PIECE("\xc3\xa9"), {"\xc3\xa9"}},
		{PIECE("\xe2\x82\xac"), {"\xe2\x82\xac"}},
		{PIECE("\xf0\x9f\x98\x80"), {"\xf0\x9f\x98\x80"}},
		{PIECE("\xf4\x8f\xbf\xbf"), {"\xf4\x8f\xbf\xbf"}},
		{PIECE("\xef\xbf\xbf\xff"), {"\xef\xbf\xbf", "\xff"}},
		/* not UTF-8: cut off, overlong, a surrogate, past the last character */
		{PIECE("\xe2\x82."), {"\xe2", "\x82", "."}},
		{PIECE("\xf0\x9f\x98\xc3"), {"\xf0", "\x9f", "\x98", "\xc3"}},
		{PIECE("\xc1\xa9"), {"\xc1", "\xa9"}},
		{PIECE("\xe0\x9f\xbf"), {"\xe0", "\x9f", "\xbf"}},
		{PIECE("\xf0\x8f\xbf\xbf"), {"\xf0", "\x8f", "\xbf", "\xbf"}},
		{PIECE("\xed\xa0\x80"), {"\xed", "\xa0", "\x80"}},
		{PIECE("\xf4\x90\x80\x80"), {"\xf4", "\x90", "\x80", "\x80"}},
		{PIECE("\xf5\x80\x80\x80"), {"\xf5", "\x80", "\x80", "\x80"}},
	};
	char raw[2048], name[NAME_SIZE], want[2 * NAME_SIZE];

	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t shift = 0; shift < 16; shift++) {
			size_t len = shift + repeat(raw + shift, rows[i].raw, 300), room, unit = 0;

			memset(raw, 'a', shift);
			memset(want, 'a', shift);
			encode_long(raw, len, false, name);
			for (len = shift;
			     strlen(rows[i].units[unit]) <= NAME_MAX - LONG_LEN - len;) {
				room = strlen(rows[i].units[unit]);
				memcpy(want + len, rows[i].units[unit], room);
				len += room;
				if (++unit == 5 || !rows[i].units[unit])
					unit = 0;
			}
			CHECK(strlen(name) == len + LONG_LEN && memcmp(name, want, len) == 0);
		}
}

/* What lies behind a component in memory is not its own. */
static void a_character_cut_off_by_the_end_of_the_component_is_bytes(void)
{
	char raw[304], name[NAME_SIZE], other[NAME_SIZE];
	struct name_part part = {.raw = "\xe2\x82\xac", .len = 2, .first = true, .last = true};

	CHECK_INT(name_encode(&part, false, name), 0);
	CHECK(strcmp(name, "\xe2\x82") == 0);

	memset(raw, 'a', 298);
	memcpy(raw + 298, "\xe2\x82\xac", 3);
	encode_long(raw, 300, false, name);
	raw[300] = 'a';
	encode_long(raw, 300, false, other);
	CHECK(strcmp(name, other) == 0);
}

struct entry {
	char name[NAME_SIZE];
	char raw[384];
	size_t len;
	bool suffix;
};

static int by_name(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static void add_entries(struct entry *entries, size_t *count, const char *raw, size_t len)
{
	for (int suffix = 0; suffix < 2; suffix++) {
		struct entry *entry = &entries[(*count)++];

		memcpy(entry->raw, raw, len);
		entry->len = len;
		entry->suffix = suffix;
		encode_long(raw, len, suffix, entry->name);
	}
}

/* Two telling pieces, before, amid and behind what makes them too long: one
 * name is one component, and the value beside a directory is another's. */
static void distinct_components_have_distinct_long_names(void)
{
	static const struct piece pieces[] = {
		PIECE("a"),       PIECE("b"),     PIECE("\\"),      PIECE("\0"),
		PIECE("."),       PIECE("x2f"),   PIECE("\\x2f"),   PIECE("\\x5c"),
		PIECE("\\x00"),   PIECE("value"), PIECE("\\value"), PIECE("\\value\\value"),
		PIECE("\\empty"), PIECE(".log"),  PIECE("\xff"),    PIECE("\\long-" HEX32),
		PIECE("0"),       PIECE(""),      PIECE("\x80"),    PIECE("\xc3\xa9"),
	};
	const struct piece filler = PIECE("a");
	const size_t total = COUNT(pieces) * COUNT(pieces) * 3 * 3 * 2;
	struct entry *entries = calloc(total, sizeof(*entries));
	size_t count = 0;

	CHECK(entries);
	for (size_t i = 0; i < COUNT(pieces) * COUNT(pieces); i++)
		for (size_t where = 0; where < 3; where++)
			for (size_t more = 0; more < 3; more++) {
				struct piece one = pieces[i % COUNT(pieces)];
				struct piece two = pieces[i / COUNT(pieces)];
				size_t fill = 256 + more, len = 0;
				char raw[384];

				len += repeat(raw + len, filler, where == 0 ? fill : 0);
				len += repeat(raw + len, one, 1);
				len += repeat(raw + len, filler, where == 1 ? fill : 0);
				len += repeat(raw + len, two, 1);
				len += repeat(raw + len, filler, where == 2 ? fill : 0);
				add_entries(entries, &count, raw, len);
			}
	CHECK_INT(count, total);
	qsort(entries, count, sizeof(*entries), by_name);
	for (size_t i = 1; i < count; i++) {
		const struct entry *one = &entries[i - 1], *two = &entries[i];

		if (strcmp(one->name, two->name) == 0)
			CHECK(one->suffix == two->suffix && one->len == two->len &&
			      memcmp(one->raw, two->raw, one->len) == 0);
	}
	free(entries);
}

/* Long as it looks: where nobody has it, it is the name that it spells. */
static void a_name_that_ends_as_a_long_one_is_a_name_like_any_other(void)
{
	static const char *const names[] = {"\\long-" HEX32, "a\\long-" HEX32, "\\\\long-" HEX32};
	struct name_part part = {.first = true, .last = true};
	char name[NAME_SIZE];

	for (size_t i = 0; i < COUNT(names); i++) {
		part.raw = names[i];
		part.len = strlen(names[i]);
		CHECK_INT(name_encode(&part, false, name), 0);
		CHECK(strcmp(name, names[i]) == 0);
		CHECK(reads_as_itself(name, true, NAME_FILE));
	}
}

UNIT_MAIN(UNIT(names_of_255_bytes_are_short_and_those_of_256_long),
	  UNIT(long_names_are_those_of_the_format),
	  UNIT(long_names_are_cut_between_escapes_and_characters),
	  UNIT(a_character_cut_off_by_the_end_of_the_component_is_bytes),
	  UNIT(distinct_components_have_distinct_long_names),
	  UNIT(a_name_that_ends_as_a_long_one_is_a_name_like_any_other))
