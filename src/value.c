/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Live values: read whole, or piece by piece through a handle. Every frame is
 * checked against its CRC and against the key it was found by before a byte
 * of it is handed out. Changes nothing.
 */
#include "kv.h"

#include "util.h"

#include <errno.h>

#define CHECK_BUFFER (1u << 20)   /* bytes */
#define CHECK_PIECE  (256u << 10) /* of what is larger; stays in the CPU's cache */

struct dwal_value {
	dwal_kv *kv;
	struct segment *segment; /* a reference */
	struct dwal_place place;
	uint32_t size;
	enum { UNCHECKED, GOOD, BAD } state;
	size_t key_len;
	unsigned char key[];
};

int kv_corrupt(const dwal_kv *kv, const struct dwal_place *place, enum dwal_frame_status status,
	       const char *what, struct dwal_error *error)
{
	return error_set_at(error, DWAL_ECORRUPT, place->segment, place->offset, status,
			    "%s: segment %08u, offset %llu: %s where a value should be; "
			    "check the disk, then see what `datawal verify` says",
			    kv_dir(kv), place->segment, (unsigned long long)place->offset,
			    status == DWAL_FRAME_OK ? what : dwal_frame_status_text(status));
}

static int gone(const dwal_kv *kv, struct dwal_error *error)
{
	return error_set(error, DWAL_EGONE,
			 "%s: the segment of a value has gone or was rewritten, and the value is "
			 "no more: read the key again",
			 kv_dir(kv));
}

/* The failure of segment_read() and its like; 1 is a file that ends too soon. */
static int fail(const dwal_kv *kv, const struct dwal_place *place, int err,
		struct dwal_error *error)
{
	if (err > 0)
		return kv_corrupt(kv, place, DWAL_TRUNCATED, NULL, error);
	return error_set_at(error, err, place->segment, place->offset, DWAL_FRAME_OK,
			    "%s: segment %08u, offset %llu: %s", kv_dir(kv), place->segment,
			    (unsigned long long)place->offset, dwal_strerror(err));
}

int kv_check_record(const dwal_kv *kv, const struct dwal_place *place, struct dwal_bytes key,
		    const struct dwal_record *record, struct dwal_error *error)
{
	if (record->type != DWAL_PUT)
		return kv_corrupt(kv, place, DWAL_FRAME_OK, "a record of another type", error);
	if (record->key.len != key.len ||
	    (key.len > 0 && memcmp(record->key.data, key.data, key.len) != 0))
		return kv_corrupt(kv, place, DWAL_FRAME_OK, "a record of another key", error);
	return 0;
}

static int read_record(dwal_kv *kv, struct segment *segment, struct dwal_bytes key,
		       const struct dwal_place *place, void *frame, struct dwal_record *record,
		       struct dwal_error *error)
{
	enum dwal_frame_status status;
	int err = segment_read_frame(segment, place->offset, place->length, frame, record, &status);

	if (err)
		return fail(kv, place, err, error);
	if (status != DWAL_FRAME_OK)
		return kv_corrupt(kv, place, status, NULL, error);
	return kv_check_record(kv, place, key, record, error);
}

/* Of the same record: another one of its key, however new, is not what was
 * there at the moment of the cursor. */
static int find_again(dwal_kv *kv, const struct dwal_item *item, struct dwal_place *place,
		      struct segment **segment)
{
	int err = kv_segment_at(kv, &item->place, segment);

	*place = item->place;
	if (err != DWAL_EGONE)
		return err;
	err = kv_find(kv, item->key, place, segment);
	if (!err && place->txid == item->place.txid)
		return 0;
	if (!err)
		(void)segment_unref(*segment); /* nothing was read */
	return DWAL_EGONE;
}

int kv_read_item(dwal_kv *kv, const struct dwal_item *item, void *frame, struct dwal_bytes *payload,
		 struct dwal_error *error)
{
	struct dwal_record record;
	struct segment *segment;
	struct dwal_place place;
	int err = find_again(kv, item, &place, &segment);

