/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The hash for tables of names that somebody else chooses. Who does not know
 * the key finds no names that meet in one place. Pure.
 */
#ifndef KEYED_HASH_H
#define KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Every bit of it depends on every bit of the key and of the bytes; it is not the
 * same on every machine. Of names in a directory: the hash of the directory is
 * the key. */
uint64_t keyed_hash(uint64_t key, const void *bytes, size_t len);

/* A key for this process, drawn at random. Where there is no randomness yet,
 * tables work all the same, and what was chosen to collide does. */
uint64_t keyed_hash_key(void);

#endif
