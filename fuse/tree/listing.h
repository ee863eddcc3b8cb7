/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A snapshot of the entries of .log, taken when it is read from its start. The
 * other directories need none: children.h. Pure.
 */
#ifndef LISTING_H
#define LISTING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct listing_entry {
	uint64_t ino;       /* as in stat */
	size_t name_offset; /* into names, NUL-terminated */
	mode_t type;        /* S_IFMT bits */
};

struct listing {
	struct listing_entry *entries;
	size_t count, capacity;
	char *names;
	size_t names_len, names_capacity;
};

/* Adds one entry; name is copied. 0 or ENOMEM. */
int listing_add(struct listing *listing, const char *name, uint64_t ino, mode_t type);

/* Forgets all entries, keeping the memory. */
void listing_clear(struct listing *listing);

/* Frees the contents, not the object. */
void listing_release(struct listing *listing);

static inline const char *listing_name(const struct listing *listing, size_t i)
{
	return listing->names + listing->entries[i].name_offset;
}

#endif
