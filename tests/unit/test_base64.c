/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Base64 against a plain model: bits, six at a time.
 */
#include "base64.h"
#include "unit.h"

#include <stdbool.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The text of up to 3 bytes, NUL-terminated. */
static void model(const unsigned char *data, size_t len, char out[5])
{
	for (size_t i = 0; i < 4; i++) {
		unsigned value = 0;

		for (size_t bit = 6 * i; bit < 6 * i + 6; bit++)
			value = 2 * value +
				(bit / 8 < len ? data[bit / 8] >> (7 - bit % 8) & 1 : 0);
		out[i] = 6 * i < 8 * len ? alphabet[value] : '=';
	}
	out[len ? 4 : 0] = '\0';
}

static void check_both_ways(const unsigned char *data, size_t len)
{
	char wanted[5], text[BASE64_SIZE(3) + 1] = "";
	unsigned char back[3];
	size_t n = 9;

	model(data, len, wanted);
	*base64_encode(data, len, text) = '\0';
	CHECK(strcmp(text, wanted) == 0);
	CHECK(base64_decode(text, strlen(text), back, &n));
	CHECK(n == len && memcmp(back, data, len) == 0);
}

static void every_short_input_is_encoded_and_decoded(void)
{
	for (unsigned i = 0; i < 1u << 16; i++) {
		const unsigned char data[3] = {(unsigned char)i, (unsigned char)(i >> 8),
					       (unsigned char)(i * 7)};

		for (size_t len = 0; len <= 3; len++)
			check_both_ways(data, len);
	}
}

/* Whatever is decoded is what encoding gives. */
static void only_one_spelling_is_decoded(void)
{
	static const char ends[] = "AEQgwz/+=B-_ \n";
	unsigned char data[3];
	size_t n, good = 0;

	for (unsigned i = 1; i < 1u << 16; i++) /* also characters that are none, NUL too */
		for (size_t k = 0; k < sizeof(ends) * sizeof(ends); k++) {
			const char text[4] = {(char)i, (char)(i >> 8), ends[k % sizeof(ends)],
					      ends[k / sizeof(ends)]};
			char wanted[5] = "";
			bool valid = base64_decode(text, sizeof(text), data, &n);

			if (valid)
				model(data, n, wanted);
			CHECK(!valid || memcmp(text, wanted, sizeof(text)) == 0);
			good += valid;
		}
	/* "xx" and two of 9 digits; one that ends in 2 bits of zeros and "="; "==" behind
	 * a digit that ends in 4. */
	CHECK_INT(good, 64 * 64 * 9 * 9 + 64 * 64 * 5 + 64 * 4);
}

static void a_length_that_is_no_multiple_of_four_is_none(void)
{
	unsigned char data[8];
	size_t n;

	for (size_t len = 0; len <= 8; len++)
		CHECK(base64_decode("QUJDREVG", len, data, &n) == (len % 4 == 0));
	CHECK(!base64_decode("====", 4, data, &n) && !base64_decode("QQ==QQ==", 8, data, &n));
}

/* Also to a stream, and decoded where it stands. */
static void pieces_join(void)
{
	static unsigned char data[10000];
	char *text = NULL;
	size_t size, n;
	FILE *to;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * i >> 3);
	for (size_t len = sizeof(data) - 3; len <= sizeof(data); len++) {
		char *whole = malloc(BASE64_SIZE(len));

		CHECK(whole && (to = open_memstream(&text, &size)));
		base64_write(to, data, len);
		CHECK(fclose(to) == 0 && size == BASE64_SIZE(len));
		CHECK(base64_encode(data, len, whole) == whole + size);
		CHECK(memcmp(text, whole, size) == 0);
		CHECK(base64_decode(text, size, (unsigned char *)text, &n));
		CHECK(n == len && memcmp(text, data, len) == 0);
		free(whole);
		free(text);
	}
}

UNIT_MAIN(UNIT(every_short_input_is_encoded_and_decoded), UNIT(only_one_spelling_is_decoded),
	  UNIT(a_length_that_is_no_multiple_of_four_is_none), UNIT(pieces_join))
