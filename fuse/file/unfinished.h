/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What was written over a value and not finished when the mount ended: kept
 * beside the value in Raw records, whose format is in ATTRIBUTES.md, and named
 * by the next mount. Knows the log and stages, not requests.
 */
#ifndef UNFINISHED_H
#define UNFINISHED_H

#include <uthash.h>

#include "file/stage.h"

/* A part of such content, found in the log while it was opened. */
struct unfinished {
	UT_hash_handle hh; /* by key; a key can have several parts */
	uint32_t segment;
	uint64_t txid;              /* of the record */
	uint64_t size, begin, part; /* of the whole; of this part in it, and its length */
	size_t key_len;
	unsigned char key[];
};

/* Puts what is staged into the log as such records, and gives the staging up.
 * Nothing must write to it any more. 0 or a positive errno: then nothing has
 * changed. Wants no lock. */
int unfinished_keep(struct fs *fs, struct stage *stage);

/* One record of the log while it is opened: fs->unfinished has the parts whose
 * key no later record has written or removed. 0 or -ENOMEM. */
int unfinished_replay(struct fs *fs, const struct dwal_record *record);

void unfinished_free(struct fs *fs);

#endif
