/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Writes JSON to a stream, indented. Every function takes the member's name,
 * which is NULL within an array and for the outermost value. Knows nothing of
 * what it writes; errors are those of the stream.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	int depth;
	bool empty; /* nothing yet in the innermost object or array */
};

void json_init(struct json *json, FILE *out);

/* bracket is '{' or '[', and the matching '}' or ']'. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket);

void json_number(struct json *json, const char *name, uint64_t value);
void json_bool(struct json *json, const char *name, bool value);

/* null for NULL; what is not UTF-8 in it becomes U+FFFD. */
void json_text(struct json *json, const char *name, const char *text);

/* Any bytes, as base64. */
void json_bytes(struct json *json, const char *name, const void *data, size_t len);

#endif
