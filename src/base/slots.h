/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A hash table of numbers, with open addressing: the hash stands beside the number,
 * so that a search looks at nothing else before they agree. Two slots
 * may have the same hash. It grows without a stop: the old table stays until it was
 * moved to the new one, some slots with each reservation. Pure. Not thread-safe; its
 * user locks.
 */
#ifndef DWAL_SLOTS_H
#define DWAL_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Slots of the old table that a reservation moves for each number, at most. Two would do to be done
 * before the new one is full; until then a search may have to look into both. */
#define SLOTS_MOVED 16

/* A table is full when so many sixteenths of it are, and the next is larger by a third:
 * between 9.9 and 13.2 bytes a number, and while it grows 23.0 at most. With the entries, and
 * keys of 16 bytes, the resident memory was 44.1 bytes a key beside them at 10^6, 43.4 at 10^7.
 * Of who is patient it is twice as large: fewer slots are looked at and moved, and while a log
 * of 10^6 keys was read both tables took 0.8 of the processor's time in all.
 */
#define SLOTS_FULL 13

struct slot {
	uint32_t hash;
	uint32_t number; /* 0: empty */
};

/* In the old table: one that was removed. A search goes on over it. */
#define SLOT_GONE UINT32_MAX

struct slots_table {
	struct slot *of;
	size_t size; /* a multiple of 16 */
};

/* Zero is ready. */
struct slots {
	struct slots_table now, old;
	size_t moved;    /* this many of old's first slots */
	size_t n;        /* numbers, in both */
	bool is_patient; /* it grows at once, twice as large, into huge pages, until it is settled
			  */
};

void slots_release(struct slots *slots);

/* Makes room for so many more: 0 or -ENOMEM. Slots that were found move. */
int slots_reserve(struct slots *slots, size_t n);

/* Needs the room. number is neither 0 nor SLOT_GONE. */
void slots_add(struct slots *slots, uint32_t hash, uint32_t number);

/* One that slots_find() gave. Others move. */
void slots_remove(struct slots *slots, struct slot *slot);

/* Moves all that is left, for who has the time: a search looks into one table then. Of who is
 * patient it is no larger than it must be afterwards. */
void slots_settle(struct slots *slots);

/* Whether the number is the one. */
typedef bool (*slots_match_fn)(void *ctx, uint32_t number);

/* Where a search begins: in the order of the hashes, so that one table is moved to the next
 * from the one end to the other. */
static inline size_t slots_home(const struct slots_table *table, uint32_t hash)
{
	return (size_t)((uint64_t)hash * table->size >> 32);
}

static inline size_t slots_behind(const struct slots_table *table, size_t at)
{
	return at + 1 < table->size ? at + 1 : 0;
}

/* Of a table whose first slots, so many, were moved: what they were filled with is passed
 * in one step. */
static inline struct slot *slots_find_in(const struct slots_table *table, size_t moved,
					 uint32_t hash, slots_match_fn match, void *ctx)
{
	size_t i = slots_home(table, hash);

	for (size_t left = table->size - moved; left > 0; left--, i = slots_behind(table, i)) {
		struct slot *slot = &table->of[i = i < moved ? moved : i];

		if (!slot->number)
			break;
		if (slot->hash == hash && slot->number != SLOT_GONE && match(ctx, slot->number))
			return slot;
	}
	return NULL;
}

/* The first slot of that hash whose number matches, or NULL. Asks for each number of
 * that hash, once, up to there. */
static inline struct slot *slots_find(const struct slots *slots, uint32_t hash,
				      slots_match_fn match, void *ctx)
{
	struct slot *found = slots_find_in(&slots->now, 0, hash, match, ctx);

	return found ? found : slots_find_in(&slots->old, slots->moved, hash, match, ctx);
}

/* Has the memory fetched that a search begins with. */
static inline void slots_prefetch(const struct slots *slots, uint32_t hash)
{
	if (slots->now.size)
		__builtin_prefetch(&slots->now.of[slots_home(&slots->now, hash)]);
}

#endif
