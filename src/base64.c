/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Base64 for the JSONL export. Knows nothing of records or files.
 */
#include "base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, char *out)
{
	const uint8_t *in = data;

	for (; len >= 3; in += 3, len -= 3) {
		*out++ = digits[in[0] >> 2];
		*out++ = digits[(in[0] & 3) << 4 | in[1] >> 4];
		*out++ = digits[(in[1] & 15) << 2 | in[2] >> 6];
		*out++ = digits[in[2] & 63];
	}
	if (len == 0)
		return;
	uint8_t second = len > 1 ? in[1] : 0;
	*out++ = digits[in[0] >> 2];
	*out++ = digits[(in[0] & 3) << 4 | second >> 4];
	*out++ = len > 1 ? digits[(second & 15) << 2] : '=';
	*out = '=';
}
