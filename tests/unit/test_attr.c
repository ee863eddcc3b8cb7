/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The codec of attribute and clock records, held to ATTRIBUTES.md. Knows
 * attr.h alone. Every text is parsed from memory of exactly its length, so
 * that a sanitizer sees a byte read too many.
 */
#include <sys/sysmacros.h>

#include "attr.h"
#include "unit.h"

#define PREFIX      "datawalfs.attr 1\n"
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool parse_bytes(const char *text, size_t len, struct attr *out)
{
	char *copy = malloc(len + !len);
	bool ok;

	CHECK(copy);
	memcpy(copy, text, len);
	ok = attr_parse(copy, len, out);
	free(copy);
	return ok;
}

static bool parse(const char *text, struct attr *out)
{
	return parse_bytes(text, strlen(text), out);
}

static void check_refused(const char *text)
{
	struct attr attr, before;

	memset(&attr, 0x5a, sizeof(attr));
	before = attr;
	if (parse(text, &attr))
		fprintf(stderr, "accepted: %s\n", text);
	CHECK(!parse(text, &attr));
	CHECK(memcmp(&attr, &before, sizeof(attr)) == 0);
}

static void check_time(struct timespec got, struct timespec wanted)
{
	CHECK_INT(got.tv_sec, wanted.tv_sec);
	CHECK_INT(got.tv_nsec, wanted.tv_nsec);
}

static void check_same(const struct attr *got, const struct attr *wanted)
{
	CHECK_INT(got->type, wanted->type);
	CHECK_INT(got->present, wanted->present);
	CHECK_INT(got->mode, wanted->mode);
	CHECK_INT(got->uid, wanted->uid);
	CHECK_INT(got->gid, wanted->gid);
	CHECK(got->rdev == wanted->rdev);
	check_time(got->mtime, wanted->mtime);
	check_time(got->atime, wanted->atime);
	check_time(got->ctime, wanted->ctime);
	CHECK_INT(got->ino, wanted->ino);
}

static void check_round_trip(const struct attr *attr)
{
	char text[ATTR_TEXT_SIZE], small[ATTR_TEXT_SIZE] = "as it was";
	struct attr back;
	size_t len = attr_format(attr, text, sizeof(text));

	CHECK(len > 0);
	CHECK(parse_bytes(text, len, &back));
	check_same(&back, attr);
	CHECK_INT(attr_format(attr, small, len - 1), 0);
	CHECK(strcmp(small, "as it was") == 0);
	CHECK_INT(attr_format(attr, small, len), len);
}

/* Every field, at its longest. */
static const struct attr largest = {
	.type = ATTR_BLOCK,
	.present = ATTR_HAS_MODE | ATTR_HAS_UID | ATTR_HAS_GID | ATTR_HAS_RDEV | ATTR_HAS_MTIME |
		   ATTR_HAS_ATIME | ATTR_HAS_CTIME | ATTR_HAS_INO,
	.mode = 07777,
	.uid = UINT32_MAX - 1,
	.gid = UINT32_MAX - 1,
	.rdev = UINT64_MAX,
	.mtime = {INT64_MIN, 999999999},
	.atime = {INT64_MAX, 999999999},
	.ctime = {-1, 0},
	.ino = INO_LAST,
};

static void the_text_is_as_frozen(void)
{
	static const char wanted[] = PREFIX "type=char\n"
					    "rdev=4:64\n"
					    "mode=0640\n"
					    "uid=0\n"
					    "gid=1000\n"
					    "mtime=1700000000.000000001\n"
					    "atime=-1.250000000\n"
					    "ctime=0.000000000\n"
					    "ino=4503599627370495\n";
	struct attr attr = largest;
	char text[ATTR_TEXT_SIZE];
	size_t len;

	attr.type = ATTR_CHAR;
	attr.rdev = makedev(4, 64);
	attr.mode = S_IFCHR | 0640; /* as in struct stat */
	attr.uid = 0;
	attr.gid = 1000;
	attr.mtime = (struct timespec){1700000000, 1};
	attr.atime = (struct timespec){-1, 250000000};
	attr.ctime = (struct timespec){0, 0};
	len = attr_format(&attr, text, sizeof(text));
	CHECK_INT(len, strlen(wanted));
	CHECK(memcmp(text, wanted, len) == 0);
}

