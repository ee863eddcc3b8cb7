/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Where the records of a rewritten segment stand now. Pure. Not thread-safe;
 * its user locks.
 */
#ifndef DWAL_MOVES_H
#define DWAL_MOVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Records from here on stand there, up to the next run. */
struct moves_run {
	uint64_t from, to; /* offsets */
};

/* Zero with the first two members set is ready. */
struct moves {
	uint32_t segment;
	bool odd; /* the generation that they lead to */
	struct moves_run *runs;
	size_t n, room;
	unsigned *hashes; /* of the keys of these records, as the keydir has them */
	size_t hash_count, hash_room;
};

void moves_release(struct moves *moves);

/* Ascending. 0 or -ENOMEM. */
int moves_add_run(struct moves *moves, uint64_t from, uint64_t to);
int moves_add_hash(struct moves *moves, unsigned hashed);

/* The offset now of a record that was kept. */
uint64_t moves_offset(const struct moves *moves, uint64_t from);

#endif
