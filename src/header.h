/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The header of an operation as text: corpus/FORMAT.md says of what form.
 * Reading one is dwal_header_parse(). Pure.
 */
#ifndef DWAL_HEADER_H
#define DWAL_HEADER_H

#include "datawal.h"

#define HEADER_KEY "datawal.batch"

/* CRC digits of one frame. */
#define HEADER_CRC_DIGITS 8

/* What a header announces, and the caller's lines. */
struct header_text {
	uint64_t txid, n, bytes;
	const struct dwal_line *lines;
	size_t line_count;
	struct dwal_bytes written_lines; /* more of them, as another header has them */
};

/* True for a record that only an operation may write. */
bool header_is_reserved(const struct dwal_op *op);

/* The length of the payload of such a header. 0, -EINVAL for a line that is
 * none, DWAL_EPAYLOADSIZE. */
int header_measure(const struct header_text *text, size_t *len);

/* Writes so many bytes, but for the CRCs: *crcs is where they begin. */
void header_put(const struct header_text *text, void *out, char **crcs);

/* Writes the CRC of the i-th frame. */
void header_put_crc(char *crcs, size_t i, uint32_t crc);

/* The CRC that is announced for the i-th frame, which there is. */
uint32_t header_crc(const struct dwal_header *header, uint64_t i);

#endif
