/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Standard padded base64 (RFC 4648, section 4), encoding only. Pure.
 */
#ifndef DWAL_BASE64_H
#define DWAL_BASE64_H

#include <stddef.h>

#define BASE64_SIZE(len) (((len) + 2) / 3 * 4)

/* Writes BASE64_SIZE(len) characters, no NUL. Pieces whose lengths are
 * multiples of 3, but for the last, join to the encoding of the whole. */
void base64_encode(const void *data, size_t len, char *out);

#endif
