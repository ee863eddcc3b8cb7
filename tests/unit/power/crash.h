/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a power cut may leave of a disk: for each name, each size and each
 * sector, by itself, what was synced last or what it has become since.
 */
#ifndef POWER_CRASH_H
#define POWER_CRASH_H

#include "disk.h"

#define CRASH_SLOTS 512

enum crash_what { CRASH_NAME, CRASH_SIZE, CRASH_SECTOR };

/* One thing that is not durable. Choice 0 is what is. */
struct crash_slot {
	enum crash_what what;
	unsigned choices;
	unsigned at;   /* the name's first change; the file's inode */
	size_t sector; /* of that file */
};

struct crash {
	const struct disk *disk;
	struct crash_slot slots[CRASH_SLOTS];
	size_t n;
	uint64_t states;
	bool all;      /* each combination is among the states; else a sample */
	uint64_t seed; /* of the sample */
};

/* most: so many states are all enumerated, of more that many are sampled, the
 * extreme ones first. */
void crash_begin(struct crash *crash, const struct disk *disk, uint64_t most, uint64_t seed);

/* The i-th state, as a disk with nothing pending; i < crash->states. 0: only
 * what is durable. */
void crash_state(const struct crash *crash, uint64_t i, struct disk *out);

#endif
