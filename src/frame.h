/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The wire codec, in pieces: for those who do not have a whole frame in
 * memory. Pure. Together with corpus/FORMAT.md the only place that knows
 * where in a frame something stands.
 */
#ifndef DWAL_FRAME_H
#define DWAL_FRAME_H

#include "datawal.h"

#define FRAME_OVERHEAD (DWAL_HEADER_SIZE + DWAL_TRAILER_SIZE)
#define FRAME_MAX      (FRAME_OVERHEAD + DWAL_MAX_KEY + DWAL_MAX_PAYLOAD)

/* What every frame starts with, for finding frames among other bytes. */
#define FRAME_MAGIC      "DWAL"
#define FRAME_MAGIC_SIZE 4

/* Checks the fixed part, of which len bytes are there: DWAL_TRUNCATED when
 * that is not all of it, or a structural status. On DWAL_FRAME_OK out has
 * type, txid, length and the lengths of key and payload; their data is
 * NULL and crc32c 0. */
enum dwal_frame_status frame_parse_header(const void *data, size_t len, struct dwal_record *out);

/* The stored CRC of the frame that ends at end. */
uint32_t frame_stored_crc(const void *end);

/* True if a power cut can leave such a header at this offset of a file: all
 * zero; or a 512-byte boundary of the file falls into it, with only zeros on
 * one side of it and nothing wrong on the other. header: 24 bytes. */
bool frame_header_is_torn(const void *header, uint64_t file_offset);

/* Of a frame whose CRC is not the stored one: where a single changed byte would explain
 * that, as a set. difference: of the two CRCs. Chance alone explains other damage so by
 * one of n bytes with a probability of n / 17 million. */
enum frame_change {
	FRAME_CHANGE_KEY = 1, /* what says that it is of this key: type, lengths, key */
	FRAME_CHANGE_TXID = 2,
	FRAME_CHANGE_VALUE = 4, /* or the stored CRC */
};
unsigned frame_changes(const struct dwal_record *record, uint32_t difference);

/* 0, -EINVAL, DWAL_EKEYSIZE or DWAL_EPAYLOADSIZE. */
int frame_check(const struct dwal_op *op);

/* Writes the fixed part, DWAL_HEADER_SIZE bytes, of a checked op. */
void frame_put_header(const struct dwal_op *op, uint64_t txid, void *out);

/* Writes a CRC, DWAL_TRAILER_SIZE bytes. */
void frame_put_trailer(uint32_t crc, void *out);

#endif
