/* SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <datawal.h>
#include <stdlib.h>

#include "bench.h"
#include "engine.h"

#define BATCH_MOST 1000

struct store {
	dwal_kv *kv; /* or: */
	dwal_log *log;
	bool sync;
};

static void check(int err, const char *what)
{
	if (err)
		fail(what, dwal_strerror(err));
}

static void *open_store(const char *dir, enum how how)
{
	struct store *store = calloc(1, sizeof(*store));
	struct dwal_error error;

	if (!store)
		fail("memory", "none");
	store->sync = how == SYNCED;
	if (how == LOG ? dwal_log_open(dir, NULL, &store->log, &error)
		       : dwal_kv_open(dir, NULL, &store->kv, &error))
		fail(dir, error.message);
	return store;
}

static void close_store(void *db)
{
	struct store *store = db;

	check(dwal_kv_close(store->kv), "close");
	check(dwal_log_close(store->log), "close");
	free(store);
}

static void sync_if_told(const struct store *store)
{
	if (store->sync)
		check(dwal_kv_sync(store->kv), "sync");
}

static void put(void *db, const struct key *key, struct value value)
{
	struct store *store = db;

	check(dwal_kv_put(store->kv, key->bytes, KEY_SIZE, value.data, value.size), "put");
	sync_if_told(store);
}

static void batch(void *db, const struct key *keys, size_t n, struct value value)
{
	struct store *store = db;
	struct dwal_op ops[BATCH_MOST];

	for (size_t i = 0; i < n; i++)
		ops[i] = (struct dwal_op){
			DWAL_PUT, {keys[i].bytes, KEY_SIZE}, {value.data, value.size}};
	check(dwal_kv_batch(store->kv, ops, n, NULL, 0, NULL), "batch");
	sync_if_told(store);
}

static size_t get(void *db, const struct key *key, void *buffer, size_t size)
{
	struct store *store = db;
	struct dwal_error error;
	void *value;

	if (dwal_kv_get(store->kv, key->bytes, KEY_SIZE, &value, &size, &error))
		fail("get", "no value");
	free(value);
	return size;
}

static void remove_key(void *db, const struct key *key)
{
	struct store *store = db;

	check(dwal_kv_delete(store->kv, key->bytes, KEY_SIZE), "delete");
	sync_if_told(store);
}

static uint64_t walk(void *db)
{
	struct store *store = db;
	struct dwal_error error;
	struct dwal_item item;
	dwal_cursor *cursor;
	uint64_t n = 0;
	size_t size;
	void *value;

	check(dwal_kv_cursor(store->kv, &cursor), "cursor");
	for (; dwal_cursor_next(cursor, &item) == 0; n++) {
		if (dwal_kv_get(store->kv, item.key.data, item.key.len, &value, &size, &error))
			fail("get", "no value");
		free(value);
	}
	dwal_cursor_close(cursor);
	return n;
}

static void append(void *db, struct value value)
{
	struct store *store = db;

	check(dwal_log_append_raw(store->log, value.data, value.size, NULL), "append");
}

static void appends(void *db, struct value value, size_t n)
{
	struct store *store = db;
	struct dwal_op ops[BATCH_MOST];

	for (size_t i = 0; i < n; i++)
		ops[i] = (struct dwal_op){DWAL_RAW, {NULL, 0}, {value.data, value.size}};
	check(dwal_log_append(store->log, ops, n, NULL), "append");
}

static void scan(const char *dir)
{
	struct dwal_error error;
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter;
	int err;

	if (dwal_reader_open(dir, &reader, &error) ||
	    dwal_reader_iterate(reader, 0, 0, &iter, &error))
		fail(dir, error.message);
	while ((err = dwal_iter_next(iter, &record, &error)) == 0)
		;
	if (err != DWAL_END)
		fail(dir, error.message);
	dwal_iter_close(iter);
	dwal_reader_close(reader);
}

static void compact(void *db)
{
	struct store *store = db;
	struct dwal_error error;

	if (dwal_kv_compact(store->kv, NULL, NULL, &error))
		fail("compaction", error.message);
}

static void copy(void *db, const char *to)
{
	struct store *store = db;
	struct dwal_error error;

	if (dwal_kv_compact_to(store->kv, to, NULL, NULL, &error))
		fail("compaction", error.message);
}

static void export_lines(void *db, const char *to)
{
	struct store *store = db;
	struct dwal_error error;

	if (dwal_kv_export_jsonl(store->kv, to, &error))
		fail("export", error.message);
}

const struct engine engine_datawal = {
	.name = "datawal",
	.offers = "append appends put batch get delete scan walk open compact copy export sync",
	.open = open_store,
	.close = close_store,
	.put = put,
	.batch = batch,
	.get = get,
	.remove = remove_key,
	.walk = walk,
	.append = append,
	.appends = appends,
	.scan = scan,
	.compact = compact,
	.copy = copy,
	.export = export_lines,
};
