/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Attribute and clock records as a compaction sees them. Must not know what is
 * dropped.
 */
#include "rawkind.h"

#include "attr.h"

enum dwal_raw_kind raw_kind(void *ctx, const struct dwal_record *record)
{
	const struct dwal_bytes *key = &record->key, *payload = &record->payload;
	struct attr attr;
	int64_t seconds;

	if (attr_parse(payload->data, payload->len, &attr)) {
		if (attr.type == ATTR_DIR)
			return DWAL_RAW_ENTRY;
		return attr.type == ATTR_NONE ? DWAL_RAW_ENTRY_END : DWAL_RAW_ATTRIBUTES;
	}
	return clock_parse(key->data, key->len, payload->data, payload->len, &seconds)
		       ? DWAL_RAW_TIME
		       : DWAL_RAW_OTHER;
}
