/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key directory on uthash. One allocation a key: the entry with the key's
 * bytes at its end. Knows no file, no lock and no log.
 */
#include "keydir.h"

#include "frame.h"
#include "keyed_hash.h"
#include "util.h"

#include <errno.h>

/* Without memory uthash takes the new entry out again and clears its tbl. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Shorter chains than the default 10: each step is a wait for memory. */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 8U

struct keydir_entry {
	struct keydir_value value;
	UT_hash_handle hh;
	unsigned char key[];
};

/* The value of an entry that has none. Segment 0 is one like any other. */
static const struct keydir_value no_value = {.segment = UINT32_MAX};

static bool has_value(const struct keydir_entry *entry)
{
	return entry->value.segment != no_value.segment;
}

/* uthash's own functions take a byte at a time or cannot be seeded. */
unsigned keydir_hash(const struct keydir *dir, struct dwal_bytes key)
{
	return (unsigned)keyed_hash(dir->seed, key.data, key.len);
}

static struct keydir_entry *find(const struct keydir *dir, struct dwal_bytes key, unsigned hashed)
{
	const void *bytes = key.len > 0 ? key.data : ""; /* memcmp must not see NULL */
	struct keydir_entry *entry;

	HASH_FIND_BYHASHVALUE(hh, dir->head, bytes, key.len, hashed, entry);
	return entry;
}

static void drop(struct keydir *dir, struct keydir_entry *entry)
{
	HASH_DEL(dir->head, entry);
	free(entry);
}

void keydir_init(struct keydir *dir, uint64_t seed)
{
	*dir = (struct keydir){.seed = seed};
}

void keydir_release(struct keydir *dir)
{
	struct keydir_entry *entry = dir->head;

	HASH_CLEAR(hh, dir->head);
	while (entry) {
		struct keydir_entry *next = entry->hh.next;

		free(entry);
		entry = next;
	}
	dir->live = 0;
	usage_release(&dir->usage);
}

const struct keydir_value *keydir_find(const struct keydir *dir, struct dwal_bytes key)
{
	struct keydir_entry *entry = find(dir, key, keydir_hash(dir, key));

	return entry && has_value(entry) ? &entry->value : NULL;
}

static struct keydir_entry *new_entry(struct dwal_bytes key)
{
	struct keydir_entry *entry = malloc(sizeof(*entry) + key.len);

	if (!entry)
		return NULL;
	entry->value = no_value;
	put_bytes(entry->key, key);
	return entry;
}

/* Frees the entry when it fails. */
static int add(struct keydir *dir, struct keydir_entry *entry, size_t key_len, unsigned hashed)
{
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, dir->head, entry->key, key_len, hashed, entry);
	if (entry->hh.tbl)
		return 0;
	free(entry);
	return -ENOMEM;
}

int keydir_reserve(struct keydir *dir, struct dwal_bytes key, struct keydir_entry **out)
{
	unsigned hashed = keydir_hash(dir, key);
	struct keydir_entry *entry = find(dir, key, hashed);

	if (usage_reserve(&dir->usage))
		return -ENOMEM;
	if (!entry) {
		entry = new_entry(key);
		if (!entry || add(dir, entry, key.len, hashed))
			return -ENOMEM;
	}
	*out = entry;
	return 0;
}

static uint32_t frame_size(const struct keydir_entry *entry)
{
	return FRAME_OVERHEAD + entry->hh.keylen + entry->value.value_len;
}

void keydir_set(struct keydir *dir, struct keydir_entry *entry, const struct keydir_value *value)
{
	if (has_value(entry))
		usage_take(&dir->usage, entry->value.segment, frame_size(entry));
	else
		dir->live++;
	entry->value = *value;
	usage_add(&dir->usage, entry->value.segment, frame_size(entry));
}

