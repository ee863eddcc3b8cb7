/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The wire codec: bytes to record and back. Pure: no I/O, no memory. The only
 * file that knows byte offsets; must not know segments or recovery.
 */
#include "frame.h"
#include "crc32c.h"
#include "util.h"

#include <assert.h>
#include <errno.h>

enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_TYPE = 6,
	AT_FLAGS = 7,
	AT_TXID = 8,
	AT_KEY_LEN = 16,
	AT_PAYLOAD_LEN = 20,
	AT_KEY = 24,

	SECTOR = 512, /* what a disk writes whole */
};

static_assert(AT_KEY == DWAL_HEADER_SIZE, "the key follows the fixed part");
static_assert(DWAL_HEADER_SIZE < SECTOR, "at most one boundary falls into a header");
static_assert((uint64_t)DWAL_MAX_KEY + DWAL_MAX_PAYLOAD + FRAME_OVERHEAD <= UINT32_MAX,
	      "a frame's length fits its type");

enum dwal_frame_status frame_parse_header(const void *data, size_t len, struct dwal_record *out)
{
	const unsigned char *p = data;
	uint32_t key_len, payload_len;

	if (len < DWAL_HEADER_SIZE)
		return DWAL_TRUNCATED;
	if (memcmp(p + AT_MAGIC, FRAME_MAGIC, FRAME_MAGIC_SIZE) != 0)
		return DWAL_BAD_MAGIC;
	if (get_le16(p + AT_VERSION) != DWAL_WIRE_VERSION)
		return DWAL_BAD_VERSION;
	if (p[AT_TYPE] > DWAL_DELETE)
		return DWAL_BAD_TYPE;
	if (p[AT_FLAGS] != 0)
		return DWAL_BAD_FLAGS;
	key_len = get_le32(p + AT_KEY_LEN);
	if (key_len > DWAL_MAX_KEY)
		return DWAL_KEY_TOO_LONG;
	payload_len = get_le32(p + AT_PAYLOAD_LEN);
	if (payload_len > DWAL_MAX_PAYLOAD)
		return DWAL_PAYLOAD_TOO_LONG;

	*out = (struct dwal_record){
		.length = dwal_frame_size(key_len, payload_len),
		.type = p[AT_TYPE],
		.txid = get_le64(p + AT_TXID),
		.key.len = key_len,
		.payload.len = payload_len,
	};
	return DWAL_FRAME_OK;
}

uint32_t frame_stored_crc(const void *end)
{
	return get_le32((const unsigned char *)end - DWAL_TRAILER_SIZE);
}

enum dwal_frame_status dwal_frame_decode(const void *data, size_t len, struct dwal_record *out)
{
	const unsigned char *p = data;
	struct dwal_record r;
	enum dwal_frame_status status = frame_parse_header(data, len, &r);

	if (status != DWAL_FRAME_OK)
		return status;
	if (r.length > len)
		return DWAL_TRUNCATED;
	r.crc32c = frame_stored_crc(p + r.length);
	if (dwal_crc32c(0, p, r.length - DWAL_TRAILER_SIZE) != r.crc32c)
		return DWAL_BAD_CRC;

	r.key.data = p + AT_KEY;
	r.payload.data = p + AT_KEY + r.key.len;
	*out = r;
	return DWAL_FRAME_OK;
}

static bool all_zero(const unsigned char *p, size_t n)
{
	while (n)
		if (p[--n])
			return false;
	return true;
}

/* True if nothing is wrong with bytes from..to of a header whose other bytes
 * are zero. */
static bool right_but_for_zeros(const unsigned char *header, size_t from, size_t to)
{
	static const unsigned char fixed[] = {'D', 'W', 'A', 'L', DWAL_WIRE_VERSION, 0};
	unsigned char patched[DWAL_HEADER_SIZE];
	struct dwal_record ignored;

	memcpy(patched, header, sizeof(patched));
	for (size_t i = 0; i < sizeof(fixed); i++)
		if (i < from || i >= to)
			patched[i] = fixed[i];
	return frame_parse_header(patched, sizeof(patched), &ignored) == DWAL_FRAME_OK;
}

bool frame_header_is_torn(const void *header, uint64_t file_offset)
{
	const unsigned char *p = header;
	size_t cut = SECTOR - file_offset % SECTOR;

	if (all_zero(p, DWAL_HEADER_SIZE))
		return true;
	if (cut >= DWAL_HEADER_SIZE)
		return false;
	if (all_zero(p, cut))
		return right_but_for_zeros(p, cut, DWAL_HEADER_SIZE);
	if (all_zero(p + cut, DWAL_HEADER_SIZE - cut))
		return right_but_for_zeros(p, 0, cut);
	return false;
}

static bool is_one_byte(uint32_t bits)
{
	while (bits && !(bits & UINT8_MAX))
		bits >>= 8;
	return bits <= UINT8_MAX;
}

/* A changed byte leaves itself in the register; each byte behind it shifts that
 * on. Going back from the end, the difference is that byte where it stood. */
unsigned frame_changes(const struct dwal_record *record, uint32_t difference)
{
	const size_t value = AT_KEY + record->key.len;
	size_t at = record->length - DWAL_TRAILER_SIZE;
	unsigned changes = is_one_byte(difference) ? FRAME_CHANGE_VALUE : 0;

	while (at-- > 0) {
		difference = crc32c_before_a_zero(difference);
		if (difference > UINT8_MAX)
			continue;
		if (at >= value)
			changes |= FRAME_CHANGE_VALUE;
		else if (at < AT_TXID || at >= AT_KEY_LEN)
			changes |= FRAME_CHANGE_KEY;
		else
			changes |= FRAME_CHANGE_TXID;
	}
	return changes;
}

uint32_t dwal_frame_size(size_t key_len, size_t payload_len)
{
	if (key_len > DWAL_MAX_KEY || payload_len > DWAL_MAX_PAYLOAD)
		return 0;
	return (uint32_t)(FRAME_OVERHEAD + key_len + payload_len);
}

int frame_check(const struct dwal_op *op)
{
	if ((unsigned int)op->type > DWAL_DELETE)
		return -EINVAL;
	if (op->key.len > DWAL_MAX_KEY)
		return DWAL_EKEYSIZE;
	if (op->payload.len > DWAL_MAX_PAYLOAD)
		return DWAL_EPAYLOADSIZE;
	return 0;
}

void frame_put_header(const struct dwal_op *op, uint64_t txid, void *out)
{
	unsigned char *p = out;

	memcpy(p + AT_MAGIC, FRAME_MAGIC, FRAME_MAGIC_SIZE);
	put_le16(p + AT_VERSION, DWAL_WIRE_VERSION);
	p[AT_TYPE] = (unsigned char)op->type;
	p[AT_FLAGS] = 0;
	put_le64(p + AT_TXID, txid);
	put_le32(p + AT_KEY_LEN, (uint32_t)op->key.len);
	put_le32(p + AT_PAYLOAD_LEN, (uint32_t)op->payload.len);
}

void frame_put_trailer(uint32_t crc, void *out)
{
	put_le32(out, crc);
}

int dwal_frame_encode(enum dwal_type type, uint64_t txid, struct dwal_bytes key,
		      struct dwal_bytes payload, void *out)
{
	struct dwal_op op = {.type = type, .key = key, .payload = payload};
	unsigned char *p = out, *end;
	int rc = frame_check(&op);

	if (rc)
		return rc;
	frame_put_header(&op, txid, p);
	end = put_bytes(put_bytes(p + AT_KEY, key), payload);
	frame_put_trailer(dwal_crc32c(0, p, (size_t)(end - p)), end);
	return 0;
}
