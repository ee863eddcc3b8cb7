/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a compaction has given up, and what it may not: text to fields and
 * back. Pure. Must not know what is dropped, nor why.
 */
#include "horizon.h"
#include "text.h"
#include "util.h"

#include <errno.h>

#define HORIZON_LINE "datawal horizon 1\n"
#define TAG_LINE     "datawal tag 1\n"

/* Only lines follow, of whatever names. */
static bool ends_with_lines(struct text text)
{
	size_t name_len;

	while (text.at < text.end)
		if (!text_is_line(text_take_line(&text), &name_len))
			return false;
	return true;
}

bool dwal_horizon_parse(const struct dwal_record *record, struct dwal_horizon *out)
{
	struct text text = text_of(record->payload);
	struct dwal_horizon horizon;

	if (!text_is_of(record, HORIZON_KEY) || !text_take(&text, HORIZON_LINE) ||
	    !text_take_number(&text, "lo=", &horizon.lo) ||
	    !text_take_number(&text, "hi=", &horizon.hi) || !ends_with_lines(text))
		return false;
	*out = horizon;
	return true;
}

bool dwal_tag_parse(const struct dwal_record *record, struct dwal_tag *out)
{
	struct text text = text_of(record->payload), line;
	struct dwal_tag tag;
	size_t name_len;

	if (!text_is_of(record, TAG_KEY) || !text_take(&text, TAG_LINE))
		return false;
	line = text_take_line(&text);
	if (!text_is_line(line, &name_len) || !text_take(&line, "name=") || line.at == line.end ||
	    !text_take_number(&text, "txid=", &tag.txid) || !ends_with_lines(text))
		return false;
	tag.name = (struct dwal_bytes){line.at, (size_t)(line.end - line.at)};
	*out = tag;
	return true;
}

bool dwal_tag_name(const struct dwal_tag *tag, char *out, size_t size)
{
	return text_unescape(text_of(tag->name), out, size);
}

struct dwal_horizon horizon_merge(struct dwal_horizon a, struct dwal_horizon b)
{
	if (horizon_is_empty(a) || horizon_is_empty(b))
		return horizon_is_empty(a) ? b : a;
	return (struct dwal_horizon){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

size_t horizon_put(struct dwal_horizon horizon, char out[HORIZON_SIZE])
{
	char *p = text_put(out, HORIZON_LINE);

	p = text_put_number(p, "lo=", horizon.lo);
	return (size_t)(text_put_number(p, "hi=", horizon.hi) - out);
}

int tag_make(const char *name, uint64_t txid, char **out, size_t *len)
{
	size_t size = strlen(TAG_LINE "name=\n") + text_escaped_len(name) +
		      text_number_len("txid=", txid);
	char *p;

	if (!*name)
		return -EINVAL;
	p = *out = malloc(size);
	if (!p)
		return -ENOMEM;
	p = text_put(text_put_escaped(text_put(p, TAG_LINE "name="), name), "\n");
	(void)text_put_number(p, "txid=", txid);
	*len = size;
	return 0;
}
