/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key directory: a table of slots, which lead to entries in slabs. Knows no file,
 * no lock and no log.
 */
#include "keydir.h"

#include "frame.h"
#include "keyed_hash.h"
#include "util.h"

#include <assert.h>
#include <errno.h>

struct keydir_entry {
	struct keydir_value value;
	uint32_t key_len;
	unsigned char key[];
};

#define ENTRY_SIZE (offsetof(struct keydir_entry, key))

static_assert(ENTRY_SIZE + DWAL_MAX_KEY <= SLABS_MAX, "an entry is a chunk");
static_assert(ENTRY_SIZE > SLABS_UNIT, "SLOT_GONE is no entry: none begins in the last unit");

/* The value of an entry that is not in the table: it is free, or made ready. Segment 0 is
 * one like any other. */
static const struct keydir_value no_value = {.segment = UINT32_MAX};

static bool has_value(const struct keydir_entry *entry)
{
	return entry->value.segment != no_value.segment;
}

unsigned keydir_hash(const struct keydir *dir, struct dwal_bytes key)
{
	return (unsigned)keyed_hash(dir->seed, key.data, key.len);
}

static struct keydir_entry *entry_at(const struct keydir *dir, uint32_t number)
{
	return slabs_at(&dir->slabs, number);
}

static struct dwal_bytes key_of(const struct keydir_entry *entry)
{
	return (struct dwal_bytes){entry->key, entry->key_len};
}

struct search {
	const struct keydir *dir;
	struct dwal_bytes key;
};

static bool has_key(void *ctx, uint32_t number)
{
	const struct search *search = ctx;
	const struct keydir_entry *entry = entry_at(search->dir, number);

	return entry->key_len == search->key.len &&
	       (!entry->key_len || memcmp(entry->key, search->key.data, entry->key_len) == 0);
}

static struct slot *find(const struct keydir *dir, struct dwal_bytes key, unsigned hashed)
{
	struct search search = {dir, key};

	return slots_find(&dir->slots, hashed, has_key, &search);
}

/* Its number, or 0. It is in no slot yet. */
static uint32_t new_entry(struct keydir *dir, struct dwal_bytes key)
{
	uint32_t number = slabs_alloc(&dir->slabs, ENTRY_SIZE + key.len);

	if (number) {
		struct keydir_entry *entry = entry_at(dir, number);

		entry->value = no_value;
		entry->key_len = (uint32_t)key.len;
		put_bytes(entry->key, key);
	}
	return number;
}

static void free_entry(struct keydir *dir, uint32_t number)
{
	struct keydir_entry *entry = entry_at(dir, number);

	entry->value = no_value; /* a walk passes it */
	slabs_free(&dir->slabs, number, ENTRY_SIZE + entry->key_len);
}

void keydir_init(struct keydir *dir, uint64_t seed)
{
	*dir = (struct keydir){.seed = seed};
}

void keydir_release(struct keydir *dir)
{
	slots_release(&dir->slots);
	slabs_release(&dir->slabs);
	dir->live = 0;
	usage_release(&dir->usage);
}

const struct keydir_value *keydir_find(const struct keydir *dir, struct dwal_bytes key)
{
	struct slot *slot = find(dir, key, keydir_hash(dir, key));

	return slot ? &entry_at(dir, slot->number)->value : NULL;
}

int keydir_reserve(struct keydir *dir, size_t n)
{
	return usage_reserve(&dir->usage) || slots_reserve(&dir->slots, n) ? -ENOMEM : 0;
}

int keydir_prepare(struct keydir *dir, struct dwal_bytes key, struct slot *ready)
{
	const struct slot slot = {keydir_hash(dir, key), new_entry(dir, key)};

	if (!slot.number)
		return -ENOMEM;
	slots_prefetch(&dir->slots, slot.hash);
	*ready = slot;
	return 0;
}

void keydir_cancel(struct keydir *dir, const struct slot *ready)
{
	free_entry(dir, ready->number);
}

static uint32_t frame_size(const struct keydir_entry *entry)
{
	return FRAME_OVERHEAD + entry->key_len + entry->value.value_len;
}

static void set_value(struct keydir *dir, struct keydir_entry *entry,
		      const struct keydir_value *value)
{
	entry->value = *value;
	usage_add(&dir->usage, value->segment, frame_size(entry));
	dir->live++;
}

static void clear(struct keydir *dir, struct keydir_entry *entry)
{
	usage_take(&dir->usage, entry->value.segment, frame_size(entry));
	dir->live--;
}

