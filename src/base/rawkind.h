/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the records of a mount are to a compaction in place: ATTRIBUTES.md.
 */
#ifndef BASE_RAWKIND_H
#define BASE_RAWKIND_H

#include "datawal.h"

/* A dwal_raw_kind_fn; ctx is not used. */
enum dwal_raw_kind raw_kind(void *ctx, const struct dwal_record *record);

#endif
