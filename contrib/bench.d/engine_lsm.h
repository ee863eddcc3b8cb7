/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The adapter of LevelDB and of RocksDB, whose interfaces in C differ by their
 * prefix. Included once by a file that has defined LSM(name) to put it before a name, and
 * LSM_ENGINE and LSM_NAME: what the adapter is to be and to be called.
 */
#include <stdlib.h>

#include "bench.h"
#include "engine.h"

typedef LSM(t) database;
typedef LSM(options_t) options;
typedef LSM(readoptions_t) read_options;
typedef LSM(writeoptions_t) write_options;
typedef LSM(writebatch_t) write_batch;
typedef LSM(iterator_t) iterator;

struct store {
	database *db;
	options *options;
	read_options *reading;
	write_options *writing;
};

static void check(const char *error, const char *what)
{
	if (error)
		fail(what, error);
}

static void *open_store(const char *dir, enum how how)
{
	struct store *store = calloc(1, sizeof(*store));
	char *error = NULL;

	if (!store)
		fail("memory", "none");
	store->options = LSM(options_create)();
	store->reading = LSM(readoptions_create)();
	store->writing = LSM(writeoptions_create)();
	LSM(options_set_create_if_missing)(store->options, 1);
	LSM(options_set_compression)(store->options, LSM(no_compression));
	LSM(writeoptions_set_sync)(store->writing, how == SYNCED);
	store->db = LSM(open)(store->options, dir, &error);
	check(error, dir);
	return store;
}

static void close_store(void *db)
{
	struct store *store = db;

	LSM(close)(store->db);
	LSM(writeoptions_destroy)(store->writing);
	LSM(readoptions_destroy)(store->reading);
	LSM(options_destroy)(store->options);
	free(store);
}

static void put(void *db, const struct key *key, struct value value)
{
	struct store *store = db;
	char *error = NULL;

	LSM(put)
	(store->db, store->writing, (const char *)key->bytes, KEY_SIZE, value.data, value.size,
	 &error);
	check(error, "put");
}

static void batch(void *db, const struct key *keys, size_t n, struct value value)
{
	struct store *store = db;
	write_batch *all = LSM(writebatch_create)();
	char *error = NULL;

	for (size_t i = 0; i < n; i++)
		LSM(writebatch_put)
	(all, (const char *)keys[i].bytes, KEY_SIZE, value.data, value.size);
	LSM(write)(store->db, store->writing, all, &error);
	check(error, "batch");
	LSM(writebatch_destroy)(all);
}

static size_t get(void *db, const struct key *key, void *buffer, size_t size)
{
	struct store *store = db;
	char *error = NULL, *value;

	value = LSM(get)(store->db, store->reading, (const char *)key->bytes, KEY_SIZE, &size,
			 &error);
	check(error, "get");
	if (!value)
		fail("get", "no value");
	LSM(free)(value);
	return size;
}

static void remove_key(void *db, const struct key *key)
{
	struct store *store = db;
	char *error = NULL;

	LSM(delete)(store->db, store->writing, (const char *)key->bytes, KEY_SIZE, &error);
	check(error, "delete");
}

static uint64_t walk(void *db)
{
	struct store *store = db;
	iterator *at = LSM(create_iterator)(store->db, store->reading);
	uint64_t n = 0;
	size_t size;

	for (LSM(iter_seek_to_first)(at); LSM(iter_valid)(at); LSM(iter_next)(at), n++)
		(void)LSM(iter_key)(at, &size), (void)LSM(iter_value)(at, &size);
	LSM(iter_destroy)(at);
	return n;
}

static void compact(void *db)
{
	struct store *store = db;

	LSM(compact_range)(store->db, NULL, 0, NULL, 0);
}

const struct engine LSM_ENGINE = {
	.name = LSM_NAME,
	.offers = "put batch get delete walk open compact sync",
	.open = open_store,
	.close = close_store,
	.put = put,
	.batch = batch,
	.get = get,
	.remove = remove_key,
	.walk = walk,
	.compact = compact,
};
