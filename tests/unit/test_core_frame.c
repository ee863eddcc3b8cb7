/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The wire codec and its CRC.
 */
#include "core.h"
#include "crc32c.h"
#include "frame.h"

#include <errno.h>

typedef uint32_t (*crc_fn)(uint32_t crc, const void *data, size_t len);

static const crc_fn implementations[] = {
	dwal_crc32c,
	crc32c_table,
#ifdef HAVE_ISAL
	crc32c_isal,
#endif
};
#define EACH_CRC(f)                         \
	(const crc_fn *f = implementations; \
	 f < implementations + sizeof(implementations) / sizeof(*implementations); f++)

static void crc_gives_the_check_values(void)
{
	unsigned char zeros[32] = {0}, ones[32], rising[32];

	memset(ones, 0xFF, sizeof(ones));
	for (int i = 0; i < 32; i++)
		rising[i] = (unsigned char)i;
	for
		EACH_CRC(f)
		{
			CHECK_INT((*f)(0, "123456789", 9), 0xE3069283u);
			CHECK_INT((*f)(0, zeros, 32), 0x8A9136AAu);
			CHECK_INT((*f)(0, ones, 32), 0x62A8AB43u);
			CHECK_INT((*f)(0, rising, 32), 0x46DD794Eu);
			CHECK_INT((*f)(0, NULL, 0), 0);
		}
}

/* Bit by bit, from the definition. */
static uint32_t slow_crc(const unsigned char *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return ~crc;
}

static void crc_implementations_agree_at_every_length_start_and_cut(void)
{
	unsigned char buffer[2048];
	uint64_t seed = 1;

	for (size_t i = 0; i < sizeof(buffer); i++)
		buffer[i] = (unsigned char)unit_random(&seed);
	for (size_t len = 0; len < 300; len++)
		for (size_t start = 0; start < 16; start++)
			for
				EACH_CRC(f)
	CHECK_INT((*f)(0, buffer + start, len), slow_crc(buffer + start, len));
	for (size_t cut = 0; cut <= sizeof(buffer); cut++)
		for
			EACH_CRC(f)
	CHECK_INT((*f)((*f)(0, buffer, cut), buffer + cut, sizeof(buffer) - cut),
		  slow_crc(buffer, sizeof(buffer)));
	for (size_t cut = 0; cut <= sizeof(buffer); cut++)
		CHECK_INT(crc32c_combine(dwal_crc32c(0, buffer, cut),
					 dwal_crc32c(0, buffer + cut, sizeof(buffer) - cut),
					 sizeof(buffer) - cut),
			  slow_crc(buffer, sizeof(buffer)));
}

static void a_frame_reads_back_as_it_was_written(void)
{
	static const size_t lengths[] = {0, 1, 7, 500, 65536};
	unsigned char *key = malloc(DWAL_MAX_KEY), *payload = malloc(70000);
	unsigned char *frame = malloc(FRAME_OVERHEAD + DWAL_MAX_KEY + 70000);
	struct dwal_record r;

	memset(key, 'k', DWAL_MAX_KEY);
	memset(payload, 'p', 70000);
	for (int type = DWAL_RAW; type <= DWAL_DELETE; type++) {
		for (size_t i = 0; i < 5; i++) {
			for (size_t j = 0; j < 5; j++) {
				struct dwal_bytes k = {key, lengths[i]}, p = {payload, lengths[j]};
				uint32_t size = dwal_frame_size(k.len, p.len);

				CHECK_INT(size, 28 + k.len + p.len);
				CHECK_INT(dwal_frame_encode(type, UINT64_MAX - 5, k, p, frame), 0);
				CHECK_INT(dwal_frame_decode(frame, size, &r), DWAL_FRAME_OK);
				CHECK_INT(r.type, type);
				CHECK(r.txid == UINT64_MAX - 5 && r.length == size);
				CHECK(r.key.len == k.len && r.payload.len == p.len);
				CHECK(memcmp(r.key.data, key, k.len) == 0);
				CHECK(memcmp(r.payload.data, payload, p.len) == 0);
			}
		}
	}
	free(frame);
	free(payload);
	free(key);
}

