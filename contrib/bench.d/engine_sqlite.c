/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A table without row ids, with a write-ahead log.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench.h"
#include "engine.h"

#define BUSY_MS 600000

enum { PUT, GET, DELETE, WALK, BEGIN, COMMIT, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[PUT] = "INSERT OR REPLACE INTO kv VALUES (?, ?)",
	[GET] = "SELECT value FROM kv WHERE key = ?",
	[DELETE] = "DELETE FROM kv WHERE key = ?",
	[WALK] = "SELECT key, value FROM kv ORDER BY key",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
};

static void check(const struct store *store, bool done, const char *what)
{
	if (!done)
		fail(what, sqlite3_errmsg(store->db));
}

static void execute(const struct store *store, const char *text)
{
	check(store, sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK, text);
}

static void *open_store(const char *dir, enum how how)
{
	struct store *store = calloc(1, sizeof(*store));
	char *path = NULL;

	if (!store || (mkdir(dir, 0777) != 0 && errno != EEXIST) ||
	    asprintf(&path, "%s/store.sqlite", dir) < 0)
		fail(dir, "cannot be made");
	check(store, sqlite3_open(path, &store->db) == SQLITE_OK, path);
	(void)sqlite3_busy_timeout(store->db, BUSY_MS);
	execute(store, "PRAGMA journal_mode = WAL");
	execute(store, how == SYNCED ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
	execute(store, "CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB) "
		       "WITHOUT ROWID");
	for (int i = 0; i < STATEMENTS; i++)
		check(store,
		      sqlite3_prepare_v2(store->db, texts[i], -1, &store->statements[i], NULL) ==
			      SQLITE_OK,
		      texts[i]);
	free(path);
	return store;
}

static void close_store(void *db)
{
	struct store *store = db;

	for (int i = 0; i < STATEMENTS; i++)
		(void)sqlite3_finalize(store->statements[i]);
	check(store, sqlite3_close(store->db) == SQLITE_OK, "close");
	free(store);
}

/* A statement that gives no row. */
static void run(const struct store *store, int which)
{
	sqlite3_stmt *statement = store->statements[which];

	check(store, sqlite3_step(statement) == SQLITE_DONE, texts[which]);
	(void)sqlite3_reset(statement);
}

static sqlite3_stmt *with_key(const struct store *store, int which, const struct key *key)
{
	sqlite3_stmt *statement = store->statements[which];

	(void)sqlite3_bind_blob(statement, 1, key->bytes, KEY_SIZE, SQLITE_STATIC);
	return statement;
}

static void put(void *db, const struct key *key, struct value value)
{
	(void)sqlite3_bind_blob(with_key(db, PUT, key), 2, value.data, (int)value.size,
				SQLITE_STATIC);
	run(db, PUT);
}

static void batch(void *db, const struct key *keys, size_t n, struct value value)
{
	run(db, BEGIN);
	for (size_t i = 0; i < n; i++)
		put(db, &keys[i], value);
	run(db, COMMIT);
}

static size_t get(void *db, const struct key *key, void *buffer, size_t size)
{
	sqlite3_stmt *statement = with_key(db, GET, key);

	check(db, sqlite3_step(statement) == SQLITE_ROW, "get");
	size = (size_t)sqlite3_column_bytes(statement, 0);
	memcpy(buffer, sqlite3_column_blob(statement, 0), size);
	(void)sqlite3_reset(statement);
	return size;
}

static void remove_key(void *db, const struct key *key)
{
	(void)with_key(db, DELETE, key);
	run(db, DELETE);
}

static uint64_t walk(void *db)
{
	struct store *store = db;
	sqlite3_stmt *statement = store->statements[WALK];
	uint64_t n = 0;

	for (; sqlite3_step(statement) == SQLITE_ROW; n++)
		(void)sqlite3_column_blob(statement, 0), (void)sqlite3_column_blob(statement, 1);
	(void)sqlite3_reset(statement);
	return n;
}

static void compact(void *db)
{
	execute(db, "VACUUM");
}

const struct engine engine_sqlite = {
	.name = "sqlite",
	.offers = "put batch get delete walk open compact sync",
	.per_thread = true,
	.open = open_store,
	.close = close_store,
	.put = put,
	.batch = batch,
	.get = get,
	.remove = remove_key,
	.walk = walk,
	.compact = compact,
};
