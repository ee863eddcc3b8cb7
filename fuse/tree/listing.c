/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Snapshots of directories: two growing arrays, one of entries, one of names.
 */
#include "tree/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Makes room for need elements of this size, at least doubling. */
static int grow(void **array, size_t *capacity, size_t need, size_t element)
{
	size_t more = *capacity ? *capacity : 64;
	void *larger;

	if (need <= *capacity)
		return 0;
	while (more < need)
		more *= 2;
	larger = reallocarray(*array, more, element);
	if (!larger)
		return ENOMEM;
	*array = larger;
	*capacity = more;
	return 0;
}

int listing_add(struct listing *listing, const char *name, uint64_t ino, mode_t type)
{
	size_t len = strlen(name) + 1;

	if (grow((void **)&listing->entries, &listing->capacity, listing->count + 1,
		 sizeof(*listing->entries)) ||
	    grow((void **)&listing->names, &listing->names_capacity, listing->names_len + len, 1))
		return ENOMEM;
	memcpy(listing->names + listing->names_len, name, len);
	listing->entries[listing->count++] = (struct listing_entry){
		.ino = ino, .name_offset = listing->names_len, .type = type & S_IFMT};
	listing->names_len += len;
	return 0;
}

void listing_clear(struct listing *listing)
{
	listing->count = 0;
	listing->names_len = 0;
}

void listing_release(struct listing *listing)
{
	free(listing->entries);
	free(listing->names);
}
