/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Places that were given before the log changed under them: a segment is taken
 * out of the log's table, or replaced in it, by hand, as nothing else does yet.
 */
#include "log_state.h"
#include "store.h"

#include <errno.h>

static size_t slot_of(const dwal_log *log, uint32_t id)
{
	size_t i = 0;

	while (log->segments[i]->id != id)
		CHECK(++i < log->count);
	return i;
}

static void take_out(dwal_kv *kv, uint32_t id)
{
	dwal_log *log = kv->log;
	size_t i = slot_of(log, id);

	CHECK_INT(segment_unref(log->segments[i]), 0);
	memmove(&log->segments[i], &log->segments[i + 1],
		(--log->count - i) * sizeof(*log->segments));
}

static struct dwal_bytes text(const char *string)
{
	return (struct dwal_bytes){string, strlen(string)};
}

/* A Put that goes on in the file that takes the name of segment 1. */
struct moved {
	const char *key, *value;
	uint64_t txid;
};

static void set_place(dwal_kv *kv, const struct moved *moved, uint32_t segment, uint64_t offset)
{
	const struct keydir_value value = {
		.segment = segment,
		.offset = offset,
		.txid = moved->txid,
		.value_len = (uint32_t)strlen(moved->value),
	};
	struct slot ready;

	pthread_rwlock_wrlock(&kv->index);
	CHECK_INT(keydir_reserve(&kv->keydir, 1), 0);
	CHECK_INT(keydir_prepare(&kv->keydir, text(moved->key), &ready), 0);
	keydir_set(&kv->keydir, &ready, &value);
	pthread_rwlock_unlock(&kv->index);
}

static void write_moved(dwal_kv *kv, int fd, const struct moved *moved)
{
	const struct dwal_bytes key = text(moved->key), value = text(moved->value);
	const uint32_t length = dwal_frame_size(key.len, value.len);
	off_t offset = lseek(fd, 0, SEEK_END);
	unsigned char frame[128];

	CHECK(length <= sizeof(frame));
	CHECK_INT(dwal_frame_encode(DWAL_PUT, moved->txid, key, value, frame), 0);
	CHECK_INT(write(fd, frame, length), length);
	set_place(kv, moved, 1, (uint64_t)offset);
}

/* Another file, with these Puts alone, takes the place of sealed segment 1. */
static void rewrite(dwal_kv *kv, const struct moved *moved, size_t n)
{
	char name[128], temp[128];
	struct segment **slot = &kv->log->segments[slot_of(kv->log, 1)];
	struct segment *old = *slot;
	int fd;

	snprintf(name, sizeof(name), "%s/00000001.dwal", dir.path);
	snprintf(temp, sizeof(temp), "%s/new.dwal-tmp", dir.path);
	fd = open(temp, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	while (n--)
		write_moved(kv, fd, moved++);
	close(fd);
	CHECK(rename(temp, name) == 0);
	CHECK_INT(segment_find_sealed(&kv->log->pool, 1, slot), 0);
	(*slot)->generation = old->generation + 1;
	CHECK_INT(segment_unref(old), 0);
}

static void check_item(dwal_kv *kv, const struct dwal_item *item, const char *wanted)
{
	unsigned char frame[128];
	struct dwal_bytes payload;
	int err;

	CHECK(item->place.length <= sizeof(frame));
	err = kv_read_item(kv, item, frame, &payload, &error);
	CHECK_INT(err, wanted ? 0 : DWAL_EGONE);
	if (!wanted)
		CHECK(error.code == DWAL_EGONE && strstr(error.message, dir.path));
	else
		CHECK(payload.len == strlen(wanted) && !memcmp(payload.data, wanted, payload.len));
}

/* In byte order of the keys, which are single letters. */
static void check_items(dwal_kv *kv, dwal_cursor *cursor, const char *const *values, size_t n)
{
	struct dwal_item item;

	for (size_t i = 0; i < n; i++) {
		CHECK_INT(dwal_cursor_next(cursor, &item), 0);
		check_item(kv, &item, values[i]);
	}
	CHECK_INT(dwal_cursor_next(cursor, &item), DWAL_END);
	dwal_cursor_close(cursor);
}

static void check_handle(dwal_value *value, const char *wanted)
{
	char buffer[32];
	size_t got;

	CHECK_INT(dwal_value_read(value, 0, buffer, sizeof(buffer), &got, &error), 0);
	CHECK(got == strlen(wanted) && !memcmp(buffer, wanted, got));
	dwal_value_close(value);
}

/* Four Puts in segment 1, which is sealed. */
static dwal_kv *store_of_four(void)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "a");
	put(kv, "b", "b");
	put(kv, "c", "c");
	put(kv, "d", "d");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	return kv;
}

