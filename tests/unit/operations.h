/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the tests of operations share: segments put together frame by frame, as
 * another implementation may write them, and how many records of one each way
 * of reading gives.
 */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "core.h"

#include <stdarg.h>

#define OPERATION_KEY "datawal.batch"

/* Adds one frame behind what is there; its CRC. */
static inline uint32_t add_frame(struct core_bytes *bytes, enum dwal_type type, uint64_t txid,
				 const char *key, const void *payload, size_t len)
{
	uint32_t size = dwal_frame_size(strlen(key), len);
	struct dwal_record record;

	bytes->data = realloc(bytes->data, bytes->len + size);
	CHECK(bytes->data);
	CHECK_INT(dwal_frame_encode(type, txid, (struct dwal_bytes){key, strlen(key)},
				    (struct dwal_bytes){payload, len}, bytes->data + bytes->len),
		  0);
	CHECK_INT(dwal_frame_decode(bytes->data + bytes->len, size, &record), DWAL_FRAME_OK);
	bytes->len += size;
	return record.crc32c;
}

/* A Raw record with the key of a header and such a payload. */
__attribute__((format(printf, 3, 4))) static inline void
add_header(struct core_bytes *bytes, uint64_t txid, const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	CHECK(len >= 0 && (size_t)len < sizeof(text));
	(void)add_frame(bytes, DWAL_RAW, txid, OPERATION_KEY, text, (size_t)len);
}

/* The CRC that such a frame will have. */
static inline uint32_t crc_of_frame(enum dwal_type type, uint64_t txid, const char *key,
				    const char *payload)
{
	struct core_bytes bytes = {0};
	uint32_t crc = add_frame(&bytes, type, txid, key, payload, strlen(payload));

	free(bytes.data);
	return crc;
}

static inline void add_bytes(struct core_bytes *bytes, const void *data, size_t len)
{
	bytes->data = realloc(bytes->data, bytes->len + len);
	CHECK(bytes->data);
	memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

/* The offsets at which its frames start, and where they end; how many there
 * are. */
static inline size_t frames_of(struct core_bytes bytes, uint64_t *offsets, size_t room)
{
	struct dwal_record record;
	size_t at = 0, n = 0;

	while (dwal_frame_decode(bytes.data + at, bytes.len - at, &record) == DWAL_FRAME_OK) {
		CHECK(n + 1 < room);
		offsets[n++] = at;
		at += record.length;
	}
	offsets[n] = at;
	return n;
}

/* Where a log ends: so many records, then a damage, if any. */
struct log_end {
	uint64_t records;
	enum dwal_frame_status reason; /* DWAL_FRAME_OK: none */
	uint64_t offset;               /* of it */
	uint64_t intact;               /* records behind it */
};

static inline void check_end(struct log_end got, struct log_end wanted)
{
	CHECK_INT(got.records, wanted.records);
	CHECK_INT(got.reason, wanted.reason);
	CHECK_INT(got.offset, wanted.offset);
	CHECK_INT(got.intact, wanted.intact);
}

static inline struct log_end end_of_report(const struct dwal_report *report)
{
	struct log_end end = {.records = report->records_replayed,
			      .intact = report->intact.records};

	if (!report->damage_count)
		return end;
	CHECK_INT(report->damage_count, 1);
	CHECK(report->damage[0].torn_tail);
	end.reason = report->damage[0].reason;
	end.offset = report->damage[0].offset;
	return end;
}

/* Closes it. */
static inline struct log_end end_of_iteration(dwal_iter *iter)
{
	struct dwal_damage damage;
	struct dwal_record record;
	struct log_end end = {0};

	while (dwal_iter_next(iter, &record, NULL) == 0)
		end.records++;
	CHECK_INT(dwal_iter_next(iter, &record, NULL), DWAL_END);
	if (dwal_iter_damage(iter, &damage) == 0) {
		CHECK(damage.torn_tail);
		end.reason = damage.reason;
		end.offset = damage.offset;
		end.intact = damage.intact.records;
	}
	dwal_iter_close(iter);
	return end;
}

/* Every way of only reading must find this end. */
static inline void check_readers(const char *dir, struct log_end wanted)
{
	const struct dwal_options options = {.read_only = true};
	const struct dwal_report *report;
	dwal_reader *reader;
	dwal_iter *iter;
	dwal_kv *kv;

	CHECK_INT(dwal_reader_open(dir, &reader, NULL), 0);
	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, NULL), 0);
	check_end(end_of_iteration(iter), wanted);
	CHECK_INT(dwal_reader_report(reader, &report, NULL), 0);
	check_end(end_of_report(report), wanted);
	dwal_reader_close(reader);
	CHECK_INT(dwal_kv_open(dir, &options, &kv, NULL), 0);
	check_end(end_of_report(dwal_kv_report(kv)), wanted);
	CHECK_INT(dwal_kv_close(kv), 0);
}

#endif
