/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A small log with all kinds of records, and what stands where in it, for tests
 * that change any byte of it.
 */
#ifndef DAMAGED_LOG_H
#define DAMAGED_LOG_H

#include "core.h"
#include "store.h"

enum { RECORDS_MOST = 64 };

struct one {
	uint32_t segment;
	uint64_t offset, length, txid;
	enum dwal_type type;
	char key[16];
	char value[128];
	size_t value_len;
};

static struct one records[RECORDS_MOST];
static size_t record_count;
static unsigned char frame_inside[64]; /* a Put of "ghost" */

static inline int take_down(void *ctx, const struct dwal_record *record)
{
	struct one *one = &records[record_count++];

	CHECK(record_count <= RECORDS_MOST && record->key.len < sizeof(one->key) &&
	      record->payload.len <= sizeof(one->value));
	*one = (struct one){.segment = record->segment,
			    .offset = record->offset,
			    .length = record->length,
			    .txid = record->txid,
			    .type = record->type,
			    .value_len = record->payload.len};
	if (record->key.len)
		memcpy(one->key, record->key.data, record->key.len);
	if (record->payload.len)
		memcpy(one->value, record->payload.data, record->payload.len);
	return 0;
}

static inline void operation(dwal_kv *kv, const char *from, const char *to)
{
	const struct dwal_line line = {"time", "1"};
	const struct dwal_op ops[] = {{DWAL_PUT, {to, strlen(to)}, {"moved", 5}},
				      {DWAL_RAW, {to, strlen(to)}, {"attributes", 10}},
				      {DWAL_DELETE, {from, strlen(from)}, {NULL, 0}}};

	CHECK_INT(dwal_kv_batch(kv, ops, 3, &line, 1, NULL), 0);
}

static inline void take_all_down(void)
{
	dwal_kv *kv;

	record_count = 0;
	kv = open_with(&(struct dwal_options){.read_only = true, .observe = take_down});
	CHECK_INT(dwal_kv_close(kv), 0);
}

/* Three segments; each has values, one replaced by another segment's, a
 * tombstone, an operation, and a value that holds a frame. */
static inline void make_log(void)
{
	const size_t inside = dwal_frame_size(5, 3);
	char key[16];
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	CHECK_INT(dwal_frame_encode(DWAL_PUT, 99, (struct dwal_bytes){"ghost", 5},
				    (struct dwal_bytes){"boo", 3}, frame_inside),
		  0);
	for (int segment = 1; segment <= 3; segment++) {
		put(kv, "k1", segment == 1 ? "one" : segment == 2 ? "two" : "three");
		snprintf(key, sizeof(key), "k%d", 1 + segment);
		put(kv, key, "its own");
		CHECK_INT(dwal_kv_put(kv, "holds", 5, frame_inside, inside), 0);
		put(kv, "k9", "gone");
		CHECK_INT(dwal_kv_delete(kv, "k9", 2), 0);
		put(kv, "from", "stays");
		operation(kv, "from", "to");
		put(kv, "last", "of its segment");
		if (segment < 3)
			CHECK_INT(dwal_kv_rotate(kv), 0);
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	take_all_down();
}

static inline bool holds_byte(const struct one *one, uint32_t segment, uint64_t offset)
{
	return one->segment == segment && offset >= one->offset &&
	       offset - one->offset < one->length;
}

/* The record whose frame holds the byte. */
static inline const struct one *hit_by(uint32_t segment, uint64_t offset)
{
	for (size_t i = 0; i < record_count; i++)
		if (holds_byte(&records[i], segment, offset))
			return &records[i];
	abort();
}

static inline int open_named(uint32_t segment)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "%08u.dwal", segment);
	fd = open(core_path(dir.path, name), O_RDWR);
	CHECK(fd >= 0);
	return fd;
}

/* Changes one after the other, and back when it was looked at. */
static inline void each_byte_of(uint32_t segment, unsigned char change,
				void (*look)(const struct one *hit, uint64_t offset))
{
	struct stat st;
	int fd = open_named(segment);

	CHECK(fstat(fd, &st) == 0 && st.st_size > 300);
	for (off_t at = 0; at < st.st_size; at++) {
		unsigned char old, changed;

		CHECK_INT(pread(fd, &old, 1, at), 1);
		changed = old ^ change;
		CHECK_INT(pwrite(fd, &changed, 1, at), 1);
		look(hit_by(segment, (uint64_t)at), (uint64_t)at);
		CHECK_INT(pwrite(fd, &old, 1, at), 1);
	}
	close(fd);
}

#endif
