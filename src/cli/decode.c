/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Bytes from hexadecimal digits and from base64. Pure.
 */
#include <string.h>

#include "cli.h"

static int hex_value(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool decode_hex(const char *text, size_t n, unsigned char *out, size_t *len)
{
	for (size_t i = 0; i < n; i++) {
		int v = hex_value(text[i]);

		if (v < 0)
			return false;
		out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] << 4 | v : v);
	}
	*len = n / 2;
	return n % 2 == 0;
}

static int base64_value(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

bool decode_base64(const char *text, size_t n, unsigned char *out, size_t *len)
{
	size_t pad = 0, made = 0;
	uint32_t bits = 0;

	if (n % 4)
		return false;
	while (pad < 2 && pad < n && text[n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < n; i++) {
		int v = i < n - pad ? base64_value(text[i]) : 0;

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 != 3)
			continue;
		out[made++] = (unsigned char)(bits >> 16);
		out[made++] = (unsigned char)(bits >> 8);
		out[made++] = (unsigned char)bits;
	}
	for (size_t i = 0; i < pad; i++)
		if (out[--made])
			return false;
	*len = made;
	return true;
}
