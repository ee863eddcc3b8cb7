/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Standard base64, padded, of one spelling: the unused bits of the last digit
 * are zero. Pure.
 */
#ifndef FUSE_BASE64_H
#define FUSE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Into len / 4 * 3 bytes or fewer. False: not of the form. */
bool base64_decode(const char *text, size_t len, unsigned char *out, size_t *out_len);

/* Into (len + 2) / 3 * 4 bytes, not terminated; returns their end. */
char *base64_encode(const unsigned char *data, size_t len, char *out);

#endif
