/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key directory: a map from each live key to the place of its Put, and how
 * much of each segment these are. Pure: knows no file, no lock and no log. Not thread-safe; its
 * user locks.
 *
 * A value is made ready before its record is written, so that nothing can fail any more
 * once the record is in the log. Until it is set, it is not found, not counted and not
 * walked.
 *
 * The memory of keys that are gone is kept for others of their length.
 */
#ifndef DWAL_KEYDIR_H
#define DWAL_KEYDIR_H

#include "datawal.h"
#include "moves.h"
#include "slabs.h"
#include "slots.h"
#include "usage.h"

struct keydir {
	struct slots slots; /* where the entries are */
	struct slabs slabs; /* the entries */
	size_t live;
	uint64_t seed;
	struct usage usage; /* of the live keys' Puts */
};

struct keydir_value {
	uint64_t offset; /* of the frame in its segment */
	uint64_t txid;
	uint32_t segment; /* never UINT32_MAX for a live key */
	uint32_t value_len : 31;
	uint32_t odd : 1; /* the generation of the segment's file that offset is one in */
};

/* seed makes the places in the table unpredictable to whoever chooses keys. */
void keydir_init(struct keydir *dir, uint64_t seed);
void keydir_release(struct keydir *dir);

static inline size_t keydir_len(const struct keydir *dir)
{
	return dir->live;
}

/* The live value of a key, or NULL. Valid until the next change. */
const struct keydir_value *keydir_find(const struct keydir *dir, struct dwal_bytes key);

/* Makes room for the values of n keys, which may all be new, in one segment, which may be
 * new as well. 0 or -ENOMEM. */
int keydir_reserve(struct keydir *dir, size_t n);

/* Makes one of them ready: *ready is to be given to keydir_set() or keydir_cancel(). The
 * memory that keydir_set() needs is fetched meanwhile. 0 or -ENOMEM. */
int keydir_prepare(struct keydir *dir, struct dwal_bytes key, struct slot *ready);
void keydir_set(struct keydir *dir, const struct slot *ready, const struct keydir_value *value);
void keydir_cancel(struct keydir *dir, const struct slot *ready);

/* Takes the value of a key away, if it has one. */
void keydir_remove(struct keydir *dir, struct dwal_bytes key);

/* Has the memory fetched that keydir_remove() begins with. */
void keydir_prefetch(const struct keydir *dir, struct dwal_bytes key);

/* Takes the values of the n keys from i on to where they stand now: those that
 * are values still. */
void keydir_move(struct keydir *dir, const struct moves *moves, size_t i, size_t n);

/* What keys are found by. */
unsigned keydir_hash(const struct keydir *dir, struct dwal_bytes key);

/* Sets and removes many keys in a row while nothing looks at the directory, several
 * times as fast as one by one: the memory that the next few need is fetched while
 * they wait here. A zeroed loader with dir set is ready. */
#define KEYDIR_LOADER_SIZE 32
struct keydir_loader {
	struct keydir *dir;
	unsigned n;
	struct slot waiting[KEYDIR_LOADER_SIZE]; /* made ready, and their values set */
};

/* value NULL: removes it. 0 or -ENOMEM. */
int keydir_load(struct keydir_loader *loader, struct dwal_bytes key,
		const struct keydir_value *value);

/* Takes in what waits: before the directory is used otherwise, and at the
 * end, also after a failure. 0, or -ENOMEM and the rest of it is lost. */
int keydir_load_flush(struct keydir_loader *loader);

/* Walks the live keys in no particular order, but through memory from its beginning
 * to its end: *at is 0 at first. False: there is none any more. key and value are valid
 * until the next change. */
bool keydir_next(const struct keydir *dir, uint32_t *at, struct dwal_bytes *key,
		 struct keydir_value *value);

#endif