	if (err)
		return gone(kv, error);
	err = read_record(kv, segment, item->key, &place, frame, &record, error);
	(void)segment_unref(segment); /* only read from: nothing can be lost */
	if (!err)
		*payload = record.payload;
	return err;
}

int kv_progress(const dwal_kv *kv, const struct dwal_item *item, struct dwal_error *error)
{
	int err = kv->progress ? kv->progress(kv->progress_ctx, item->place.length) : 0;

	return err ? error_set(error, err, "%s: stopped by the caller", kv_dir(kv)) : 0;
}

/* The frame's buffer becomes the value's: no second allocation. */
static int read_value(dwal_kv *kv, struct segment *segment, struct dwal_bytes key,
		      const struct dwal_place *place, void **value, size_t *value_len,
		      struct dwal_error *error)
{
	cleanup_free void *frame = malloc(place->length);
	struct dwal_record record = {0};
	int err;

	if (!frame)
		return error_set(error, -ENOMEM, "%s: out of memory", kv_dir(kv));
	err = read_record(kv, segment, key, place, frame, &record, error);
	if (err)
		return err;
	memmove(frame, record.payload.data, record.payload.len);
	*value = steal_pointer(&frame);
	*value_len = record.payload.len;
	return 0;
}

int dwal_kv_get(dwal_kv *kv, const void *key, size_t key_len, void **value, size_t *value_len,
		struct dwal_error *error)
{
	const struct dwal_bytes bytes = {key, key_len};
	struct dwal_place place;
	struct segment *segment;
	int err = kv_find(kv, bytes, &place, &segment);

	if (err)
		return err == DWAL_EGONE ? gone(kv, error) : err;
	err = read_value(kv, segment, bytes, &place, value, value_len, error);
	(void)segment_unref(segment); /* only read from: nothing can be lost */
	return err;
}

/* Takes the segment over, also when it fails. */
static int new_value(dwal_kv *kv, struct dwal_bytes key, const struct dwal_place *place,
		     struct segment *segment, dwal_value **out)
{
	dwal_value *value = malloc(sizeof(*value) + key.len);

	if (!value) {
		(void)segment_unref(segment); /* nothing was read */
		return -ENOMEM;
	}
	value->kv = kv;
	value->segment = segment;
	value->place = *place;
	value->size = place->length - dwal_frame_size(key.len, 0);
	value->state = UNCHECKED;
	value->key_len = key.len;
	put_bytes(value->key, key);
	*out = value;
	return 0;
}

int dwal_kv_value(dwal_kv *kv, const void *key, size_t key_len, dwal_value **out)
{
	const struct dwal_bytes bytes = {key, key_len};
	struct segment *segment;
	struct dwal_place place;
	int err = kv_find(kv, bytes, &place, &segment);

	return err ? err : new_value(kv, bytes, &place, segment, out);
}

int dwal_kv_value_at(dwal_kv *kv, const void *key, size_t key_len, const struct dwal_place *place,
		     dwal_value **out)
{
	const uint32_t least = dwal_frame_size(key_len, 0);
	struct segment *segment;
	int err;

	if (!least || place->length < least)
		return -EINVAL;
	err = kv_segment_at(kv, place, &segment);
	return err ? err : new_value(kv, (struct dwal_bytes){key, key_len}, place, segment, out);
}

void dwal_value_close(dwal_value *value)
{
	if (!value)
		return;
	(void)segment_unref(value->segment); /* only read from: nothing can be lost */
	free(value);
}

uint32_t dwal_value_size(const dwal_value *value)
{
	return value->size;
}

struct dwal_place dwal_value_place(const dwal_value *value)
{
	return value->place;
}

int dwal_value_crc32c(const dwal_value *value, uint32_t *crc)
{
	uint64_t end = value->place.offset + value->place.length;
	unsigned char stored[DWAL_TRAILER_SIZE];
	int err = segment_read(value->segment, end - sizeof(stored), stored, sizeof(stored));

	if (err)
		return err > 0 ? DWAL_ECORRUPT : err;
	*crc = get_le32(stored);
	return 0;
}

