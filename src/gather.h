/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The live values in the order of their keys, many at a time, read in the order in which
 * they lie in the log. Changes nothing.
 */
#ifndef DWAL_GATHER_H
#define DWAL_GATHER_H

#include "kv.h"

struct gathered {
	struct dwal_item item;
	struct dwal_bytes value;
};

struct gather;

/* Of what is live at this moment. 0 or -ENOMEM. */
int gather_open(dwal_kv *kv, struct gather **out);
void gather_close(struct gather *gather); /* takes NULL */

/* The next n of them, valid until the next call: some MiB of frames, or one that is larger.
 * 0, DWAL_END, what kv_read_item() returns, or -ENOMEM. */
int gather_next(struct gather *gather, const struct gathered **out, size_t *n,
		struct dwal_error *error);

#endif
