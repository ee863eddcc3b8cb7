/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Records to the bytes of one write. Must not know where they go.
 */
#include "batch.h"
#include "crc32c.h"
#include "frame.h"
#include "header.h"
#include "util.h"

#include <errno.h>
#include <limits.h>

/* From here on a payload is not copied but written from where it is. */
#define BORROW_FROM (64u << 10)

/* The same of what is written ahead: so much need not be written again. */
#define BORROW_AHEAD 1024u

/* What is kept from one batch to the next. */
#define KEEP_BUFFER (1u << 20)
#define KEEP_IOV    64

static bool is_borrowed(const struct batch_records *records, const struct dwal_op *op)
{
	return op->payload.len >= (records->ahead ? BORROW_AHEAD : BORROW_FROM);
}

/* What the frames of some records need. */
struct measure {
	uint64_t bytes;
	size_t copied, borrowed; /* bytes, payloads */
	size_t header_len;       /* of the payload of a header */
};

static int measure_op(struct measure *measure, const struct batch_records *records,
		      const struct dwal_op *op)
{
	int rc = frame_check(op);

	if (rc)
		return rc;
	if (header_is_reserved(op))
		return -EINVAL;
	measure->bytes += dwal_frame_size(op->key.len, op->payload.len);
	if (measure->bytes > SSIZE_MAX) /* of 32 bits; keys and payloads may share memory */
		return -EOVERFLOW;
	measure->copied += FRAME_OVERHEAD + op->key.len;
	if (is_borrowed(records, op))
		measure->borrowed++;
	else
		measure->copied += op->payload.len;
	return 0;
}

/* One record without lines is whole by itself. */
static bool needs_header(const struct batch_records *records)
{
	return records->is_operation && (records->n > 1 || records->line_count);
}

static struct header_text header_of(const struct batch_records *records, uint64_t txid,
				    uint64_t bytes)
{
	return (struct header_text){
		.txid = txid,
		.n = records->n,
		.bytes = bytes,
		.lines = records->lines,
		.line_count = records->line_count,
	};
}

static int measure_all(struct measure *measure, const struct batch_records *records, uint64_t txid)
{
	struct header_text header;
	int rc = 0;

	*measure = (struct measure){0};
	for (size_t i = 0; !rc && i < records->n; i++)
		rc = measure_op(measure, records, &records->ops[i]);
	if (rc || !needs_header(records))
		return rc;
	header = header_of(records, txid, measure->bytes);
	rc = header_measure(&header, &measure->header_len);
	if (rc)
		return rc;
	measure->copied += dwal_frame_size(strlen(HEADER_KEY), measure->header_len);
	return measure->bytes > SSIZE_MAX - measure->header_len ? -EOVERFLOW : 0;
}

static int make_room(struct batch *batch, size_t bytes, size_t iov_count)
{
	if (bytes > batch->buffer_size) {
		size_t size = bytes < 4096 ? 4096 : bytes;

		free(batch->buffer);
		batch->buffer_size = 0;
		batch->buffer = malloc(size);
		if (!batch->buffer)
			return -ENOMEM;
		batch->buffer_size = size;
	}
	if (iov_count > batch->iov_room) {
		free(batch->iov);
		batch->iov_room = 0;
		batch->iov = calloc(iov_count, sizeof(*batch->iov));
		if (!batch->iov)
			return -ENOMEM;
		batch->iov_room = iov_count;
	}
	return 0;
}

