/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Standard base64.
 */
#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit(const char *digits, char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
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
		int value = digit(base64_digits, text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 > 0)
			out[n++] = (unsigned char)(bits >> (6 - i % 4 * 2));
	}
	/* Bits of the last digit that belong to no byte: one spelling only. */
	if (bits & ((1u << 2 * padding) - 1))
		return false;
	*out_len = n;
	return true;
}

char *base64_encode(const unsigned char *value, size_t len, char *out)
{
	for (size_t at = 0; at < len; at += 3) {
		size_t n = len - at < 3 ? len - at : 3;
		uint32_t bits = 0;

		for (size_t i = 0; i < 3; i++)
			bits = bits << 8 | (i < n ? value[at + i] : 0);
		for (size_t i = 0; i < 4; i++)
			*out++ = i <= n ? base64_digits[bits >> (18 - 6 * i) & 63] : '=';
	}
	return out;
}
