/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Going through the frames of one segment with bounded memory. Says what it
 * finds; what that means is decided elsewhere (recover.c).
 */
#ifndef DWAL_SCAN_H
#define DWAL_SCAN_H

#include "datawal.h"
#include "segment.h"

/* Goes through the frames of a segment in order, through one window of bytes
 * that grows only for a record larger than it. */
struct segment_scan {
	struct segment *segment; /* borrowed */
	uint64_t offset;         /* of the next frame; of the damage, once found */
	uint64_t limit;          /* look no further */
	unsigned char *window;
	size_t window_size;
	uint64_t window_start; /* file offset of window[0] */
	size_t window_len;
};

/* Allocates nothing yet. limit: usually segment->end. */
void segment_scan_init(struct segment_scan *scan, struct segment *segment, uint64_t offset,
		       uint64_t limit);
void segment_scan_release(struct segment_scan *scan);

/* Moves the scan, and its window's memory, to another segment. */
void segment_scan_move(struct segment_scan *scan, struct segment *segment, uint64_t offset,
		       uint64_t limit);

/* 0: *record is the next one, valid until the next call. DWAL_END: *status
 * is DWAL_FRAME_OK at the limit, or says what is damaged at scan->offset.
 * -errno. */
int segment_scan_next(struct segment_scan *scan, struct dwal_record *record,
		      enum dwal_frame_status *status);

/* Counts the whole valid frames at or behind offset, at any byte position,
 * none within another. Looks at all the bytes once; checks no more than
 * 256 MiB + 4 times as many by CRC, and stops counting there: hostile bytes
 * cost no more than that. 0 or -errno. */
int segment_count_intact(struct segment *segment, uint64_t offset, uint64_t limit, uint64_t *count);

#endif
