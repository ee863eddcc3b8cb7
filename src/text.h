/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The text that the library's own Raw records consist of, corpus/FORMAT.md:
 * lines of NAME=VALUE, numbers, escapes. Pure.
 */
#ifndef DWAL_TEXT_H
#define DWAL_TEXT_H

#include "datawal.h"

/* What is left of a text. */
struct text {
	const char *at, *end;
};

struct text text_of(struct dwal_bytes bytes);

static inline bool text_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Whether a record is a Raw one with this key whose data is there. */
bool text_is_of(const struct dwal_record *record, const char *key);

/* What is read is taken off the front. False: something else stands there. */
bool text_take(struct text *text, const char *literal);

/* A name, its = among it, DECIMAL without a needless zero, and a newline. */
bool text_take_number(struct text *text, const char *name, uint64_t *out);

/* The next line, without its newline; NULL bounds where there is none. */
struct text text_take_line(struct text *text);

/* The next byte that a value stands for, or -1 when what is there is none. */
int text_take_byte(struct text *text);

/* Undoes the escapes of a value. False: it holds a NUL, is none, or does not
 * fit with the NUL behind it. */
bool text_unescape(struct text value, char *out, size_t size);

/* [a-z][a-z0-9.-]* */
bool text_is_name(const char *name, size_t len);

/* NAME=VALUE; where it is so, *name_len is the length of the name. */
bool text_is_line(struct text line, size_t *name_len);

/* How long what the functions below write is. */
size_t text_number_len(const char *name, uint64_t n);
size_t text_escaped_len(const char *value);

/* Each returns the end of what it wrote. */
char *text_put(char *p, const char *literal);
char *text_put_number(char *p, const char *name, uint64_t n);
char *text_put_escaped(char *p, const char *value);

#endif
