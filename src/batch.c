/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Records to the bytes of one write. Must not know where they go.
 */
#include "batch.h"
#include "frame.h"
#include "util.h"

#include <errno.h>
#include <limits.h>

/* From here on a payload is not copied but written from where it is. */
#define BORROW_FROM (64u << 10)

/* What is kept from one batch to the next. */
#define KEEP_BUFFER (1u << 20)
#define KEEP_IOV    64

static bool is_borrowed(const struct dwal_op *op)
{
	return op->payload.len >= BORROW_FROM;
}

static int measure(const struct dwal_op *ops, size_t n, size_t *copied, size_t *borrowed)
{
	uint64_t total = 0;

	*copied = *borrowed = 0;
	for (size_t i = 0; i < n; i++) {
		int rc = frame_check(&ops[i]);

		if (rc)
			return rc;
		total += dwal_frame_size(ops[i].key.len, ops[i].payload.len);
		if (total > SSIZE_MAX) /* of 32 bits; keys and payloads may share memory */
			return -EOVERFLOW;
		*copied += FRAME_OVERHEAD + ops[i].key.len;
		if (is_borrowed(&ops[i]))
			++*borrowed;
		else
			*copied += ops[i].payload.len;
	}
	return 0;
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

int batch_encode(struct batch *batch, const struct dwal_op *ops, size_t n, uint64_t txid)
{
	unsigned char *p, *run; /* run: what is not in the iov yet */
	size_t copied, borrowed;
	int rc = measure(ops, n, &copied, &borrowed);

	if (!rc)
		rc = make_room(batch, copied, 2 * borrowed + 1);
	if (rc)
		return rc;
	batch->iov_count = 0;
	batch->bytes = 0;
	p = run = batch->buffer;
	for (size_t i = 0; i < n; i++) {
		const struct dwal_op *op = &ops[i];
		unsigned char *frame = p;
		uint32_t crc;

		frame_put_header(op, txid + i, p);
		p = put_bytes(p + DWAL_HEADER_SIZE, op->key);
		if (is_borrowed(op)) {
			add_iov(batch, run, (size_t)(p - run));
			run = p;
			add_iov(batch, op->payload.data, op->payload.len);
		} else {
			p = put_bytes(p, op->payload);
		}
		crc = dwal_crc32c(0, frame, (size_t)(p - frame));
		if (is_borrowed(op))
			crc = dwal_crc32c(crc, op->payload.data, op->payload.len);
		frame_put_trailer(crc, p);
		p += DWAL_TRAILER_SIZE;
	}
	add_iov(batch, run, (size_t)(p - run));
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