static void add_iov(struct batch *batch, const void *data, size_t len)
{
	batch->iov[batch->iov_count++] =
		(struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	batch->bytes += len;
}

/* Where the next frame goes, and what is not in the iov yet. */
struct pen {
	unsigned char *at, *run;
};

/* Behind a CRC of what comes before it. To combine two takes 2 us; of 200 MiB the CRCs
 * took 100 ms on two busy CPUs. */
static uint32_t add_payload(uint32_t crc, struct dwal_bytes payload, struct payload_crc *known)
{
	if (!known || payload.len < BORROW_FROM)
		return dwal_crc32c(crc, payload.data, payload.len);
	if (known->data != payload.data || known->len != payload.len)
		*known = (struct payload_crc){payload.data, payload.len,
					      dwal_crc32c(0, payload.data, payload.len)};
	return crc32c_combine(crc, known->crc, payload.len);
}

/* Writes the i-th frame; its CRC. */
static uint32_t put_frame(struct batch *batch, struct pen *pen, const struct batch_records *records,
			  size_t i, uint64_t txid)
{
	const struct dwal_op *op = &records->ops[i];
	const bool borrows = is_borrowed(records, op);
	unsigned char *frame = pen->at, *p;
	uint32_t crc;

	frame_put_header(op, txid, frame);
	p = put_bytes(frame + DWAL_HEADER_SIZE, op->key);
	if (!borrows)
		p = put_bytes(p, op->payload);
	crc = dwal_crc32c(0, frame, (size_t)(p - frame));
	if (borrows) {
		add_iov(batch, pen->run, (size_t)(p - pen->run));
		add_iov(batch, op->payload.data, op->payload.len);
		crc = add_payload(crc, op->payload, records->crcs ? &records->crcs[i] : NULL);
		pen->run = p;
	}
	frame_put_trailer(crc, p);
	pen->at = p + DWAL_TRAILER_SIZE;
	return crc;
}

/* Leaves room for the header: its CRC comes last. crcs: where those of the
 * frames go. */
static void begin_header(struct batch *batch, struct pen *pen, const struct header_text *text,
			 size_t len, char **crcs)
{
	const struct dwal_op op = {
		.type = DWAL_RAW, .key = {HEADER_KEY, strlen(HEADER_KEY)}, .payload.len = len};

	frame_put_header(&op, text->txid, pen->at);
	header_put(text, put_bytes(pen->at + DWAL_HEADER_SIZE, op.key), crcs);
	batch->header_len = dwal_frame_size(op.key.len, len);
	pen->at += batch->header_len;
}

static void end_header(struct batch *batch)
{
	unsigned char *trailer = batch->buffer + batch->header_len - DWAL_TRAILER_SIZE;

	frame_put_trailer(dwal_crc32c(0, batch->buffer, (size_t)(trailer - batch->buffer)),
			  trailer);
}

static void put_all(struct batch *batch, const struct batch_records *records, uint64_t txid,
		    const struct measure *measure)
{
	const struct header_text header = header_of(records, txid, measure->bytes);
	struct pen pen = {batch->buffer, batch->buffer};
	char *crcs = NULL;

	if (measure->header_len)
		begin_header(batch, &pen, &header, measure->header_len, &crcs);
	for (size_t i = 0; i < records->n; i++) {
		uint64_t own = records->is_operation ? txid : txid + i;
		uint32_t crc = put_frame(batch, &pen, records, i, own);

		if (crcs)
			header_put_crc(crcs, i, crc);
	}
	if (crcs)
		end_header(batch);
	add_iov(batch, pen.run, (size_t)(pen.at - pen.run));
}

int batch_encode(struct batch *batch, const struct batch_records *records, uint64_t txid)
{
	struct measure measure;
	int rc = measure_all(&measure, records, txid);

	if (!rc)
		rc = make_room(batch, measure.copied, 2 * measure.borrowed + 1);
	if (rc)
		return rc;
	batch->iov_count = 0;
	batch->bytes = 0;
	batch->header_len = 0;
	batch->is_written = false;
	put_all(batch, records, txid, &measure);
	return 0;
}

const unsigned char *batch_end(const struct batch *batch)
{
	const struct iovec *last = &batch->iov[batch->iov_count - 1];

	return (const unsigned char *)last->iov_base + last->iov_len;
}

void batch_trim(struct batch *batch)
{
	if (batch->buffer_size > KEEP_BUFFER) {
		free(batch->buffer);
		batch->buffer = NULL;
		batch->buffer_size = 0;
	}
	if (batch->iov_room > KEEP_IOV) {
		free(batch->iov);
		batch->iov = NULL;
		batch->iov_room = 0;
	}
}

void batch_release(struct batch *batch)
{
	free(batch->buffer);
	free(batch->iov);
	*batch = (struct batch){0};
}
