/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One frame: any bytes are decoded as FORMAT.md says, which is written here
 * once more; what is encoded is decoded again; no single changed bit passes.
 */
#include "frame.h"
#include "fuzz.h"

static uint32_t slow_crc32c(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static uint64_t le(const uint8_t *data, unsigned bytes)
{
	return take_number(&(struct input){data, bytes}, bytes);
}

/* FORMAT.md 2. */
static enum dwal_frame_status wanted_status(const uint8_t *data, size_t len)
{
	uint64_t key, payload;

	if (len < 24)
		return DWAL_TRUNCATED;
	if (memcmp(data, "DWAL", 4) != 0)
		return DWAL_BAD_MAGIC;
	if (le(data + 4, 2) != 1)
		return DWAL_BAD_VERSION;
	if (data[6] > 2)
		return DWAL_BAD_TYPE;
	if (data[7])
		return DWAL_BAD_FLAGS;
	key = le(data + 16, 4);
	payload = le(data + 20, 4);
	if (key > 65536)
		return DWAL_KEY_TOO_LONG;
	if (payload > 67108864)
		return DWAL_PAYLOAD_TOO_LONG;
	if (len < 28 + key + payload)
		return DWAL_TRUNCATED;
	return slow_crc32c(data, (size_t)(24 + key + payload)) == le(data + 24 + key + payload, 4)
		       ? DWAL_FRAME_OK
		       : DWAL_BAD_CRC;
}

static void check_decoding(const uint8_t *data, size_t len)
{
	struct dwal_record record, untouched;
	enum dwal_frame_status status;
	uint8_t *again;

	memset(&record, 0x5a, sizeof(record));
	untouched = record;
	status = dwal_frame_decode(data, len, &record);
	CHECK_INT(status, wanted_status(data, len));
	if (status != DWAL_FRAME_OK) {
		CHECK(memcmp(&record, &untouched, sizeof(record)) == 0);
		return;
	}
	again = malloc(record.length);
	CHECK(again);
	CHECK_INT(record.length, dwal_frame_size(record.key.len, record.payload.len));
	CHECK_INT(dwal_frame_encode(record.type, record.txid, record.key, record.payload, again),
		  0);
	CHECK(memcmp(again, data, record.length) == 0);
	CHECK_INT(frame_stored_crc(again + record.length), record.crc32c);
	free(again);
}

static bool all_zero(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i])
			return false;
	return true;
}

/* FORMAT.md 4, "A header that a power cut can leave". */
static bool wanted_torn(const uint8_t *header, uint64_t offset)
{
	size_t cut = (size_t)(512 - offset % 512);
	bool low, possible = true;

	if (all_zero(header, 24))
		return true;
	if (cut >= 24)
		return false;
	low = all_zero(header, cut);
	if (!low && !all_zero(header + cut, 24 - cut))
		return false;
	for (size_t i = low ? cut : 0; i < (low ? 24 : cut); i++)
		possible &= i < 6    ? header[i] == "DWAL\x01"[i]
			    : i == 6 ? header[i] <= 2
			    : i == 7 ? header[i] == 0
			    : i < 16 ? true
			    : i < 20 ? le(header + 16, 4) <= 65536
				     : le(header + 20, 4) <= 67108864;
	return possible;
}

static void check_torn(const uint8_t *data, size_t len)
{
	uint8_t header[24] = {0};

	memcpy(header, data, len < 24 ? len : 24);
	for (uint64_t offset = 480; offset <= 520; offset++)
		CHECK_INT(frame_header_is_torn(header, offset), wanted_torn(header, offset));
	/* as it is, one side of a boundary zero */
	for (size_t cut = 1; cut < 24; cut++) {
		uint8_t half[24];

		memcpy(half, header, 24);
		memset(half, 0, cut);
		CHECK_INT(frame_header_is_torn(half, 1024 - cut), wanted_torn(half, 1024 - cut));
		memcpy(half, header, 24);
		memset(half + cut, 0, 24 - cut);
		CHECK_INT(frame_header_is_torn(half, 1024 - cut), wanted_torn(half, 1024 - cut));
	}
}

static void check_encoding(struct input input)
{
	uint8_t kind = (uint8_t)take_number(&input, 1);
	uint64_t txid = take_number(&input, 8), bit = take_number(&input, 2);
	struct dwal_bytes key = take_bytes(&input, (size_t)take_number(&input, 1)),
			  payload = take_bytes(&input, input.left);
	uint32_t size = dwal_frame_size(key.len, payload.len);
	uint8_t *frame = malloc(size);
	struct dwal_record record;
	int rc;

	CHECK(frame);
	rc = dwal_frame_encode((enum dwal_type)kind, txid, key, payload, frame);
	CHECK_INT(rc == 0, kind <= DWAL_DELETE);
	if (rc == 0) {
		CHECK_INT(dwal_frame_decode(frame, size, &record), DWAL_FRAME_OK);
		CHECK(record.type == kind && record.txid == txid && record.length == size);
		CHECK(same_bytes(record.key, key) && same_bytes(record.payload, payload));
		CHECK_INT(dwal_frame_decode(frame, size - 1, &record), DWAL_TRUNCATED);
		frame[bit / 8 % size] ^= (uint8_t)(1 << bit % 8);
		CHECK(dwal_frame_decode(frame, size, &record) != DWAL_FRAME_OK);
	}
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cut = size ? data[0] % (size + 1) : 0;

	check_decoding(data, size);
	check_torn(data, size);
	check_encoding((struct input){data, size});
	CHECK_INT(dwal_crc32c(dwal_crc32c(0, data, cut), data + cut, size - cut),
		  slow_crc32c(data, size));
	return 0;
}
