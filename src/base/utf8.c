/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the first byte says of the length and of the second one is the table
 * of RFC 3629, section 4.
 */
#include "utf8.h"

size_t utf8_char(const void *text, size_t len, uint32_t *code)
{
	const unsigned char *s = text;
	unsigned char lead = len ? s[0] : 0xff;
	unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	size_t n = lead < 0x80   ? 1
		   : lead < 0xc2 ? 0
		   : lead < 0xe0 ? 2
		   : lead < 0xf0 ? 3
		   : lead < 0xf5 ? 4
				 : 0;
	uint32_t c = n == 1 ? lead : lead & 0x7fu >> n;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf) {
		if (s[i] < low || s[i] > high)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (code)
		*code = c;
	return n;
}

size_t utf8_shown(const void *text, size_t len)
{
	uint32_t c;
	size_t n = utf8_char(text, len, &c);

	if (!n || c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff)
		return 0;
	return n;
}