bool dwal_value_is_checked(const dwal_value *value)
{
	return value->state != UNCHECKED;
}

static int remember(dwal_value *value, int err)
{
	if (err == 0)
		value->state = GOOD;
	else if (err == DWAL_ECORRUPT)
		value->state = BAD;
	return err;
}

/* A frame that fits the buffer: checking it and the read are one. */
static int check_and_read(dwal_value *value, uint64_t offset, void *buffer, size_t n,
			  struct dwal_error *error)
{
	const struct dwal_bytes key = {value->key, value->key_len};
	cleanup_free void *frame = malloc(value->place.length);
	struct dwal_record record;
	int err;

	if (!frame)
		return error_set(error, -ENOMEM, "%s: out of memory", kv_dir(value->kv));
	err = read_record(value->kv, value->segment, key, &value->place, frame, &record, error);
	if (!err && n > 0)
		memcpy(buffer, (const unsigned char *)record.payload.data + offset, n);
	return remember(value, err);
}

/* Into rest goes the value, or as much of it as there is room for. */
static int check_apart(dwal_value *value, struct segment_area rest, struct dwal_error *error)
{
	const struct dwal_bytes key = {value->key, value->key_len};
	const struct dwal_place *place = &value->place;
	struct segment_area head = {.len = DWAL_HEADER_SIZE + key.len};
	cleanup_free unsigned char *bytes = malloc(head.len);
	enum dwal_frame_status status;
	struct dwal_record record;
	int err;

	if (!bytes)
		return error_set(error, -ENOMEM, "%s: out of memory", kv_dir(value->kv));
	head.bytes = bytes;
	err = segment_read_apart(value->segment, place->offset, place->length, head, rest, &record,
				 &status);
	if (err)
		return fail(value->kv, place, err, error);
	if (status != DWAL_FRAME_OK)
		return kv_corrupt(value->kv, place, status, NULL, error);
	record.key.data = bytes + DWAL_HEADER_SIZE;
	return kv_check_record(value->kv, place, key, &record, error);
}

static int check_pieces(dwal_value *value, struct dwal_error *error)
{
	cleanup_free void *buffer = malloc(CHECK_PIECE);

	if (!buffer)
		return error_set(error, -ENOMEM, "%s: out of memory", kv_dir(value->kv));
	return check_apart(value, (struct segment_area){buffer, CHECK_PIECE}, error);
}

/* All of a value that fits no such buffer. Nothing that is not good stays in the caller's. */
static int check_and_read_all(dwal_value *value, void *buffer, struct dwal_error *error)
{
	const struct segment_area rest = {buffer, value->size};
	int err = check_apart(value, rest, error);

	if (err)
		memset(buffer, 0, rest.len);
	return remember(value, err);
}

static int check_and_read_pieces(dwal_value *value, uint64_t offset, void *buffer, size_t n,
				 struct dwal_error *error)
{
	uint64_t payload = value->place.offset + DWAL_HEADER_SIZE + value->key_len;
	int err = 0;

	if (value->state == UNCHECKED)
		err = remember(value, check_pieces(value, error));
	if (err)
		return err;
	err = segment_read(value->segment, payload + offset, buffer, n);
	return err ? fail(value->kv, &value->place, err, error) : 0;
}

int dwal_value_read(dwal_value *value, uint64_t offset, void *buffer, size_t n, size_t *got,
		    struct dwal_error *error)
{
	uint64_t left = offset < value->size ? value->size - offset : 0;
	int err;

	if (value->state == BAD)
		return kv_corrupt(value->kv, &value->place, DWAL_FRAME_OK, "damage", error);
	if (n > left)
		n = left;
	if (n == 0)
		offset = 0;
	if (value->state == UNCHECKED && value->place.length <= CHECK_BUFFER)
		err = check_and_read(value, offset, buffer, n, error);
	else if (value->state == UNCHECKED && n == value->size)
		err = check_and_read_all(value, buffer, error);
	else
		err = check_and_read_pieces(value, offset, buffer, n, error);
	if (!err)
		*got = n;
	return err;
}
