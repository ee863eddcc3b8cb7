/* SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench.h"
#include "engine.h"

#define PAGE     4096
#define MAP_SIZE (sizeof(size_t) == 4 ? (size_t)1 << 30 : (size_t)1 << 38)

struct store {
	MDB_env *env;
	MDB_dbi dbi;
};

static void check(int err, const char *what)
{
	if (err)
		fail(what, mdb_strerror(err));
}

static MDB_txn *begin(const struct store *store, unsigned flags)
{
	MDB_txn *txn;

	check(mdb_txn_begin(store->env, NULL, flags, &txn), "begin");
	return txn;
}

static MDB_val key_of(const struct key *key)
{
	return (MDB_val){KEY_SIZE, (void *)(uintptr_t)key->bytes};
}

static void *open_store(const char *dir, enum how how)
{
	struct store *store = calloc(1, sizeof(*store));
	MDB_txn *txn;

	if (!store || (mkdir(dir, 0777) != 0 && errno != EEXIST))
		fail(dir, "cannot be made");
	check(mdb_env_create(&store->env), "environment");
	check(mdb_env_set_mapsize(store->env, MAP_SIZE), "map");
	check(mdb_env_open(store->env, dir, how == SYNCED ? 0 : MDB_NOSYNC, 0666), dir);
	txn = begin(store, 0);
	check(mdb_dbi_open(txn, NULL, 0, &store->dbi), dir);
	check(mdb_txn_commit(txn), dir);
	return store;
}

static void close_store(void *db)
{
	struct store *store = db;

	mdb_env_close(store->env);
	free(store);
}

static void batch(void *db, const struct key *keys, size_t n, struct value value)
{
	struct store *store = db;
	MDB_txn *txn = begin(store, 0);

	for (size_t i = 0; i < n; i++) {
		MDB_val k = key_of(&keys[i]), v = {value.size, (void *)(uintptr_t)value.data};

		check(mdb_put(txn, store->dbi, &k, &v, 0), "put");
	}
	check(mdb_txn_commit(txn), "commit");
}

static void put(void *db, const struct key *key, struct value value)
{
	batch(db, key, 1, value);
}

static size_t get(void *db, const struct key *key, void *buffer, size_t size)
{
	struct store *store = db;
	MDB_txn *txn = begin(store, MDB_RDONLY);
	MDB_val k = key_of(key), v;

	check(mdb_get(txn, store->dbi, &k, &v), "get");
	memcpy(buffer, v.mv_data, v.mv_size); /* the others hand out a copy too */
	mdb_txn_abort(txn);
	return v.mv_size;
}

static void remove_key(void *db, const struct key *key)
{
	struct store *store = db;
	MDB_txn *txn = begin(store, 0);
	MDB_val k = key_of(key);

	check(mdb_del(txn, store->dbi, &k, NULL), "delete");
	check(mdb_txn_commit(txn), "commit");
}

/* A value that nobody has looked at was not read yet. */
static void touch(const volatile char *value, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		(void)value[i];
}

static uint64_t walk(void *db)
{
	struct store *store = db;
	MDB_txn *txn = begin(store, MDB_RDONLY);
	MDB_cursor *cursor;
	MDB_val k, v;
	uint64_t n = 0;

	check(mdb_cursor_open(txn, store->dbi, &cursor), "cursor");
	for (; mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0; n++)
		touch(v.mv_data, v.mv_size);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return n;
}

static void copy(void *db, const char *to)
{
	struct store *store = db;

	if (mkdir(to, 0777) != 0)
		fail(to, strerror(errno));
	check(mdb_env_copy2(store->env, to, MDB_CP_COMPACT), "copy");
}

const struct engine engine_lmdb = {
	.name = "lmdb",
	.offers = "put batch get delete walk open copy sync",
	.open = open_store,
	.close = close_store,
	.put = put,
	.batch = batch,
	.get = get,
	.remove = remove_key,
	.walk = walk,
	.copy = copy,
};
