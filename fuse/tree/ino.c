/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers: FNV-1a, and a table of numbers alone, so that it grows without
 * a look at any node.
 */
#include "tree/ino.h"

#include <errno.h>
#include <stdlib.h>

#include "keyed_hash.h"

#define FNV_PRIME  0x100000001b3u
#define FIRST_BITS 10

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

static size_t mask_of(const struct inos *inos)
{
	return ((size_t)1 << inos->bits) - 1;
}

/* The slot where the search for a number begins. */
static size_t home(const struct inos *inos, uint64_t ino)
{
	return keyed_hash(inos->hash_key, &ino, sizeof(ino)) & mask_of(inos);
}

/* The slot that has the number, or the free one that it would have. */
static size_t find(const struct inos *inos, uint64_t ino)
{
	size_t at = home(inos, ino);

	while (inos->slots[at] && inos->slots[at] != ino)
		at = (at + 1) & mask_of(inos);
	return at;
}

static int grow(struct inos *inos)
{
	struct inos larger = *inos;
	size_t old = inos->slots ? mask_of(inos) + 1 : 0;

	larger.bits = old ? inos->bits + 1 : FIRST_BITS;
	larger.slots = calloc(mask_of(&larger) + 1, sizeof(*larger.slots));
	if (!larger.slots)
		return ENOMEM;
	for (size_t i = 0; i < old; i++)
		if (inos->slots[i])
			larger.slots[find(&larger, inos->slots[i])] = inos->slots[i];
	free(inos->slots);
	*inos = larger;
	return 0;
}

int inos_take(struct inos *inos, uint64_t *ino)
{
	uint64_t wanted = *ino;
	size_t at;

	/* at most three quarters full */
	if ((!inos->slots || inos->count >= mask_of(inos) / 4 * 3) && grow(inos))
		return ENOMEM;
	while (inos->slots[at = find(inos, *ino)]) {
		inos->others++;
		*ino = fold(ino_hash(wanted, &inos->others, sizeof(inos->others)));
	}
	inos->slots[at] = *ino;
	inos->count++;
	return 0;
}

/* Moves into the hole what a search from its home would otherwise not reach. */
static void close_hole(struct inos *inos, size_t hole)
{
	size_t mask = mask_of(inos);

	for (size_t at = hole; inos->slots[at = (at + 1) & mask];) {
		size_t from_home = at - home(inos, inos->slots[at]);

		if ((from_home & mask) < ((at - hole) & mask))
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
