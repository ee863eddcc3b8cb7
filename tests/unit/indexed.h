/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the tests of index files share: a log with records of every kind in several
 * segments, its index files as bytes, what an open shows of it, and how many bytes of
 * segments were read for that.
 */
#ifndef INDEXED_H
#define INDEXED_H

#include "index.h"
#include "store.h"

#include <errno.h>
#include <utime.h>

#define INDEXED_SEALED 3 /* segments of indexed_make() that hold records; 4 is empty */

static const struct dwal_options indexed_fully = {.read_only = true};
static const struct dwal_options indexed_by_index = {.read_only = true,
						     .verify = DWAL_VERIFY_INDEX};

static inline void indexed_put(dwal_kv *kv, const char *key, size_t size, char byte)
{
	char *value = malloc(size + 1);

	CHECK(value);
	memset(value, byte, size + 1);
	CHECK_INT(dwal_kv_put(kv, key, strlen(key), value, size), 0);
	free(value);
}

static inline void indexed_raw(dwal_kv *kv, const char *key, size_t size)
{
	char *payload = malloc(size + 1);
	struct dwal_op op = {DWAL_RAW, {key, strlen(key)}, {payload, size}};

	CHECK(payload);
	memset(payload, 'r', size + 1);
	CHECK_INT(dwal_kv_batch(kv, &op, 1, NULL, 0, NULL), 0);
	free(payload);
}

static inline struct dwal_scrub_stats indexed_scrub(dwal_kv *kv)
{
	struct dwal_scrub_stats stats;

	CHECK_INT(dwal_kv_scrub(kv, NULL, &stats), 0);
	return stats;
}

/* Every kind of record; values of every size that counts; operations with lines, a tag, a
 * large Raw record; three sealed segments with index files, an empty one, the highest. */
static inline void indexed_make(void)
{
	static const struct dwal_line line = {"time", "1764000000.123456789"};
	const struct dwal_op ops[] = {{DWAL_PUT, {"moved", 5}, {"a\0b", 3}},
				      {DWAL_RAW, {"moved", 5}, {"attr", 4}},
				      {DWAL_DELETE, {"gone", 4}, {NULL, 0}}};
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "gone", "1");
	put(kv, "", "the empty key");
	put(kv, "empty", "");
	indexed_put(kv, "big", 300000, 'b');
	indexed_raw(kv, "small raw", 100);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT(dwal_kv_batch(kv, ops, 3, &line, 1, NULL), 0);
	indexed_put(kv, "text", 4095, 't');
	indexed_put(kv, "too long", 4096, 't');
	indexed_put(kv, "zeros", 40, '\0');
	CHECK_INT(dwal_kv_tag(kv, "then", 3), 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	indexed_raw(kv, "large raw", INDEX_PAYLOAD_MOST + 1);
	indexed_raw(kv, "kept raw", INDEX_PAYLOAD_MOST);
	put(kv, "big", "not any more");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "last", "of all");
	CHECK_INT(indexed_scrub(kv).written, INDEXED_SEALED);
	CHECK_INT(dwal_kv_close(kv), 0);
}

static inline const char *indexed_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir.path, name);
	return path;
}

struct indexed_bytes {
	unsigned char *data;
	size_t len;
};

static inline struct indexed_bytes indexed_read(const char *name)
{
	struct indexed_bytes bytes = {NULL, 0};
	FILE *f = fopen(indexed_path(name), "r");
	struct stat st;

	CHECK(f && fstat(fileno(f), &st) == 0);
	bytes.len = (size_t)st.st_size;
	bytes.data = malloc(bytes.len + 1);
	CHECK(bytes.data && fread(bytes.data, 1, bytes.len, f) == bytes.len);
	fclose(f);
	return bytes;
}

static inline void indexed_write(const char *name, const void *data, size_t len)
{
	int fd = open(indexed_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, data, len), (long long)len);
	CHECK_INT(close(fd), 0);
}

static inline bool indexed_is_there(const char *name)
{
	return access(indexed_path(name), F_OK) == 0;
}

