/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a record of unfinished content begins with: ATTRIBUTES.md. Pure.
 */
#ifndef UNFINISHED_HEAD_H
#define UNFINISHED_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "datawal.h"

#define UNFINISHED_KEY   "datawalfs.unfinished"
#define UNFINISHED_FIRST UNFINISHED_KEY " 1\n"

/* The digits of the longest key. */
#define UNFINISHED_KEY_DIGITS ((DWAL_MAX_KEY + 2) / 3 * 4)

struct unfinished_head {
	struct dwal_bytes digits;   /* the key's, in base64; within the record */
	uint64_t size, begin, part; /* of the whole; of this part in it, and its length */
};

/* False: not such a record. Whether the digits are base64 is seen by whoever
 * decodes them. */
bool unfinished_head_parse(const struct dwal_record *record, struct unfinished_head *out);

#endif
