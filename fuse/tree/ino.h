/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers: which one a key has. The hash is fixed in ATTRIBUTES.md. Pure: no
 * I/O; knows neither nodes nor FUSE.
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

/* What to try, the n-th time, in place of a number that is in use. */
uint64_t ino_instead(uint64_t ino, uint64_t n);

#endif
