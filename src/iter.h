/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Iteration over a fixed view of a log, whoever made the view.
 */
#ifndef DWAL_ITER_H
#define DWAL_ITER_H

#include "datawal.h"
#include "segment.h"

/* Takes over the views (segment_views_free()), also when it fails. With
 * torn_tail_ends a torn tail in the last of them is the end; otherwise all
 * damage is an error. where is for messages. */
int iter_open(const char *where, struct segment_view *views, size_t n, uint32_t segment,
	      uint64_t offset, bool torn_tail_ends, dwal_iter **out);

#endif
