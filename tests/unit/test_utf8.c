/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * UTF-8 against a plain model: what encoding each code point gives, and
 * nothing else.
 */
#include "unit.h"
#include "utf8.h"

static size_t encode(uint32_t c, unsigned char out[4])
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (unsigned char)(0xc0 | c >> 6);
		out[1] = (unsigned char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (unsigned char)(0xe0 | c >> 12);
		out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (unsigned char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (unsigned char)(0xf0 | c >> 18);
	out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (unsigned char)(0x80 | (c & 0x3f));
	return 4;
}

static void every_character_is_seen_and_no_half_of_one(void)
{
	unsigned char text[4];

	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		size_t len = encode(c, text);
		uint32_t code = ~c;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		CHECK(utf8_char(text, len, &code) == len && code == c);
		CHECK(utf8_char(text, len, NULL) == len);
		for (size_t cut = 0; cut < len; cut++)
			CHECK(utf8_char(text, cut, NULL) == 0);
	}
}

/* As many of all texts of 3 bytes begin with a character as there are
 * characters of each length: none is seen twice, nor anything else. */
static void nothing_else_of_one_two_or_three_bytes_is_a_character(void)
{
	size_t count[5] = {0};

	for (uint32_t i = 0; i < 1u << 24; i++) {
		const unsigned char text[3] = {(unsigned char)(i >> 16), (unsigned char)(i >> 8),
					       (unsigned char)i};

		count[utf8_char(text, sizeof(text), NULL)]++;
	}
	CHECK_INT(count[1], 0x80 << 16);
	CHECK_INT(count[2], (0x800 - 0x80) << 8);
	CHECK_INT(count[3], 0x10000 - 0x800 - 0x800);
	CHECK_INT(count[4], 0);
}

/* The same of 4 bytes, the last one any in a second pass. */
static void nothing_else_of_four_bytes_is_a_character(void)
{
	size_t count = 0, last = 0;

	for (uint32_t i = 0; i < 1u << 20; i++) {
		const unsigned char text[4] = {(unsigned char)(0xf0 | i >> 16),
					       (unsigned char)(i >> 8), (unsigned char)i, 0xbf};

		count += utf8_char(text, sizeof(text), NULL) == 4;
	}
	for (unsigned i = 0; i < 256; i++) {
		const unsigned char text[4] = {0xf1, 0x80, 0x80, (unsigned char)i};

		last += utf8_char(text, sizeof(text), NULL) == 4;
	}
	CHECK_INT(count, 0x100000 / 64);
	CHECK_INT(last, 64);
}

UNIT_MAIN(UNIT(every_character_is_seen_and_no_half_of_one),
	  UNIT(nothing_else_of_one_two_or_three_bytes_is_a_character),
	  UNIT(nothing_else_of_four_bytes_is_a_character))
