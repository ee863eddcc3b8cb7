/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Must not know what the bytes are.
 */
#include "base64.h"

#include <stdint.h>

#define PIECE 3072 /* bytes, a multiple of 3 */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t len, char *out)
{
	const uint8_t *in = data;

	for (; len >= 3; in += 3, len -= 3) {
		*out++ = digits[in[0] >> 2];
		*out++ = digits[(in[0] & 3) << 4 | in[1] >> 4];
		*out++ = digits[(in[1] & 15) << 2 | in[2] >> 6];
		*out++ = digits[in[2] & 63];
	}
	if (len == 0)
		return out;
	uint8_t second = len > 1 ? in[1] : 0;
	*out++ = digits[in[0] >> 2];
	*out++ = digits[(in[0] & 3) << 4 | second >> 4];
	*out++ = len > 1 ? digits[(second & 15) << 2] : '=';
	*out++ = '=';
	return out;
}

void base64_write(FILE *to, const void *data, size_t len)
{
	const uint8_t *in = data;
	char text[BASE64_SIZE(PIECE)];

	while (len) {
		size_t n = len < PIECE ? len : PIECE;

		(void)fwrite(text, 1, (size_t)(base64_encode(in, n, text) - text), to);
		in += n;
		len -= n;
	}
}

static int value_of(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

bool base64_decode(const char *text, size_t len, unsigned char *out, size_t *out_len)
{
	size_t padding = 0, n = 0;
	uint32_t bits = 0;

	if (len % 4 != 0)
		return false;
	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < len - padding; i++) {
		int value = value_of(text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 > 0)
			out[n++] = (unsigned char)(bits >> (6 - i % 4 * 2));
	}
	/* Bits of the last digit that belong to no byte. */
	if (bits & ((1u << 2 * padding) - 1))
		return false;
	*out_len = n;
	return true;
}
