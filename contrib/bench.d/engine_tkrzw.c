/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Its hash table in a file (HashDBM), as it comes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <tkrzw_langc.h>

#include "bench.h"
#include "engine.h"

#define BATCH_MOST 1000

struct store {
	TkrzwDBM *dbm;
	bool sync;
};

static void check(bool done, const char *what)
{
	if (!done)
		fail(what, tkrzw_get_last_status_message());
}

static void *open_store(const char *dir, enum how how)
{
	struct store *store = calloc(1, sizeof(*store));
	char *path = NULL;

	if (!store || (mkdir(dir, 0777) != 0 && errno != EEXIST) ||
	    asprintf(&path, "%s/store.tkh", dir) < 0)
		fail(dir, "cannot be made");
	store->dbm = tkrzw_dbm_open(path, true, "");
	check(store->dbm, path);
	store->sync = how == SYNCED;
	free(path);
	return store;
}

static void close_store(void *db)
{
	struct store *store = db;

	check(tkrzw_dbm_close(store->dbm), "close");
	free(store);
}

static void sync_if_told(const struct store *store)
{
	if (store->sync)
		check(tkrzw_dbm_synchronize(store->dbm, true, NULL, NULL, ""), "sync");
}

static void put(void *db, const struct key *key, struct value value)
{
	struct store *store = db;

	check(tkrzw_dbm_set(store->dbm, (const char *)key->bytes, KEY_SIZE, value.data,
			    (int32_t)value.size, true),
	      "put");
	sync_if_told(store);
}

static void batch(void *db, const struct key *keys, size_t n, struct value value)
{
	struct store *store = db;
	TkrzwKeyValuePair all[BATCH_MOST];

	for (size_t i = 0; i < n; i++)
		all[i] = (TkrzwKeyValuePair){(char *)(uintptr_t)keys[i].bytes, KEY_SIZE,
					     (char *)(uintptr_t)value.data, (int32_t)value.size};
	check(tkrzw_dbm_set_multi(store->dbm, all, (int32_t)n, true), "batch");
	sync_if_told(store);
}

static size_t get(void *db, const struct key *key, void *buffer, size_t size)
{
	struct store *store = db;
	int32_t found = 0;
	char *value = tkrzw_dbm_get(store->dbm, (const char *)key->bytes, KEY_SIZE, &found);

	check(value, "get");
	free(value);
	return (size_t)found;
}

static void remove_key(void *db, const struct key *key)
{
	struct store *store = db;

	check(tkrzw_dbm_remove(store->dbm, (const char *)key->bytes, KEY_SIZE), "delete");
	sync_if_told(store);
}

static uint64_t walk(void *db)
{
	struct store *store = db;
	TkrzwDBMIter *iter = tkrzw_dbm_make_iterator(store->dbm);
	int32_t key_size, value_size;
	char *key, *value;
	uint64_t n = 0;

	(void)tkrzw_dbm_iter_first(iter);
	for (; tkrzw_dbm_iter_get(iter, &key, &key_size, &value, &value_size); n++) {
		free(key);
		free(value);
		(void)tkrzw_dbm_iter_next(iter);
	}
	tkrzw_dbm_iter_free(iter);
	return n;
}

static void compact(void *db)
{
	struct store *store = db;

	check(tkrzw_dbm_rebuild(store->dbm, ""), "rebuild");
}

const struct engine engine_tkrzw = {
	.name = "tkrzw",
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
