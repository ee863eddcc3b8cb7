/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Values that cannot be read any more although the mount is there: a byte on the
 * disk has changed, or it cannot be read. Each is told once and listed for as
 * long as the mount lives; it is that file's trouble alone.
 */
#ifndef FILE_DAMAGE_H
#define FILE_DAMAGE_H

#include "fs.h"

struct damage {
	struct damage *prev,
		*next; /* fs->damage; protected by the tree's lock, the rest is constant */
	uint32_t segment;
	uint64_t offset;
	char reason[64];
	bool by_scrub; /* by reading the segment, not what stands under a key */
	bool has_key;  /* else its name had gone already */
	size_t key_len;
	char key[];
};
#define DAMAGE_LISTED 1000 /* what comes after is counted and told */

/* dwal_value_read() of a node's value. 0 or a positive errno, as the next. Takes the
 * tree's lock. */
int damage_read(struct fs *fs, const struct node *node, dwal_value *value, uint64_t offset,
		void *buffer, size_t n, size_t *got);

/* dwal_kv_get(). */
int damage_get(struct fs *fs, struct dwal_bytes key, void **value, size_t *len);

/* What reading a whole segment has found. Takes the tree's lock. */
void damage_found(struct fs *fs, const struct dwal_error *error);

/* Lists what the open has found and passed; line: what there is to tell of it. False:
 * nothing. Takes the tree's lock. Not for a degraded mount. */
bool damage_passed(struct fs *fs, char *line, size_t size);

/* What was found so far, and how much in all. fn is called under the tree's lock. */
uint64_t damage_each(struct fs *fs, void (*fn)(void *ctx, const struct damage *damage), void *ctx);

void damage_free_all(struct fs *fs);

#endif
