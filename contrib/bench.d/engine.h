/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A store that bench_store measures. Each adapter is one file, fails by itself and
 * returns only when all went well.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_SIZE 16

/* The key of that number: the same bytes in each run, in no order. */
struct key {
	unsigned char bytes[KEY_SIZE];
	uint64_t number;
};

struct value {
	const void *data;
	size_t size;
};

enum how {
	PLAIN,
	SYNCED, /* each change is durable on return */
	LOG,    /* for append and appends */
};

/* What an adapter does not offer is NULL. Any number of threads call at the same time. */
struct engine {
	const char *name;
	const char *offers; /* words of bench_store's operations */
	bool per_thread;    /* each thread has to open it for itself */
	void *(*open)(const char *dir, enum how how);
	void (*close)(void *db); /* on the disk or not */
	void (*put)(void *db, const struct key *key, struct value value);
	/* n keys, the same value each, in one call or transaction */
	void (*batch)(void *db, const struct key *keys, size_t n, struct value value);
	/* A value of that size; buffer has room for its frame, and need not be used. */
	size_t (*get)(void *db, const struct key *key, void *buffer, size_t size);
	void (*remove)(void *db, const struct key *key);
	/* Each key with its value, once; returns how many. */
	uint64_t (*walk)(void *db);
	void (*append)(void *db, struct value value);
	void (*appends)(void *db, struct value value, size_t n); /* in one call */
	void (*scan)(const char *dir);            /* all records, as they lie there */
	void (*compact)(void *db);                /* in place */
	void (*copy)(void *db, const char *to);   /* compacted, into a fresh one */
	void (*export)(void *db, const char *to); /* as lines of text */
};

extern const struct engine engine_datawal, engine_floor, engine_lmdb, engine_leveldb,
	engine_rocksdb, engine_tkrzw, engine_sqlite;

#endif
