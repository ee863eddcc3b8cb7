/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From the old offsets of a segment to the new. Must not know what stands
 * there.
 */
#include "moves.h"

#include <errno.h>
#include <stdlib.h>

void moves_release(struct moves *moves)
{
	free(moves->runs);
	free(moves->hashes);
	*moves = (struct moves){0};
}

int moves_add_run(struct moves *moves, uint64_t from, uint64_t to)
{
	const struct moves_run *last = moves->n ? &moves->runs[moves->n - 1] : NULL;
	size_t room = moves->room ? 2 * moves->room : 64;
	struct moves_run *grown;

	if (last && from - last->from == to - last->to)
		return 0; /* it goes on */
	if (moves->n == moves->room) {
		grown = reallocarray(moves->runs, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		moves->runs = grown;
		moves->room = room;
	}
	moves->runs[moves->n++] = (struct moves_run){from, to};
	return 0;
}

int moves_add_hash(struct moves *moves, unsigned hashed)
{
	size_t room = moves->hash_room ? 2 * moves->hash_room : 256;
	unsigned *grown;

	if (moves->hash_count == moves->hash_room) {
		grown = reallocarray(moves->hashes, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		moves->hashes = grown;
		moves->hash_room = room;
	}
	moves->hashes[moves->hash_count++] = hashed;
	return 0;
}

uint64_t moves_offset(const struct moves *moves, uint64_t from)
{
	size_t low = 0, high = moves->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (moves->runs[middle].from <= from)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? moves->runs[low - 1].to + (from - moves->runs[low - 1].from) : from;
}