static void attributes_round_trip(void)
{
	static const int64_t seconds[] = {
		INT64_MIN, INT64_MIN + 1, -1000000000, -10,           -1,       0, 1, 9,
		10,        1700000000,    4294967296,  INT64_MAX - 1, INT64_MAX};
	struct attr attr = largest;

	check_round_trip(&largest);
	for (size_t i = 0; i < COUNT(seconds); i++) {
		attr.mtime.tv_sec = attr.atime.tv_sec = attr.ctime.tv_sec = seconds[i];
		attr.mtime.tv_nsec = 0;
		attr.atime.tv_nsec = 1;
		check_round_trip(&attr);
	}

	for (int type = ATTR_NONE; type <= ATTR_BLOCK; type++) {
		unsigned int rdev = type == ATTR_CHAR || type == ATTR_BLOCK ? ATTR_HAS_RDEV : 0;

		for (unsigned int present = 0; present <= largest.present; present++) {
			attr = (struct attr){.type = type, .present = present};
			if ((present & ATTR_HAS_RDEV) != rdev)
				continue;
			if (present & ATTR_HAS_MODE)
				attr.mode = 0644;
			if (present & ATTR_HAS_UID)
				attr.uid = 10;
			if (present & ATTR_HAS_GID)
				attr.gid = 100;
			if (present & ATTR_HAS_RDEV)
				attr.rdev = makedev(0, 4294967295);
			if (present & ATTR_HAS_MTIME)
				attr.mtime = (struct timespec){1, 20};
			if (present & ATTR_HAS_ATIME)
				attr.atime = (struct timespec){2, 200};
			if (present & ATTR_HAS_CTIME)
				attr.ctime = (struct timespec){3, 2000};
			if (present & ATTR_HAS_INO)
				attr.ino = INO_FIRST;
			check_round_trip(&attr);
		}
	}
}

static void the_type_tells_directory_from_value(void)
{
	struct attr attr;

	CHECK(parse(PREFIX "type=dir\n", &attr) && attr_is_dir(&attr));
	CHECK(parse(PREFIX "type=none\n", &attr) && attr_is_dir(&attr));
	CHECK(parse(PREFIX "type=file\n", &attr) && !attr_is_dir(&attr));
	CHECK(parse(PREFIX "type=symlink\n", &attr) && !attr_is_dir(&attr));
}

/* Cut at a line's end it is a record of fewer fields, else it is none. */
static void no_truncation_gives_a_wrong_field(void)
{
	char text[ATTR_TEXT_SIZE];
	struct attr attr, last = largest;
	size_t len = attr_format(&largest, text, sizeof(text));

	for (size_t n = len; n-- > 0;) {
		bool whole_lines = n > strlen(PREFIX "type=block\n") && text[n - 1] == '\n';
		bool ok = parse_bytes(text, n, &attr);

		CHECK_INT(ok, whole_lines);
		if (!ok)
			continue;
		CHECK((attr.present & ~last.present) == 0 && attr.present != last.present);
		CHECK(memcmp(&attr.mtime,
			     attr.present & ATTR_HAS_MTIME ? &largest.mtime : &(struct timespec){0},
			     sizeof(attr.mtime)) == 0);
		last = attr;
	}
	CHECK_INT(last.present, ATTR_HAS_RDEV);
	CHECK(!attr_parse(NULL, 0, &attr));
}

static void unknown_fields_and_extended_attributes_are_passed_over(void)
{
	static const char *const lines[] = {
		"colour=red\n",
		"mode2=0644\n",
		"mod=0644\n",
		"MODE=0644\n",
		" mode=0644\n",
		"x=\n",
		"x==\n",
		"x=a=b\n",
		"x=\x01\xff \n",
		"xattr.user.colour=cmVk\n",
		"xattr.user.colour=cmVk\nxattr.user.colour=Ymx1ZQ==\n",
		"xattr.user.a%0Ab=\n",
		"xattr.user.broken%=***\n",
	};
	struct attr attr;
	char text[256];

	for (size_t i = 0; i < COUNT(lines); i++) {
		snprintf(text, sizeof(text), PREFIX "type=file\n%suid=7\n%s", lines[i], lines[i]);
		CHECK(parse(text, &attr));
		CHECK(attr.present == ATTR_HAS_UID && attr.uid == 7);
	}
	CHECK(parse_bytes(PREFIX "type=file\nx=a\0b\n", sizeof(PREFIX "type=file\nx=a\0b\n") - 1,
			  &attr));
}

