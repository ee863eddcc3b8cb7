/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The bytes of an index file. Pure: knows no file. Whoever changes them changes
 * FORMAT.md, section 12.
 */
#include "index.h"
#include "frame.h"
#include "util.h"

#include <assert.h>

#define MAGIC      "DWALIDX\n"
#define MAGIC_SIZE 8
#define VERSION    1

#define KEPT 1 /* flags of an entry: the payload stands behind the key */
#define TEXT 2 /* the value is 1 to INDEX_TEXT_MOST bytes, none of them 0 */

_Static_assert(MAGIC_SIZE + 4 == INDEX_HEAD_SIZE, "magic and version");

void index_put_head(unsigned char out[INDEX_HEAD_SIZE])
{
	memcpy(out, MAGIC, MAGIC_SIZE);
	put_le32(out + MAGIC_SIZE, VERSION);
}

bool index_is_head(const unsigned char p[INDEX_HEAD_SIZE])
{
	return memcmp(p, MAGIC, MAGIC_SIZE) == 0 && get_le32(p + MAGIC_SIZE) == VERSION;
}

static bool is_kept(const struct dwal_record *record)
{
	return record->type == DWAL_RAW && record->payload.len <= INDEX_PAYLOAD_MOST;
}

bool index_may_be_text(const struct dwal_record *record)
{
	return record->type == DWAL_PUT && record->payload.len &&
	       record->payload.len <= INDEX_TEXT_MOST;
}

static bool is_text(const struct dwal_record *record)
{
	if (!index_may_be_text(record))
		return false;
	return record->payload.data ? !memchr(record->payload.data, 0, record->payload.len)
				    : record->is_text;
}

struct dwal_bytes index_kept(const struct dwal_record *record)
{
	return is_kept(record) ? record->payload : (struct dwal_bytes){NULL, 0};
}

void index_put_entry(const struct dwal_record *record, unsigned char out[INDEX_ENTRY_SIZE])
{
	out[0] = (unsigned char)record->type;
	out[1] = (unsigned char)((is_kept(record) ? KEPT : 0) | (is_text(record) ? TEXT : 0));
	put_le64(out + 2, record->txid);
	put_le32(out + 10, (uint32_t)record->key.len);
	put_le32(out + 14, (uint32_t)record->payload.len);
	put_le32(out + 18, record->crc32c);
}

bool index_parse_entry(const unsigned char p[INDEX_ENTRY_SIZE], struct dwal_record *out)
{
	const unsigned flags = p[1];
	struct dwal_record found = {
		.type = p[0],
		.txid = get_le64(p + 2),
		.key.len = get_le32(p + 10),
		.payload.len = get_le32(p + 14),
		.crc32c = get_le32(p + 18),
		.is_text = flags & TEXT,
	};

	if (p[0] > DWAL_DELETE || flags & ~(unsigned)(KEPT | TEXT))
		return false;
	found.length = dwal_frame_size(found.key.len, found.payload.len);
	if (!found.length || (flags & KEPT) != (is_kept(&found) ? KEPT : 0) ||
	    (found.is_text && !index_may_be_text(&found)))
		return false;
	*out = found;
	return true;
}

void index_put_tail(const struct index_tail *tail, uint32_t crc, unsigned char out[INDEX_TAIL_SIZE])
{
	put_le64(out, tail->size);
	put_le64(out + 8, (uint64_t)tail->mtime.tv_sec);
	put_le32(out + 16, (uint32_t)tail->mtime.tv_nsec);
	put_le64(out + 20, tail->ino);
	put_le64(out + 28, tail->records);
	put_le64(out + 36, tail->last_offset);
	put_le32(out + 44, tail->last_crc);
	put_le32(out + 48, dwal_crc32c(crc, out, INDEX_TAIL_SIZE - 4));
}

void index_parse_tail(const unsigned char p[INDEX_TAIL_SIZE], struct index_tail *out, uint32_t *crc)
{
	*out = (struct index_tail){
		.size = get_le64(p),
		.mtime = {.tv_sec = (time_t)get_le64(p + 8), .tv_nsec = get_le32(p + 16)},
		.ino = get_le64(p + 20),
		.records = get_le64(p + 28),
		.last_offset = get_le64(p + 36),
		.last_crc = get_le32(p + 44),
	};
	*crc = get_le32(p + 48);
}

uint32_t index_crc_begin(void)
{
	unsigned char head[INDEX_HEAD_SIZE];

	index_put_head(head);
	return dwal_crc32c(0, head, sizeof(head));
}

uint32_t index_crc_add(uint32_t crc, const struct dwal_record *record)
{
	const struct dwal_bytes kept = index_kept(record);
	unsigned char entry[INDEX_ENTRY_SIZE];

	index_put_entry(record, entry);
	crc = dwal_crc32c(crc, entry, sizeof(entry));
	crc = dwal_crc32c(crc, record->key.data, record->key.len);
	return dwal_crc32c(crc, kept.data, kept.len);
}
