/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Values: damaged frames are never handed out, an old value stays readable,
 * a cursor shows one moment.
 */
#include "store.h"

#include <errno.h>

/* All of it asked for at once: none of it stays in the buffer. */
static void check_refused_whole(dwal_kv *kv, const char *key)
{
	dwal_value *handle;
	char *buffer;
	size_t size, got = 77;

	CHECK_INT(dwal_kv_value(kv, key, strlen(key), &handle), 0);
	size = dwal_value_size(handle);
	buffer = calloc(1, size);
	CHECK_INT(dwal_value_read(handle, 0, buffer, size, &got, &error), DWAL_ECORRUPT);
	CHECK(got == 77 && error.offset == place_of(kv, key).offset);
	CHECK(!buffer[0] && memcmp(buffer, buffer + 1, size - 1) == 0);
	CHECK(dwal_value_is_checked(handle));
	CHECK_INT(dwal_value_read(handle, 0, buffer, 1, &got, &error), DWAL_ECORRUPT);
	free(buffer);
	dwal_value_close(handle);
}

static void check_refused(dwal_kv *kv, const char *key)
{
	struct dwal_place place = place_of(kv, key);
	dwal_value *handle;
	size_t len = 77, got = 77;
	void *value = &len;
	char byte;

	memset(&error, 0, sizeof(error));
	CHECK_INT(dwal_kv_get(kv, key, strlen(key), &value, &len, &error), DWAL_ECORRUPT);
	CHECK(value == &len && len == 77);
	CHECK_INT(error.code, DWAL_ECORRUPT);
	CHECK_INT(error.segment, place.segment);
	CHECK_INT(error.offset, place.offset);
	CHECK(strlen(error.message) > 0 && !strchr(error.message, '\n'));
	CHECK_INT(dwal_kv_value(kv, key, strlen(key), &handle), 0);
	for (int i = 0; i < 2; i++)
		CHECK_INT(dwal_value_read(handle, 0, &byte, 1, &got, &error), DWAL_ECORRUPT);
	CHECK_INT(got, 77);
	dwal_value_close(handle);
	check_refused_whole(kv, key);
}

/* Small values are checked and read in one go, large ones in pieces. */
static const size_t sizes[] = {100, 3u << 20};

static void get_of_a_damaged_frame_is_an_error_that_says_where(void)
{
	for (size_t i = 0; i < 2; i++) {
		char *value = calloc(1, sizes[i]);
		dwal_kv *kv;

		dir = unit_dir_make();
		kv = open_store();
		put(kv, "before", "x");
		CHECK_INT(dwal_kv_put(kv, "key", 3, value, sizes[i]), 0);
		uint64_t start = place_of(kv, "key").offset;
		uint64_t at[] = {0,
				 5,
				 6,
				 7,
				 10,
				 18,
				 20,
				 25,
				 30,
				 24 + 3 + sizes[i] - 1,
				 24 + 3 + sizes[i] + 3};
		for (size_t k = 0; k < sizeof(at) / sizeof(*at); k++) {
			flip(start + at[k]);
			check_refused(kv, "key");
			flip(start + at[k]);
		}
		check_value(kv, "before", "x");
		int fd = open_segment();
		CHECK(ftruncate(fd, (off_t)(start + 50)) == 0);
		close(fd);
		check_refused(kv, "key");
		CHECK_INT(dwal_kv_close(kv), 0);
		unit_dir_remove(&dir);
		free(value);
	}
}

static void valid_frame_of_another_key_or_type_is_refused(void)
{
	for (size_t i = 0; i < 2; i++) {
		uint32_t length = dwal_frame_size(3, sizes[i]);
		char *value = calloc(1, length), *zeros = calloc(1, sizes[i]);
		dwal_kv *kv;
		int fd;

		dir = unit_dir_make();
		kv = open_store();
		CHECK_INT(dwal_kv_put(kv, "one", 3, value, sizes[i]), 0);
		CHECK_INT(dwal_kv_put(kv, "two", 3, value, sizes[i]), 0);
		fd = open_segment();
		CHECK_INT(pread(fd, value, length, length), length);
		CHECK_INT(pwrite(fd, value, length, 0), length);
		check_refused(kv, "one");
		CHECK_INT(dwal_frame_encode(DWAL_RAW, 1, (struct dwal_bytes){"one", 3},
					    (struct dwal_bytes){zeros, sizes[i]}, value),
			  0);
		CHECK_INT(pwrite(fd, value, length, 0), length);
		check_refused(kv, "one");
		free(value);
		free(zeros);
		CHECK_INT(dwal_kv_get(kv, "two", 3, (void **)&value, &(size_t){0}, &error), 0);
		free(value);
		close(fd);
		CHECK_INT(dwal_kv_close(kv), 0);
		unit_dir_remove(&dir);
	}
}

