/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers: FNV-1a.
 */
#include "tree/ino.h"

#define FNV_PRIME 0x100000001b3u

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

uint64_t ino_instead(uint64_t ino, uint64_t n)
{
	return fold(ino_hash(ino, &n, sizeof(n)));
}
