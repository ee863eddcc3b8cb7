/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writes JSON (RFC 8259) to a stream. Every function takes the member's name,
 * which is NULL within an array and for the outermost value. Errors are those
 * of the stream, which no other thread may use meanwhile.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum json_layout {
	JSON_LINE,     /* without any blank */
	JSON_INDENTED, /* a line for each value */
};

struct json {
	FILE *out;
	enum json_layout layout;
	int depth;
	bool empty; /* nothing yet in the innermost object or array */
};

void json_init(struct json *json, FILE *out, enum json_layout layout);

/* bracket is '{' or '[', and the matching '}' or ']'. A newline ends the
 * outermost. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket);

void json_number(struct json *json, const char *name, uint64_t value);
void json_bool(struct json *json, const char *name, bool value);

/* null for NULL; what is not UTF-8 in it becomes U+FFFD. */
void json_text(struct json *json, const char *name, const char *text);

/* Any bytes, as base64. */
void json_bytes(struct json *json, const char *name, const void *data, size_t len);

#endif