void keydir_clear(struct keydir *dir, struct dwal_bytes key)
{
	struct keydir_entry *entry = find(dir, key, keydir_hash(dir, key));

	if (!entry || !has_value(entry))
		return;
	usage_take(&dir->usage, entry->value.segment, frame_size(entry));
	entry->value = no_value;
	dir->live--;
}

void keydir_prune(struct keydir *dir, struct dwal_bytes key)
{
	struct keydir_entry *entry = find(dir, key, keydir_hash(dir, key));

	if (entry && !has_value(entry))
		drop(dir, entry);
}

static UT_hash_bucket *bucket(const struct keydir *dir, unsigned hashed)
{
	UT_hash_table *table = dir->head->hh.tbl;

	return &table->buckets[hashed & (table->num_buckets - 1)];
}

static void move(struct keydir *dir, const struct moves *moves, unsigned hashed)
{
	UT_hash_handle *hh = bucket(dir, hashed)->hh_head;

	for (; hh; hh = hh->hh_next) {
		struct keydir_entry *entry = ELMT_FROM_HH(dir->head->hh.tbl, hh);
		struct keydir_value *value = &entry->value;

		if (hh->hashv != hashed || value->segment != moves->segment ||
		    value->odd == moves->odd)
			continue;
		value->offset = moves_offset(moves, value->offset);
		value->odd = moves->odd;
	}
}

void keydir_move(struct keydir *dir, const struct moves *moves, size_t i, size_t n)
{
	for (; n && dir->head; i++, n--)
		move(dir, moves, moves->hashes[i]);
}

int keydir_load(struct keydir_loader *loader, struct dwal_bytes key,
		const struct keydir_value *value)
{
	struct keydir_entry *entry = new_entry(key);

	if (!entry)
		return -ENOMEM;
	entry->value = *value;
	entry->hh.keylen = (unsigned)key.len;
	entry->hh.hashv = keydir_hash(loader->dir, key);
	if (loader->dir->head)
		__builtin_prefetch(bucket(loader->dir, entry->hh.hashv));
	loader->waiting[loader->n++] = entry;
	return loader->n == KEYDIR_LOADER_SIZE ? keydir_load_flush(loader) : 0;
}

static int take_in(struct keydir *dir, struct keydir_entry *entry)
{
	struct dwal_bytes key = {entry->key, entry->hh.keylen};
	struct keydir_entry *old = find(dir, key, entry->hh.hashv);

	if (usage_reserve(&dir->usage)) {
		free(entry);
		return -ENOMEM;
	}
	if (!old) {
		if (add(dir, entry, key.len, entry->hh.hashv))
			return -ENOMEM;
		usage_add(&dir->usage, entry->value.segment, frame_size(entry));
		dir->live++;
		return 0;
	}
	keydir_set(dir, old, &entry->value);
	free(entry);
	return 0;
}

int keydir_load_flush(struct keydir_loader *loader)
{
	int err = 0;

	/* the buckets have arrived by now: fetch the first of each chain */
	for (unsigned i = 0; i < loader->n && loader->dir->head; i++) {
		UT_hash_handle *first = bucket(loader->dir, loader->waiting[i]->hh.hashv)->hh_head;

		if (first) {
			__builtin_prefetch(&first->hh_next);
			__builtin_prefetch(&first->hashv);
		}
	}
	for (unsigned i = 0; i < loader->n; i++) {
		if (err)
			free(loader->waiting[i]);
		else
			err = take_in(loader->dir, loader->waiting[i]);
	}
	loader->n = 0;
	return err;
}

struct keydir_entry *keydir_next(const struct keydir *dir, const struct keydir_entry *entry,
				 struct dwal_bytes *key, struct keydir_value *value)
{
	struct keydir_entry *next = entry ? entry->hh.next : dir->head;

	while (next && !has_value(next))
		next = next->hh.next;
	if (next) {
		*key = (struct dwal_bytes){next->key, next->hh.keylen};
		*value = next->value;
	}
	return next;
}