static void malformed_payloads_are_refused_whole(void)
{
	static const char *const texts[] = {
		"",
		"\n",
		"datawalfs.attr 1",
		PREFIX,
		PREFIX "\n",
		PREFIX "type=\n",
		PREFIX "type=file",
		PREFIX "type=files\n",
		PREFIX "type=fil\n",
		PREFIX "type=FILE\n",
		PREFIX "type=file \n",
		PREFIX "type=file\r\n",
		PREFIX "type=7\n",
		PREFIX "mode=0644\n",
		PREFIX "mode=0644\ntype=file\n",
		"datawalfs.attr 2\ntype=file\n",
		"datawalfs.attr 1 \ntype=file\n",
		"datawalfs.attr 11\ntype=file\n",
		"Datawalfs.attr 1\ntype=file\n",
		" datawalfs.attr 1\ntype=file\n",
		"datawalfs.attr 1\r\ntype=file\r\n",
		PREFIX "type=char\n",
		PREFIX "type=block\n",
	};
	/* each behind PREFIX "type=file\n" */
	static const char *const lines[] = {
		"\n",
		"mode\n",
		"=0644\n",
		"type=file\n",
		"type=dir\n",
		"uid=1\nuid=1\n",
		"uid=1\nx=y\nuid=2\n",
		"rdev=1:2\n",
		"mode=\n",
		"mode=644\n",
		"mode=00644\n",
		"mode=0648\n",
		"mode=0o64\n",
		"mode=-644\n",
		"mode=0644 \n",
		"mode=17777\n",
		"uid=\n",
		"uid=01\n",
		"uid=00\n",
		"uid=-1\n",
		"uid=+1\n",
		"uid= 1\n",
		"uid=1 \n",
		"uid=0x1\n",
		"uid=4294967295\n",
		"uid=18446744073709551617\n",
		"uid=36893488147419103240\n", /* 2^65 + 8 */
		"uid=99999999999999999999999999\n",
		"gid=4294967296\n",
		"mtime=\n",
		"mtime=1\n",
		"mtime=1.\n",
		"mtime=1.0\n",
		"mtime=1.00000000\n",
		"mtime=1.0000000000\n",
		"mtime=1,000000000\n",
		"mtime=.000000000\n",
		"mtime=01.000000000\n",
		"mtime=-0.000000000\n",
		"mtime=-.000000000\n",
		"mtime=--1.000000000\n",
		"mtime=+1.000000000\n",
		"mtime=1.-00000001\n",
		"mtime=9223372036854775808.000000000\n",
		"mtime=-9223372036854775809.000000000\n",
		"mtime=18446744073709551616.000000000\n",
		"mtime=36893488147419103240.000000000\n",
		"mtime=1.000000000 \n",
		"atime=x\n",
		"ctime=x\n",
		"ino=\n",
		"ino=0\n",
		"ino=1\n",
		"ino=02\n",
		"ino=2 \n",
		"ino=4503599627370496\n",
		"ino=2\nino=2\n",
	};
	static const char *const devices[] = {
		"rdev=1\n",
		"rdev=1:\n",
		"rdev=:1\n",
		"rdev=1:2:3\n",
		"rdev=1:4294967296\n",
		"rdev=4294967296:1\n",
		"rdev=1:-2\n",
		"rdev=1:2\nrdev=1:2\n",
	};
	char text[256];

	for (size_t i = 0; i < COUNT(texts); i++)
		check_refused(texts[i]);
	for (size_t i = 0; i < COUNT(lines); i++) {
		snprintf(text, sizeof(text), PREFIX "type=file\n%s", lines[i]);
		check_refused(text);
		snprintf(text, sizeof(text), PREFIX "type=file\n%sx=y\n", lines[i]);
		check_refused(text);
	}
	for (size_t i = 0; i < COUNT(devices); i++) {
		snprintf(text, sizeof(text), PREFIX "type=char\n%s", devices[i]);
		check_refused(text);
	}
}

static bool read_clock(const char *text, int64_t *seconds)
{
	return clock_parse(CLOCK_KEY, CLOCK_KEY_LEN, text, strlen(text), seconds);
}

static void clock_records_are_read(void)
{
	int64_t back;

	CHECK(read_clock("datawalfs.clock 1\ntime=1700000000\n", &back));
	CHECK_INT(back, 1700000000);
	CHECK(read_clock("datawalfs.clock 1\ntime=-1\n", &back));
	CHECK_INT(back, -1);
	CHECK(read_clock("datawalfs.clock 1\ntime=-9223372036854775807\n", &back));
	CHECK(back == INT64_MIN + 1);
}

