/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Bytes from hexadecimal digits. Pure.
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
