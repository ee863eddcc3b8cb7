/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers: which one a key has, and the set of those in use. The hash is
 * fixed in ATTRIBUTES.md. Pure: no I/O; knows neither nodes nor FUSE.
 */
#ifndef TREE_INO_H
#define TREE_INO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attr.h"

/* The root's. Others are from INO_FIRST to INO_LAST, those of .log have the bit
 * INO_FOREIGN. */
#define INO_ROOT 1

/* The hash of no bytes, and of more bytes behind those of a hash: a path can be
 * hashed in pieces. */
#define INO_HASH_START 0xcbf29ce484222325u
uint64_t ino_hash(uint64_t hash, const void *bytes, size_t len);

/* The number of the directory, or of the file, whose path has this hash. */
uint64_t ino_of_hash(uint64_t hash, bool is_dir);

/* Numbers in use. All zero is the empty set. Its functions want the tree's
 * lock. */
struct inos {
	uint64_t *slots; /* a hash table with linear probing; 0: free */
	size_t capacity; /* slots */
	size_t count;
	uint64_t hash_key; /* of the table: the log can tell any numbers */
	uint64_t others;   /* numbers drawn for one that was in use */
	bool is_patient;   /* it grows twice as large, into huge pages, until it is settled */
};

void inos_release(struct inos *inos);

/* Room for so many, which spares its growth. 0 or ENOMEM. */
int inos_reserve(struct inos *inos, size_t count);

/* It will be looked for soon: has its memory fetched. */
void inos_expect(const struct inos *inos, uint64_t ino);

/* Adds *ino, from INO_FIRST to INO_LAST; when that is in use, another, which is
 * *ino from then on. O(1), but for the growth of the table. 0 or ENOMEM. */
int inos_take(struct inos *inos, uint64_t *ino);

/* The same, but nothing is drawn: EEXIST. */
int inos_add(struct inos *inos, uint64_t ino);

/* They have come: it is no larger than it must be. */
void inos_settle(struct inos *inos);

/* Makes it the empty set. */
void inos_clear(struct inos *inos);

/* Removes one, if it is there. */
void inos_give_back(struct inos *inos, uint64_t ino);

#endif