/* What an open shows, as one number: each record that was observed, without what index
 * files leave out, then the keys and where their values stand. */
struct indexed_view {
	uint32_t crc;
	uint64_t used, ignored, records;
};

static inline uint32_t indexed_add(uint32_t crc, const void *data, size_t len)
{
	crc = dwal_crc32c(crc, &len, sizeof(len));
	return len ? dwal_crc32c(crc, data, len) : crc;
}

static inline int indexed_see(void *ctx, const struct dwal_record *record)
{
	struct indexed_view *view = ctx;
	const struct dwal_bytes *payload = &record->payload;
	const bool is_text =
		record->type == DWAL_PUT && payload->len && payload->len < 4096 &&
		(payload->data ? !memchr(payload->data, 0, payload->len) : record->is_text);
	const uint64_t numbers[] = {record->segment, record->offset, record->length, record->type,
				    record->txid,    record->crc32c, payload->len,   is_text};

	view->crc = indexed_add(view->crc, numbers, sizeof(numbers));
	view->crc = indexed_add(view->crc, record->key.data, record->key.len);
	if (record->type == DWAL_RAW)
		view->crc = indexed_add(view->crc, payload->data, payload->len);
	view->records++;
	return 0;
}

static inline void indexed_see_keys(dwal_kv *kv, struct indexed_view *view)
{
	struct dwal_item item;
	dwal_cursor *cursor;

	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	while (dwal_cursor_next(cursor, &item) == 0) {
		view->crc = indexed_add(view->crc, item.key.data, item.key.len);
		view->crc = indexed_add(view->crc, &item.place.offset, sizeof(item.place.offset));
		view->crc = indexed_add(view->crc, &item.place.segment, 4);
	}
	dwal_cursor_close(cursor);
}

static inline struct indexed_view indexed_view_io(const struct io *io,
						  const struct dwal_options *given)
{
	struct indexed_view view = {0};
	struct dwal_options options = *given;
	const struct dwal_report *report;
	dwal_kv *kv;

	options.observe = indexed_see;
	options.observe_ctx = &view;
	kv = open_io(io, &options);
	report = dwal_kv_report(kv);
	view.used = report->indexes_used;
	view.ignored = report->indexes_ignored;
	CHECK(report->records_replayed == view.records);
	view.crc = indexed_add(view.crc, &report->last_txid_seen, 8);
	view.crc = indexed_add(view.crc, &report->raw_records, 8);
	view.crc = indexed_add(view.crc, &report->txids.missing, 8);
	indexed_see_keys(kv, &view);
	CHECK_INT(dwal_kv_close(kv), 0);
	return view;
}

static inline struct indexed_view indexed_view(const struct dwal_options *options)
{
	return indexed_view_io(NULL, options);
}

/* A table that counts the bytes that are read of segments, and how many in one call. */
struct counting_io {
	struct io io; /* first: a struct io * is cast back */
	bool of_segment[1024];
	uint64_t bytes;
	size_t most;
};

static inline int counting_open(const struct io *io, int dirfd, const char *name, int flags,
				mode_t mode)
{
	struct counting_io *counting = (struct counting_io *)(uintptr_t)io;
	int fd = io_system.open(&io_system, dirfd, name, flags, mode);
	uint32_t id;

	if (fd >= 0 && fd < 1024)
		counting->of_segment[fd] = logname_parse_segment(name, &id);
	return fd;
}

static inline ssize_t counting_pread(const struct io *io, int fd, void *buffer, size_t n,
				     off_t offset)
{
	struct counting_io *counting = (struct counting_io *)(uintptr_t)io;
	ssize_t got = io_system.pread(&io_system, fd, buffer, n, offset);

	if (got > 0 && counting->of_segment[fd]) {
		counting->bytes += (uint64_t)got;
		counting->most = n > counting->most ? n : counting->most;
	}
	return got;
}

static inline struct counting_io counting_new(void)
{
	struct counting_io counting = {.io = io_system};

	counting.io.open = counting_open;
	counting.io.pread = counting_pread;
	return counting;
}

#endif
