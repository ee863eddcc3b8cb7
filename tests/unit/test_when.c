/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Moments as people write them, and names for them.
 */
#include "tagname.h"
#include "unit.h"
#include "when.h"

static void check_time(const char *text, int64_t seconds, long nsec)
{
	struct when when = {0};

	if (!when_parse(text, &when) || !when.by_time || when.time.tv_sec != seconds ||
	    when.time.tv_nsec != nsec) {
		fprintf(stderr, "%s: %lld.%09ld\n", text, (long long)when.time.tv_sec,
			when.time.tv_nsec);
		abort();
	}
}

static void a_time_is_iso_8601_with_its_zone_or_seconds(void)
{
	check_time("1970-01-01T00:00Z", 0, 0);
	check_time("2025-11-25T12:00:00Z", 1764072000, 0);
	check_time("2025-11-25 12:00Z", 1764072000, 0);
	check_time("2025-11-25T12:00:00.12Z", 1764072000, 120000000);
	check_time("2025-11-25T12:00:00.123456789Z", 1764072000, 123456789);
	check_time("2025-11-25T13:30:00+01:30", 1764072000, 0);
	check_time("2025-11-25T13:30+0130", 1764072000, 0);
	check_time("2025-11-24T23:00:00-13:00", 1764072000, 0);
	check_time("2000-02-29T23:59:60Z", 951868800, 0);
	check_time("0001-01-01T00:00Z", -62135596800, 0);
	check_time("@0", 0, 0);
	check_time("@1764072000", 1764072000, 0);
	check_time("@1764072000.5", 1764072000, 500000000);
	check_time("@-1", -1, 0);
	check_time("@-1.25", -2, 750000000);
}

static void digits_are_a_txid(void)
{
	struct when when = {.by_time = true};

	CHECK(when_parse("18446744073709551615", &when));
	CHECK(!when.by_time && when.txid == UINT64_MAX);
	CHECK(when_parse("7", &when) && when.txid == 7);
}

static void nothing_else_is_a_moment(void)
{
	static const char *const texts[] = {
		"",
		"x",
		"-1",
		"+1",
		" 1",
		"1 ",
		"18446744073709551616",
		"@",
		"@x",
		"@+1",
		"@ 1",
		"@1.",
		"@1.1234567890",
		"@1x",
		"@99999999999999999999",
		"2025-11-25",
		"2025-11-25T12:00",
		"2025-11-25T12:00:00",
		"2025-11-25T12Z",
		"2025-11-25T12:00z",
		"2025-11-25t12:00Z",
		"2025-11-25T12:00:00.Z",
		"2025-11-25T12:00:00,5Z",
		"2025-11-25T12:00:00.1234567890Z",
		"2025-11-25T24:00Z",
		"2025-11-25T12:60Z",
		"2025-11-25T12:00:61Z",
		"2025-02-29T12:00Z",
		"2025-13-01T12:00Z",
		"2025-00-01T12:00Z",
		"2025-11-00T12:00Z",
		"2025-11-31T12:00Z",
		"0000-11-30T12:00Z",
		"25-11-25T12:00Z",
		"2025-11-25T12:00+1:00",
		"2025-11-25T12:00+24:00",
		"2025-11-25T12:00+01",
		"2025-11-25T12:00Zx",
		"2025-11-25T12:00+01:00:00",
	};
	struct when when = {.txid = 77};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (when_parse(texts[i], &when))
			fprintf(stderr, "taken: %s\n", texts[i]);
		CHECK(!when_parse(texts[i], &when));
	}
	CHECK(when.txid == 77 && !when.by_time);
}

static void a_name_is_one_line_and_no_moment(void)
{
	static const char *const good[] = {
		"a",
		"1.0",
		"v1",
		"2025-11-25",
		"before the move, 100%",
		"\xc3\xa4\xe2\x82\xac",
		"a/b=c\\\"'",
		"x@y",
	};
	static const char *const bad[] = {
		"",         "1",
		"0",        "2025-11-25T12:00Z",
		"@x",       "@1",
		"-x",       "--remove",
		" a",       "a ",
		"a\nb",     "a\tb",
		"\x1b[31m", "a\x7f",
		"\xff",     "\xc3",
		"\xc2\x85", "\xe2\x80\xae!",
	};
	char longest[TAGNAME_MOST + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(!tagname_wrong(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(tagname_wrong(bad[i]));
	memset(longest, 'x', sizeof(longest));
	longest[TAGNAME_MOST + 1] = '\0';
	CHECK(tagname_wrong(longest));
	longest[TAGNAME_MOST] = '\0';
	CHECK(!tagname_wrong(longest));
}

UNIT_MAIN(UNIT(a_time_is_iso_8601_with_its_zone_or_seconds), UNIT(digits_are_a_txid),
	  UNIT(nothing_else_is_a_moment), UNIT(a_name_is_one_line_and_no_moment))
