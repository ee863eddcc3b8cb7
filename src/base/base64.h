/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Standard padded base64 (RFC 4648, section 4), of one spelling: the unused
 * bits of the last digit are zero.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Characters for len bytes. */
#define BASE64_SIZE(len) (((len) + 2) / 3 * 4)

/* Into BASE64_SIZE(len) characters, no NUL; returns their end. Pieces whose
 * lengths are multiples of 3, but for the last, join to the encoding of the
 * whole. */
char *base64_encode(const void *data, size_t len, char *out);

/* The same to a stream, which remembers a failure. */
void base64_write(FILE *to, const void *data, size_t len);

/* Into len / 4 * 3 bytes or fewer, which may be where the text stands. False,
 * with out and *out_len undefined: not of the form. */
bool base64_decode(const char *text, size_t len, unsigned char *out, size_t *out_len);

#endif
