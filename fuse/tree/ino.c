/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers: FNV-1a, and a table of numbers alone, so that it grows without
 * a look at any node.
 */
#include "tree/ino.h"

#include <errno.h>
#include <stdlib.h>

#include "hugepage.h"
#include "keyed_hash.h"

#define FNV_PRIME 0x100000001b3u
#define FIRST     1024

/* At most three quarters of the slots are used, and when it has grown by a quarter,
 * three fifths: 11 to 14 bytes a number. */
#define MOST_USED(capacity) ((capacity) / 4 * 3)

uint64_t ino_hash(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * FNV_PRIME;
	return hash;
}

static uint64_t fold(uint64_t hash)
{
	uint64_t ino = (hash ^ hash >> 52) & INO_LAST;

	return ino < INO_FIRST ? ino + INO_FIRST : ino;
}

uint64_t ino_of_hash(uint64_t hash, bool is_dir)
{
	return fold(ino_hash(hash, is_dir ? "d" : "f", 1));
}

void inos_release(struct inos *inos)
{
	free(inos->slots);
	*inos = (struct inos){0};
}

/* The slot where the search for a number begins: in the order of the hashes, so
 * that it grows from the one end to the other. */
static size_t home(const struct inos *inos, uint64_t ino)
{
	uint64_t hash = keyed_hash(inos->hash_key, &ino, sizeof(ino));

	return (size_t)((hash >> 32) * inos->capacity >> 32);
}

static size_t behind(const struct inos *inos, size_t at)
{
	return at + 1 < inos->capacity ? at + 1 : 0;
}

/* The slot that has the number, or the free one that it would have. */
static size_t find(const struct inos *inos, uint64_t ino)
{
	size_t at = home(inos, ino);

	while (inos->slots[at] && inos->slots[at] != ino)
		at = behind(inos, at);
	return at;
}

static int set_capacity(struct inos *inos, size_t capacity)
{
	struct inos larger = *inos;

	larger.capacity = capacity;
	if (capacity > UINT32_MAX)
		return ENOMEM;
	larger.slots = inos->is_patient ? hugepage_zeroed(capacity * sizeof(*larger.slots))
					: calloc(capacity, sizeof(*larger.slots));
	if (!larger.slots)
		return ENOMEM;
	for (size_t i = 0; i < inos->capacity; i++)
		if (inos->slots[i])
			larger.slots[find(&larger, inos->slots[i])] = inos->slots[i];
	free(inos->slots);
	*inos = larger;
	return 0;
}

static size_t capacity_for(size_t count)
{
	return FIRST + count / 3 * 4;
}

int inos_reserve(struct inos *inos, size_t count)
{
	size_t capacity = capacity_for(count);

	return capacity > inos->capacity ? set_capacity(inos, capacity) : 0;
}

void inos_settle(struct inos *inos)
{
	size_t capacity = capacity_for(inos->count);

	if (capacity + capacity / 4 < inos->capacity)
		(void)set_capacity(inos, capacity); /* without memory it stays as it is */
	inos->is_patient = false;
}

void inos_clear(struct inos *inos)
{
	free(inos->slots);
	inos->slots = NULL;
	inos->capacity = inos->count = 0;
}

static int make_room(struct inos *inos)
{
	size_t capacity = inos->capacity;

	if (inos->count < MOST_USED(capacity))
		return 0;
	if (!capacity)
		return set_capacity(inos, FIRST);
	return set_capacity(inos, inos->is_patient ? 2 * capacity : capacity / 4 * 5);
}

void inos_expect(const struct inos *inos, uint64_t ino)
{
	if (inos->capacity)
		__builtin_prefetch(&inos->slots[home(inos, ino)]);
}

int inos_add(struct inos *inos, uint64_t ino)
{
	int r = make_room(inos);
	size_t at;

	if (r)
		return r;
	at = find(inos, ino);
	if (inos->slots[at])
		return EEXIST;
	inos->slots[at] = ino;
	inos->count++;
	return 0;
}

int inos_take(struct inos *inos, uint64_t *ino)
{
	uint64_t wanted = *ino;
	int r = make_room(inos);
	size_t at;

	if (r)
		return r;
	while (inos->slots[at = find(inos, *ino)]) {
		inos->others++;
		*ino = fold(ino_hash(wanted, &inos->others, sizeof(inos->others)));
	}
	inos->slots[at] = *ino;
	inos->count++;
	return 0;
}

/* How far behind one slot another is. */
static size_t distance(const struct inos *inos, size_t from, size_t to)
{
	return to >= from ? to - from : to + inos->capacity - from;
}

/* Moves into the hole what a search from its home would otherwise not reach. */
static void close_hole(struct inos *inos, size_t hole)
{
	for (size_t at = hole; inos->slots[at = behind(inos, at)];) {
		size_t from_home = distance(inos, home(inos, inos->slots[at]), at);

		if (from_home < distance(inos, hole, at))
			continue;
		inos->slots[hole] = inos->slots[at];
		hole = at;
	}
	inos->slots[hole] = 0;
}

void inos_give_back(struct inos *inos, uint64_t ino)
{
	size_t at;

	if (!inos->slots || !ino)
		return;
	at = find(inos, ino);
	if (!inos->slots[at])
		return;
	close_hole(inos, at);
	inos->count--;
}
