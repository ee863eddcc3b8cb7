/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Keys and file names: a bijection. A key is cut into components at its
 * separators; each component becomes one file name, escaped where a file name
 * cannot hold it. Pure: no I/O, no allocation, no recursion; knows neither
 * the tree nor FUSE. Which names exist, and whether a key needs the suffix
 * `\value`, is the tree's business.
 *
 * Separators. A '/' at index i of a key of n bytes separates two components
 * iff 0 < i < n - 1 and key[i - 1] is not '/'. Every other '/' belongs to a
 * component and is escaped there. So no component is empty but the one of
 * the empty key; '/' stands in a component only as a run at its start, or as
 * one byte at the end of the last component; and components joined with '/'
 * give the key again.
 *
 * Full form. The full form of a component has
 *   NUL, '/', '\\'                            as \x00, \x2f, \x5c
 *   the '.' that "." , ".." and a first ".log" begin with   as \x2e
 *   the empty key                             as \empty
 * A component shows in its full form if it cannot be a file name as it is, or
 * would mean something else: it contains NUL or '/', is ".", "..", ".log" as
 * the first one, or of no bytes, or ends in `\value`. Or if it is itself the
 * full form of a component that shows in full form. Any other shows as it is.
 * So the rule looks at one component alone; a name that is the full form of a
 * component that shows in full form is that component, any other is itself.
 *
 * To follow the rule through its second part, take the full form away until the
 * answer is known. Each time every '\' loses one "x5c" behind it. So what counts
 * is what stands where the fewest are: escapes of the first kind, or `\value`.
 *
 * The long form. A component whose form, full or as it is, has more than 255
 * bytes, `\value` counted where it is asked for, is written as
 *   prefix  `\long-`  32 digits
 * The digits, lower-case hexadecimal, highest first, are the 128-bit FNV-1a
 * hash of the whole form, `\value` included where it is asked for
 * (Fowler, Noll, Vo, Eastlake: The FNV Non-Cryptographic Hash Algorithm,
 * draft-eastlake-fnv; prime 2^88 + 2^8 + 0x3b, offset basis
 * 0x6c62272e07bb014262b821756295c58d). The prefix is as much of the form
 * as 217 bytes hold, in whole units: an escape, a well-formed UTF-8 character
 * (RFC 3629), or else one byte. It ends before the first unit that does not
 * fit. So such a name has 252 to 255 bytes, and the raw component cannot be told
 * from it: the tree keeps that. It is also the name of the component that it
 * spells, and two components made to collide have one: the tree must see that.
 */
#ifndef FUSE_NAME_H
#define FUSE_NAME_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Room for one file name and its NUL, or for the raw component of a short one. */
#define NAME_SIZE (NAME_MAX + 1)

/* What marks the file of a key that is also a directory's path. */
#define NAME_VALUE_SUFFIX "\\value"

/* One component of a key: raw bytes, borrowed from the key, not terminated. */
struct name_part {
	const char *raw;
	size_t len;
	bool first; /* nothing stands before it */
	bool last;  /* nothing behind it: the key's own entry, not a directory above it */
};

/* The component at *cursor, which is 0 for the first call and is moved on.
 * False when there is none left. The empty key has one, of no bytes. After
 * each call the first part->raw + part->len - key bytes of the key are the
 * key of that entry: of the directory, unless part->last. */
bool name_next(const void *key, size_t key_len, size_t *cursor, struct name_part *part);

/* What name_encode() returns for a name in the long form. */
#define NAME_IS_LONG 1

/* The file name of a component, NUL-terminated; with value_suffix the name
 * that it has beside a directory of the same key. part must be one that
 * name_next() gives (or raw bytes that name_decode() gave); part->last is not
 * looked at. Never fails: 0, or NAME_IS_LONG when the name is the long form,
 * that name_decode() cannot undo. Takes time by the length of part, which may
 * be a whole key; one component may be long with value_suffix and not without. */
int name_encode(const struct name_part *part, bool value_suffix, char name[NAME_SIZE]);

enum name_use {
	NAME_FILE, /* the last component of a path that names a file */
	NAME_DIR,  /* a directory: an inner component, mkdir, rename of one */
};

/* The raw component of a file name, the inverse of name_encode() but for the
 * long form: raw (not terminated) and its length, and whether it is the value
 * beside a directory, by the suffix `\value` (only with NAME_FILE). first: the
 * name stands in the root directory. raw_len 0 is the empty key (`\empty`, first,
 * NAME_FILE).
 * 0; -ENAMETOOLONG when the name is over NAME_MAX bytes; -EINVAL for one that
 * no component has: "", ".", "..", ".log" when first; with NAME_DIR also what
 * ends in `\value`, and the full form of the empty key or of what ends in '/';
 * with NAME_FILE the suffix `\value` behind any of these. */
int name_decode(const char *name, bool first, enum name_use use, char raw[NAME_SIZE],
		size_t *raw_len, bool *value_suffix);

#endif
