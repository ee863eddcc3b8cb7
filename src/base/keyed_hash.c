/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A multiplication for eight bytes. A checksum with a seed would not do: of
 * two that differ in the seed alone the difference is the same for all names.
 */
#include "keyed_hash.h"

#include <string.h>
#include <sys/random.h>

static uint64_t load(const unsigned char *bytes, size_t len)
{
	uint64_t word = 0;

	memcpy(&word, bytes, len);
	return word;
}

/* The halves of the 128-bit product, one over the other; in 32-bit pieces where the
 * machine has no such type. */
static uint64_t mix(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
	uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
	uint64_t cross = (a >> 32) * (b & UINT32_MAX);
	uint64_t middle = (a & UINT32_MAX) * (b >> 32) + (cross & UINT32_MAX) + (low >> 32);
	uint64_t high = (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32);

	return a * b ^ high;
#endif
}

uint64_t keyed_hash(uint64_t key, const void *bytes, size_t len)
{
	const uint64_t odd = 0x9e3779b97f4a7c15; /* the golden ratio: no pattern in its bits */
	const unsigned char *at = bytes;
	uint64_t state = key;
	size_t left = len;

	for (; left > 8; at += 8, left -= 8)
		state = mix(state ^ load(at, 8), odd);
	if (left > 0)
		state ^= load(at, left);
	return mix(mix(state, odd) ^ len, odd);
}

uint64_t keyed_hash_key(void)
{
	uint64_t key = 0;

	(void)!getrandom(&key, sizeof(key), GRND_NONBLOCK);
	return key;
}