static void times_round_trip(void)
{
	static const struct timespec times[] = {
		{0, 0}, {1700000000, 1}, {-2, 999999999}, {INT64_MAX, 5}, {INT64_MIN, 0}};
	static const char *const wrong[] = {"", "1", "1.5", "01.000000000", "1.0000000000", "x"};
	char text[TIME_TEXT_SIZE];
	struct timespec back;

	for (size_t i = 0; i < COUNT(times); i++) {
		time_format(times[i], text);
		CHECK(time_parse(text, &back));
		CHECK(back.tv_sec == times[i].tv_sec && back.tv_nsec == times[i].tv_nsec);
	}
	for (size_t i = 0; i < COUNT(wrong); i++)
		CHECK(!time_parse(wrong[i], &back));
}

static void only_the_exact_form_is_a_clock_record(void)
{
	static const char *const texts[] = {
		"",
		"datawalfs.clock 1\n",
		"datawalfs.clock 2\ntime=1\n",
		"datawalfs.clock 1\ntime=\n",
		"datawalfs.clock 1\ntime=01\n",
		"datawalfs.clock 1\ntime=-0\n",
		"datawalfs.clock 1\ntime=1.5\n",
		"datawalfs.clock 1\ntime=1\n\n",
		"datawalfs.clock 1\ntime=1\nx=y\n",
		"datawalfs.clock 1\ntime=9223372036854775808\n",
		"datawalfs.clock 1\ntime=-9223372036854775808\n",
		PREFIX "type=file\n",
	};
	static const char right[] = "datawalfs.clock 1\ntime=1\n";
	int64_t seconds = 77;
	struct attr attr;

	for (size_t i = 0; i < COUNT(texts); i++)
		CHECK(!read_clock(texts[i], &seconds));
	CHECK(!clock_parse("", 0, right, strlen(right), &seconds));
	CHECK(!clock_parse(NULL, 0, right, strlen(right), &seconds));
	CHECK(!clock_parse("datawalfs.clocks", 16, right, strlen(right), &seconds));
	CHECK(!clock_parse("datawalfs.cloc", 14, right, strlen(right), &seconds));
	CHECK(!clock_parse(CLOCK_KEY, CLOCK_KEY_LEN, NULL, 0, &seconds));
	CHECK_INT(seconds, 77);
	CHECK(!parse(right, &attr));
}

/* Random bytes, and a right text with a few bytes changed: whatever is taken
 * for a record is written and read again as the same. */
static void junk_is_refused_or_reads_back_the_same(void)
{
	static const char alphabet[] = "\n=.:-0123456789abcdeilmorstuvyx";
	char text[ATTR_TEXT_SIZE], again[ATTR_TEXT_SIZE];
	uint64_t state = 1;
	size_t accepted = 0;

	for (int round = 0; round < 200000; round++) {
		size_t len = attr_format(&largest, text, sizeof(text));
		struct attr attr, back;
		int64_t seconds;

		if (round % 4 == 0) {
			len = unit_random(&state) % sizeof(text);
			for (size_t i = 0; i < len; i++)
				text[i] = (char)(unit_random(&state) >> 32);
		}
		for (int n = round % 4; n > 0; n--)
			text[unit_random(&state) % len] =
				alphabet[unit_random(&state) % (sizeof(alphabet) - 1)];

		CHECK(!clock_parse(CLOCK_KEY, CLOCK_KEY_LEN, text, len, &seconds));
		if (!parse_bytes(text, len, &attr))
			continue;
		accepted++;
		CHECK(attr.mode <= 07777 && attr.mtime.tv_nsec < 1000000000);
		len = attr_format(&attr, again, sizeof(again));
		CHECK(parse_bytes(again, len, &back));
		check_same(&back, &attr);
	}
	CHECK(accepted > 0);
}

UNIT_MAIN(UNIT(the_text_is_as_frozen), UNIT(attributes_round_trip),
	  UNIT(the_type_tells_directory_from_value), UNIT(no_truncation_gives_a_wrong_field),
	  UNIT(unknown_fields_and_extended_attributes_are_passed_over),
	  UNIT(malformed_payloads_are_refused_whole), UNIT(clock_records_are_read),
	  UNIT(times_round_trip), UNIT(only_the_exact_form_is_a_clock_record),
	  UNIT(junk_is_refused_or_reads_back_the_same))
