/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * UTF-8 (RFC 3629). Pure.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length, 1 to 4, of the well-formed character that the text begins with;
 * 0 when it begins with none: overlong forms, surrogates and what lies beyond
 * U+10FFFF are not well-formed. code, unless NULL, becomes its code point. */
size_t utf8_char(const void *text, size_t len, uint32_t *code);

/* The same; 0 also for one that a terminal would act upon instead of showing it:
 * controls, line breaks, and those that turn the direction of writing. */
size_t utf8_shown(const void *text, size_t len);

#endif