static void limits_are_refused(void)
{
	unsigned char out[64];

	CHECK_INT(dwal_frame_size(DWAL_MAX_KEY, DWAL_MAX_PAYLOAD), 28 + 65536 + 67108864);
	CHECK_INT(dwal_frame_size(DWAL_MAX_KEY + 1, 0), 0);
	CHECK_INT(dwal_frame_size(0, DWAL_MAX_PAYLOAD + 1), 0);
	CHECK_INT(dwal_frame_size(SIZE_MAX, SIZE_MAX), 0);
	CHECK_INT(dwal_frame_encode(DWAL_PUT, 1, (struct dwal_bytes){"", DWAL_MAX_KEY + 1},
				    (struct dwal_bytes){0}, out),
		  DWAL_EKEYSIZE);
	CHECK_INT(dwal_frame_encode(DWAL_PUT, 1, (struct dwal_bytes){0},
				    (struct dwal_bytes){"", DWAL_MAX_PAYLOAD + 1}, out),
		  DWAL_EPAYLOADSIZE);
	CHECK_INT(dwal_frame_encode(3, 1, (struct dwal_bytes){0}, (struct dwal_bytes){0}, out),
		  -EINVAL);
}

/* A copy that ends where the bytes do, so that a sanitizer sees a read
 * beyond. */
static enum dwal_frame_status decode_copy(const unsigned char *data, size_t len,
					  struct dwal_record *out)
{
	unsigned char *copy = malloc(len ? len : 1);
	enum dwal_frame_status status;

	memcpy(copy, data, len);
	status = dwal_frame_decode(copy, len, out);
	free(copy);
	return status;
}

static size_t small_frame(unsigned char *out)
{
	CHECK_INT(dwal_frame_encode(DWAL_PUT, 7, (struct dwal_bytes){"key", 3},
				    (struct dwal_bytes){"value", 5}, out),
		  0);
	return dwal_frame_size(3, 5);
}

static void no_truncation_is_accepted(void)
{
	unsigned char frame[64];
	size_t size = small_frame(frame);
	struct dwal_record r;

	for (size_t len = 0; len < size; len++)
		CHECK_INT(decode_copy(frame, len, &r), DWAL_TRUNCATED);
	CHECK_INT(decode_copy(frame, size, &r), DWAL_FRAME_OK);
}