/* a is written again, b deleted; c lies elsewhere and d where it was. */
static void a_rewritten_segment_is_read_by_key_or_not_at_all(void)
{
	static const struct moved moved[] = {
		{"c", "c", 3}, {"b", "x", 2}, {"e", "e", 9}, {"d", "d", 4}};
	dwal_kv *kv = store_of_four();
	struct dwal_place before = place_of(kv, "c"), after;
	dwal_value *early, *late;
	dwal_cursor *cursor;

	CHECK_INT(before.generation, 0);
	CHECK_INT(dwal_kv_value(kv, "c", 1, &early), 0);
	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	put(kv, "a", "new");
	rewrite(kv, moved, 4);
	CHECK_INT(dwal_kv_delete(kv, "b", 1), 0);

	after = place_of(kv, "c");
	CHECK(after.generation == 1 && after.offset != before.offset);
	CHECK_INT(place_of(kv, "d").offset, 3 * (uint64_t)before.length);
	check_value(kv, "c", "c");
	CHECK_INT(dwal_kv_value_at(kv, "c", 1, &before, &late), DWAL_EGONE);
	CHECK_INT(dwal_kv_value_at(kv, "c", 1, &after, &late), 0);
	check_handle(late, "c");
	check_handle(early, "c");
	check_items(kv, cursor, (const char *const[]){NULL, NULL, "c", "d"}, 4);
	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	check_items(kv, cursor, (const char *const[]){"new", "c", "d", "e"}, 4);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void check_all_gone(dwal_kv *kv, const char *key)
{
	struct dwal_place place;
	dwal_value *handle;
	uint32_t size;
	size_t len;
	void *value;

	memset(&error, 0, sizeof(error));
	CHECK_INT(dwal_kv_get(kv, key, 1, &value, &len, &error), DWAL_EGONE);
	CHECK(error.code == DWAL_EGONE && strstr(error.message, dir.path));
	CHECK_INT(dwal_kv_value(kv, key, 1, &handle), DWAL_EGONE);
	CHECK_INT(dwal_kv_ref_of(kv, key, 1, &place, &size), DWAL_EGONE);
	CHECK_INT(dwal_kv_export_jsonl_fd(kv, -1, &error), DWAL_EGONE);
}

static void a_segment_that_is_gone_is_an_error_and_no_missing_key(void)
{
	dwal_kv *kv = store_of_four();
	struct dwal_place place = place_of(kv, "c");
	dwal_cursor *cursor;
	dwal_value *handle;
	int fd;

	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	take_out(kv, 1);
	check_all_gone(kv, "c");
	CHECK(dwal_kv_contains(kv, "c", 1));
	CHECK_INT(dwal_kv_value_at(kv, "c", 1, &place, &handle), DWAL_EGONE);
	CHECK_INT(dwal_kv_open_segment(kv, 1, &fd), DWAL_ABSENT);
	check_items(kv, cursor, (const char *const[]){NULL, NULL, NULL, NULL}, 4);
	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	put(kv, "c", "again");
	check_items(kv, cursor, (const char *const[]){NULL, NULL, NULL, NULL}, 4);
	check_value(kv, "c", "again");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void a_reading_store_says_so_too(void)
{
	dwal_kv *kv = store_of_four();

	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_reading();
	set_place(kv, &(struct moved){"c", "c", 3}, 77, 0);
	check_all_gone(kv, "c");
	check_value(kv, "d", "d");
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(a_rewritten_segment_is_read_by_key_or_not_at_all),
	  UNIT(a_segment_that_is_gone_is_an_error_and_no_missing_key),
	  UNIT(a_reading_store_says_so_too))