/* A new key keeps the entry that was made ready, an old one its own. */
void keydir_set(struct keydir *dir, const struct slot *ready, const struct keydir_value *value)
{
	struct keydir_entry *entry = entry_at(dir, ready->number);
	struct slot *slot = find(dir, key_of(entry), ready->hash);

	if (slot) {
		struct keydir_entry *old = entry_at(dir, slot->number);

		clear(dir, old);
		set_value(dir, old, value);
		free_entry(dir, ready->number);
	} else {
		slots_add(&dir->slots, ready->hash, ready->number);
		set_value(dir, entry, value);
	}
}

static void remove_hashed(struct keydir *dir, struct dwal_bytes key, unsigned hashed)
{
	struct slot *slot = find(dir, key, hashed);
	uint32_t number;

	if (!slot)
		return;
	number = slot->number;
	clear(dir, entry_at(dir, number));
	slots_remove(&dir->slots, slot);
	free_entry(dir, number);
}

void keydir_remove(struct keydir *dir, struct dwal_bytes key)
{
	remove_hashed(dir, key, keydir_hash(dir, key));
}

void keydir_prefetch(const struct keydir *dir, struct dwal_bytes key)
{
	slots_prefetch(&dir->slots, keydir_hash(dir, key));
}

struct mover {
	struct keydir *dir;
	const struct moves *moves;
};

/* No entry is the last one: several keys can have the same hash. */
static bool move_value(void *ctx, uint32_t number)
{
	const struct mover *mover = ctx;
	const struct moves *moves = mover->moves;
	struct keydir_value *value = &entry_at(mover->dir, number)->value;

	if (value->segment == moves->segment && value->odd != moves->odd) {
		value->offset = moves_offset(moves, value->offset);
		value->odd = moves->odd;
	}
	return false;
}

void keydir_move(struct keydir *dir, const struct moves *moves, size_t i, size_t n)
{
	struct mover mover = {dir, moves};

	for (size_t k = i; k < i + n; k++)
		slots_prefetch(&dir->slots, moves->hashes[k]);
	for (; n; i++, n--)
		(void)slots_find(&dir->slots, moves->hashes[i], move_value, &mover);
}

/* Has the memory of an entry fetched that may be the one; none is. */
static bool fetch(void *ctx, uint32_t number)
{
	__builtin_prefetch(entry_at(ctx, number));
	return false;
}

/* Needs the room. */
static void take_in(struct keydir *dir, const struct slot *waiting)
{
	struct keydir_entry *entry = entry_at(dir, waiting->number);
	const struct keydir_value value = entry->value;

	if (has_value(entry)) {
		keydir_set(dir, waiting, &value);
		return;
	}
	remove_hashed(dir, key_of(entry), waiting->hash);
	keydir_cancel(dir, waiting);
}

/* The slots have arrived by now. */
static int take_in_all(struct keydir_loader *loader)
{
	struct keydir *dir = loader->dir;
	int err = 0;

	for (unsigned i = 0; i < loader->n; i++)
		(void)slots_find(&dir->slots, loader->waiting[i].hash, fetch, dir);
	for (unsigned i = 0; i < loader->n; i++) {
		if (!err)
			err = keydir_reserve(dir, 1);
		if (!err)
			take_in(dir, &loader->waiting[i]);
		else
			keydir_cancel(dir, &loader->waiting[i]);
	}
	loader->n = 0;
	return err;
}

/* Nobody waits for a single key then. */
static void be_patient(struct keydir *dir, bool is)
{
	dir->slots.is_patient = dir->slabs.is_patient = is;
}

/* What is to be removed waits in an entry without a value. */
int keydir_load(struct keydir_loader *loader, struct dwal_bytes key,
		const struct keydir_value *value)
{
	struct slot *waiting = &loader->waiting[loader->n];
	int err;

	be_patient(loader->dir, true);
	err = keydir_prepare(loader->dir, key, waiting);
	if (err)
		return err;
	if (value)
		entry_at(loader->dir, waiting->number)->value = *value;
	return ++loader->n == KEYDIR_LOADER_SIZE ? take_in_all(loader) : 0;
}

int keydir_load_flush(struct keydir_loader *loader)
{
	int err = take_in_all(loader);

	slots_settle(&loader->dir->slots);
	be_patient(loader->dir, false);
	return err;
}

bool keydir_next(const struct keydir *dir, uint32_t *at, struct dwal_bytes *key,
		 struct keydir_value *value)
{
	const struct keydir_entry *entry = NULL;

	do {
		size_t size = *at ? ENTRY_SIZE + entry_at(dir, *at)->key_len : 0;

		*at = slabs_next(&dir->slabs, *at, size);
		entry = *at ? entry_at(dir, *at) : NULL;
	} while (entry && !has_value(entry));
	if (!entry)
		return false;
	*key = key_of(entry);
	*value = entry->value;
	return true;
}