static void no_flipped_bit_is_accepted(void)
{
	unsigned char frame[64];
	size_t size = small_frame(frame);
	struct dwal_record r;

	for (size_t bit = 0; bit < 8 * size; bit++) {
		enum dwal_frame_status status;

		frame[bit / 8] ^= (unsigned char)(1 << bit % 8);
		status = decode_copy(frame, size, &r);
		CHECK(status != DWAL_FRAME_OK && status != DWAL_ZEROED_HEADER);
		if (bit < 32)
			CHECK_INT(status, DWAL_BAD_MAGIC);
		else if (bit < 48)
			CHECK_INT(status, DWAL_BAD_VERSION);
		else if (bit >= 56 && bit < 64)
			CHECK_INT(status, DWAL_BAD_FLAGS);
		else if (bit >= 64 && bit < 128)
			CHECK_INT(status, DWAL_BAD_CRC);
		frame[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
}

static void the_first_wrong_field_is_named(void)
{
	static const struct {
		size_t at;
		unsigned char value;
		enum dwal_frame_status status;
	} wrong[] = {/* from the last field to the first: each hides those behind it */
		     {23, 0xFF, DWAL_PAYLOAD_TOO_LONG},
		     {19, 0xFF, DWAL_KEY_TOO_LONG},
		     {7, 1, DWAL_BAD_FLAGS},
		     {6, 3, DWAL_BAD_TYPE},
		     {5, 0xCA, DWAL_BAD_VERSION},
		     {0, 'X', DWAL_BAD_MAGIC}};
	unsigned char frame[64];
	size_t size = small_frame(frame);
	struct dwal_record r;

	frame[size - 1] ^= 1;
	CHECK_INT(dwal_frame_decode(frame, size, &r), DWAL_BAD_CRC);
	CHECK_INT(dwal_frame_decode(frame, size - 1, &r), DWAL_TRUNCATED);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		frame[wrong[i].at] = wrong[i].value;
		CHECK_INT(dwal_frame_decode(frame, size, &r), wrong[i].status);
		CHECK_INT(dwal_frame_decode(frame, 23, &r), DWAL_TRUNCATED);
	}
}

/* The rule in other words: is there a right header and a boundary, such that
 * zeroing one side of it gives this one? */
static bool torn_by_search(const unsigned char *h, uint64_t offset)
{
	static const unsigned char start[8] = {'D', 'W', 'A', 'L', 1, 0, 0, 0};
	unsigned zeros = 0;

	for (unsigned i = 0; i < 24; i++)
		zeros += h[i] == 0;
	if (zeros == 24)
		return true;
	for (unsigned cut = 1; cut < 24; cut++) {
		if ((offset + cut) % 512)
			continue;
		for (int side = 0; side < 2; side++) {
			unsigned from = side ? cut : 0, to = side ? 24 : cut; /* the written side */
			bool ok = true;
			uint64_t key = 0, payload = 0;

			for (unsigned i = 0; i < 24; i++)
				if ((i < from || i >= to) && h[i])
					ok = false;
			for (unsigned i = from; i < to && i < 8; i++)
				if (i == 6 ? h[i] > 2 : h[i] != start[i])
					ok = false;
			for (int i = 3; i >= 0; i--) {
				key = key << 8 | h[16 + i];
				payload = payload << 8 | h[20 + i];
			}
			if (ok && key <= 65536 && payload <= 67108864)
				return true;
		}
	}
	return false;
}

static void the_torn_header_rule_holds_for_every_boundary_and_byte(void)
{
	unsigned char frame[64], h[24];
	uint64_t seed = 7;
	unsigned torn = 0;

	small_frame(frame);
	for (uint64_t offset = 488 - 4; offset <= 512 + 2; offset++) {
		for (unsigned cut = 0; cut <= 24; cut++) {
			for (int side = 0; side < 2; side++) {
				memcpy(h, frame, 24);
				if (side)
					memset(h, 0, cut);
				else
					memset(h + cut, 0, 24 - cut);
				CHECK_INT(frame_header_is_torn(h, offset),
					  torn_by_search(h, offset));
				torn += frame_header_is_torn(h, offset);
				for (unsigned k = 0; k < 24 * 4; k++) { /* one byte wrong */
					unsigned char old = h[k / 4];

					h[k / 4] =
						(unsigned char)(k % 4 == 0   ? 0
								: k % 4 == 1 ? old ^ 1
									     : unit_random(&seed));
					CHECK_INT(frame_header_is_torn(h, offset),
						  torn_by_search(h, offset));
					h[k / 4] = old;
				}
			}
		}
	}
	CHECK(torn > 100);
}

static void a_header_of_zeros_is_torn_anywhere_and_a_right_one_nowhere_else(void)
{
	unsigned char zeros[24] = {0}, frame[64];

	small_frame(frame);
	for (uint64_t offset = 0; offset < 1024; offset++) {
		CHECK(frame_header_is_torn(zeros, offset));
		frame[0] = 'X';
		CHECK(!frame_header_is_torn(frame, offset));
		frame[0] = 'D';
	}
}

UNIT_MAIN(UNIT(crc_gives_the_check_values),
	  UNIT(crc_implementations_agree_at_every_length_start_and_cut),
	  UNIT(a_frame_reads_back_as_it_was_written), UNIT(limits_are_refused),
	  UNIT(no_truncation_is_accepted), UNIT(no_flipped_bit_is_accepted),
	  UNIT(the_first_wrong_field_is_named),
	  UNIT(the_torn_header_rule_holds_for_every_boundary_and_byte),
	  UNIT(a_header_of_zeros_is_torn_anywhere_and_a_right_one_nowhere_else))
