/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key directory on uthash. One allocation a key: the entry with the key's
 * bytes at its end. Knows no file, no lock and no log.
 */
#include "keydir.h"

#include "frame.h"
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

static uint64_t load(const unsigned char *bytes, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, bytes, len);
	return word;
}

/* The halves of the 128-bit product, one over the other; in 32-bit pieces, as
 * not every machine has such a type. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
	uint64_t cross = (a >> 32) * (b & UINT32_MAX);
	uint64_t middle = (a & UINT32_MAX) * (b >> 32) + (cross & UINT32_MAX) + (low >> 32);
	uint64_t high = (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32);

	return a * b ^ high;
}

/* uthash's own functions take a byte at a time or cannot be seeded. */
static unsigned hash(const struct keydir *dir, struct dwal_bytes key)
{
	const uint64_t odd = 0x9e3779b97f4a7c15; /* the golden ratio: no pattern in its bits */
	const unsigned char *bytes = key.data;
	size_t left = key.len;
	uint64_t state = dir->seed;

	for (; left > 8; bytes += 8, left -= 8)
		state = mix(state ^ load(bytes, 8), odd);
	if (left > 0)
		state ^= load(bytes, left);
	return (unsigned)mix(mix(state, odd) ^ key.len, odd);
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
	struct keydir_entry *entry = find(dir, key, hash(dir, key));

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
	unsigned hashed = hash(dir, key);
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
	struct keydir_entry *entry = find(dir, key, hash(dir, key));

	if (!entry || !has_value(entry))
		return;
	usage_take(&dir->usage, entry->value.segment, frame_size(entry));
	entry->value = no_value;
	dir->live--;
}

void keydir_prune(struct keydir *dir, struct dwal_bytes key)
{
	struct keydir_entry *entry = find(dir, key, hash(dir, key));

	if (entry && !has_value(entry))
		drop(dir, entry);
}

static UT_hash_bucket *bucket(const struct keydir *dir, unsigned hashed)
{
	UT_hash_table *table = dir->head->hh.tbl;

	return &table->buckets[hashed & (table->num_buckets - 1)];
}

int keydir_load(struct keydir_loader *loader, struct dwal_bytes key,
		const struct keydir_value *value)
{
	struct keydir_entry *entry = new_entry(key);

	if (!entry)
		return -ENOMEM;
	entry->value = *value;
	entry->hh.keylen = (unsigned)key.len;
	entry->hh.hashv = hash(loader->dir, key);
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
