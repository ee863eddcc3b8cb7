/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The bytes of some records that are to be written in one go. Pure.
 */
#ifndef DWAL_BATCH_H
#define DWAL_BATCH_H

#include "datawal.h"

#include <sys/uio.h>

/* The CRC of a payload by itself, so that it need not be gone through again. */
struct payload_crc {
	const void *data; /* NULL: not known yet */
	size_t len;
	uint32_t crc;
};

/* What is to be written. */
struct batch_records {
	const struct dwal_op *ops;
	size_t n;
	bool is_operation; /* one txid, and a header where one is due; else rising txids */
	const struct dwal_line *lines;
	size_t line_count;
	bool may_use_reserve;     /* it removes something: reserve.h */
	dwal_ahead *ahead;        /* of it, or NULL: then less is written from where it is */
	struct payload_crc *crcs; /* of each of ops, noted and used; or NULL */
};

/* So many txids they use. */
static inline size_t batch_txids(const struct batch_records *records)
{
	return records->is_operation ? 1 : records->n;
}

/* Zero is an empty one. Its memory is used again by the next batch_encode(). */
struct batch {
	unsigned char *buffer; /* everything but large payloads, which stay where they are */
	size_t buffer_size;
	struct iovec *iov; /* the frames, in order; every second one is a large payload */
	size_t iov_room;
	size_t iov_count;
	uint64_t bytes;      /* of all frames together */
	uint32_t header_len; /* of the frame of the header that comes first; 0 for none */
	bool is_written;     /* it has been put where it belongs */
};

/* Checks and encodes records, with txids from txid on. The result is valid
 * until the next call, as long as the ops' payloads are. 0, -EINVAL,
 * DWAL_EKEYSIZE, DWAL_EPAYLOADSIZE, -EOVERFLOW or -ENOMEM. */
int batch_encode(struct batch *batch, const struct batch_records *records, uint64_t txid);

/* Behind the last byte of what is to be written, which ends with a whole
 * trailer in one piece. */
const unsigned char *batch_end(const struct batch *batch);

/* Gives back memory that only an unusually large batch needs. */
void batch_trim(struct batch *batch);

void batch_release(struct batch *batch);

#endif