static void value_stays_readable_after_overwrite_delete_and_rotate(void)
{
	dwal_value *old, *large;
	char buffer[16] = {0}, *big = malloc(sizes[1]);
	dwal_kv *kv;
	size_t got;

	dir = unit_dir_make();
	kv = open_store();
	for (size_t i = 0; i < sizes[1]; i++)
		big[i] = (char)(i % 251);
	put(kv, "a", "first value");
	CHECK_INT(dwal_kv_put(kv, "big", 3, big, sizes[1]), 0);
	CHECK_INT(dwal_kv_value(kv, "a", 1, &old), 0);
	CHECK_INT(dwal_kv_value(kv, "big", 3, &large), 0);
	CHECK_INT(dwal_kv_value(kv, "none", 4, &old), DWAL_ABSENT);
	CHECK_INT(dwal_value_size(old), 11);
	CHECK_INT(dwal_value_place(old).txid, 1);
	put(kv, "a", "second");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT(dwal_kv_delete(kv, "a", 1), 0);
	put(kv, "big", "small");

	CHECK_INT(dwal_value_read(old, 6, buffer, sizeof(buffer), &got, &error), 0);
	CHECK_INT(got, 5);
	CHECK(memcmp(buffer, "value", 5) == 0);
	CHECK_INT(dwal_value_read(old, 0, buffer, 5, &got, &error), 0);
	CHECK(got == 5 && memcmp(buffer, "first", 5) == 0);
	CHECK_INT(dwal_value_read(old, 11, buffer, 5, &got, &error), 0);
	CHECK_INT(got, 0);
	CHECK_INT(dwal_value_read(old, UINT64_MAX, buffer, 5, &got, &error), 0);
	CHECK_INT(got, 0);
	for (size_t at = 0; at < sizes[1]; at += got) {
		char *piece = buffer;
		CHECK_INT(dwal_value_read(large, at, piece, sizeof(buffer), &got, &error), 0);
		CHECK(got > 0 && memcmp(piece, big + at, got) == 0);
		at += 99991;
	}
	dwal_value_close(old);
	dwal_value_close(large);
	free(big);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void value_is_read_whole_at_once_or_by_and_by(void)
{
	char *written = malloc(sizes[1]), *seen = malloc(sizes[1]);
	dwal_value *value;
	dwal_kv *kv;
	size_t got;

	dir = unit_dir_make();
	kv = open_store();
	for (size_t i = 0; i < sizes[1]; i++)
		written[i] = (char)(i % 251);
	for (size_t i = 0; i < 2; i++) {
		CHECK_INT(dwal_kv_put(kv, "key", 3, written, sizes[i]), 0);
		CHECK_INT(dwal_kv_value(kv, "key", 3, &value), 0);
		CHECK(!dwal_value_is_checked(value));
		for (int again = 0; again < 2; again++) {
			memset(seen, 7, sizes[i]);
			CHECK_INT(dwal_value_read(value, 0, seen, sizes[i], &got, &error), 0);
			CHECK(got == sizes[i] && memcmp(seen, written, got) == 0);
			CHECK(dwal_value_is_checked(value));
		}
		CHECK_INT(dwal_value_read(value, 1, seen, sizes[i], &got, &error), 0);
		CHECK(got == sizes[i] - 1 && memcmp(seen, written + 1, got) == 0);
		dwal_value_close(value);
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
	free(written);
	free(seen);
}

static struct dwal_op put_of(const char *key, const char *value)
{
	return (struct dwal_op){DWAL_PUT, {key, strlen(key)}, {value, strlen(value)}};
}

static void check_reads(dwal_value *value, const char *wanted)
{
	char buffer[32];
	size_t got;

	CHECK_INT(dwal_value_size(value), strlen(wanted));
	CHECK_INT(dwal_value_read(value, 0, buffer, sizeof(buffer), &got, &error), 0);
	CHECK_INT(got, strlen(wanted));
	CHECK(memcmp(buffer, wanted, got) == 0);
	dwal_value_close(value);
}

static void value_at_a_place_is_the_put_that_was_written_there(void)
{
	struct dwal_op ops[] = {put_of("a", "first"), put_of("b", ""), put_of("a", "second")};
	struct dwal_place places[3];
	dwal_value *value;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	CHECK_INT(dwal_kv_batch(kv, ops, 3, NULL, 0, places), 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT(dwal_kv_delete(kv, "a", 1), 0);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(dwal_kv_value_at(kv, ops[i].key.data, 1, &places[i], &value), 0);
		CHECK_INT(dwal_value_place(value).txid, places[i].txid);
		check_reads(value, ops[i].payload.data);
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void value_at_a_place_that_is_not_its_own_is_refused(void)
{
	struct dwal_op op = put_of("key", "value");
	struct dwal_place place, wrong;
	dwal_value *value;
	dwal_kv *kv;
	size_t got;
	char byte;

	dir = unit_dir_make();
	kv = open_store();
	CHECK_INT(dwal_kv_batch(kv, &op, 1, NULL, 0, &place), 0);
	CHECK_INT(dwal_kv_value_at(kv, "other", 5, &place, &value), 0);
	CHECK_INT(dwal_value_read(value, 0, &byte, 1, &got, &error), DWAL_ECORRUPT);
	dwal_value_close(value);
	CHECK_INT(dwal_kv_value_at(kv, "too long", 9, &place, &value), -EINVAL);
	CHECK_INT(dwal_kv_value_at(kv, "key", DWAL_MAX_KEY + 1, &place, &value), -EINVAL);
	wrong = place;
	wrong.segment = 7;
	CHECK_INT(dwal_kv_value_at(kv, "key", 3, &wrong, &value), DWAL_EGONE);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void empty_key_and_empty_value_are_like_others(void)
{
	struct dwal_place place;
	dwal_value *handle;
	uint32_t size = 9;
	size_t got = 9;
	dwal_kv *kv;
	char byte;

	dir = unit_dir_make();
	kv = open_store();
	check_value(kv, "", NULL);
	CHECK_INT(dwal_kv_put(kv, NULL, 0, NULL, 0), 0);
	check_value(kv, "", "");
	CHECK_INT(dwal_kv_ref_of(kv, NULL, 0, &place, &size), 0);
	CHECK_INT(size, 0);
	CHECK_INT(dwal_kv_value(kv, NULL, 0, &handle), 0);
	CHECK_INT(dwal_value_read(handle, 5, &byte, 1, &got, &error), 0);
	CHECK_INT(got, 0);
	dwal_value_close(handle);
	CHECK_INT(dwal_kv_delete(kv, NULL, 0), 0);
	check_value(kv, "", NULL);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void cursor_shows_the_moment_of_the_call(void)
{
	struct dwal_item item;
	dwal_cursor *cursor;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "b", "22");
	put(kv, "a", "1");
	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	put(kv, "a", "other");
	put(kv, "c", "3");
	CHECK_INT(dwal_kv_delete(kv, "b", 1), 0);
	CHECK_INT(dwal_cursor_next(cursor, &item), 0);
	CHECK(item.key.len == 1 && *(const char *)item.key.data == 'a');
	CHECK_INT(item.value_len, 1);
	CHECK_INT(item.place.txid, 2);
	CHECK_INT(dwal_cursor_next(cursor, &item), 0);
	CHECK(*(const char *)item.key.data == 'b' && item.value_len == 2);
	CHECK_INT(dwal_cursor_next(cursor, &item), DWAL_END);
	CHECK_INT(dwal_cursor_next(cursor, &item), DWAL_END);
	dwal_cursor_close(cursor);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* All keys of up to 3 of these bytes behind 0 to 8 others: zeros count, and so do bytes
 * above 127 and what lies behind the eighth. */
static void cursor_gives_keys_in_byte_order(void)
{
	static const unsigned char bytes[] = {0xff, 0, 'a', 1};
	struct dwal_bytes last = {NULL, 0};
	struct dwal_item item;
	dwal_cursor *cursor;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	for (unsigned i = 0; i < 9 * 64; i++) {
		unsigned char key[11] = "kkkkkkkk";
		size_t len = i / 64;

		for (unsigned n = i % 64; n > 0; n /= 4)
			key[len++] = bytes[n % 4];
		CHECK_INT(dwal_kv_put(kv, key, len, NULL, 0), 0);
	}
	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	for (unsigned n = 0; dwal_cursor_next(cursor, &item) == 0; last = item.key, n++) {
		size_t common = last.len < item.key.len ? last.len : item.key.len;
		int order = common ? memcmp(last.data, item.key.data, common) : 0;

		CHECK(n == 0 || order < 0 || (order == 0 && last.len < item.key.len));
	}
	dwal_cursor_close(cursor);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(cursor_gives_keys_in_byte_order),
	  UNIT(get_of_a_damaged_frame_is_an_error_that_says_where),
	  UNIT(valid_frame_of_another_key_or_type_is_refused),
	  UNIT(value_stays_readable_after_overwrite_delete_and_rotate),
	  UNIT(value_is_read_whole_at_once_or_by_and_by),
	  UNIT(value_at_a_place_is_the_put_that_was_written_there),
	  UNIT(value_at_a_place_that_is_not_its_own_is_refused),
	  UNIT(empty_key_and_empty_value_are_like_others),
	  UNIT(cursor_shows_the_moment_of_the_call))
