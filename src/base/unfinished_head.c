/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "unfinished_head.h"

#include <string.h>

/* The rest of a line behind its field, which must come next. */
static const char *read_field(const char **text, const char *end, const char *field, size_t *len)
{
	const char *value = *text + strlen(field), *line_end;

	if ((size_t)(end - *text) < strlen(field) || memcmp(*text, field, strlen(field)) != 0)
		return NULL;
	line_end = memchr(value, '\n', (size_t)(end - value));
	if (!line_end)
		return NULL;
	*len = (size_t)(line_end - value);
	*text = line_end + 1;
	return value;
}

static bool read_number(const char **text, const char *end, const char *field, uint64_t *number)
{
	size_t len;
	const char *digits = read_field(text, end, field, &len);

	if (!digits || !len || len > 19 || (len > 1 && digits[0] == '0'))
		return false;
	*number = 0;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(digits[i] - '0');
	}
	return true;
}

static bool has_key(const struct dwal_record *record)
{
	return record->type == DWAL_RAW && record->key.len == strlen(UNFINISHED_KEY) &&
	       memcmp(record->key.data, UNFINISHED_KEY, record->key.len) == 0;
}

bool unfinished_head_parse(const struct dwal_record *record, struct unfinished_head *out)
{
	const char *text = record->payload.data, *end = text + record->payload.len;
	struct unfinished_head head;

	if (!has_key(record) || record->payload.len < strlen(UNFINISHED_FIRST) ||
	    memcmp(text, UNFINISHED_FIRST, strlen(UNFINISHED_FIRST)) != 0)
		return false;
	text += strlen(UNFINISHED_FIRST);
	head.digits.data = read_field(&text, end, "key=", &head.digits.len);
	if (!head.digits.data || head.digits.len > UNFINISHED_KEY_DIGITS ||
	    !read_number(&text, end, "size=", &head.size) ||
	    !read_number(&text, end, "offset=", &head.begin) || text == end || *text != '\n')
		return false;
	head.part = (uint64_t)(end - text) - 1;
	*out = head;
	return true;
}
