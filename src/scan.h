/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Going through the frames of one segment with bounded memory. Says what it
 * finds; what that means is decided elsewhere (recover.c).
 */
#ifndef DWAL_SCAN_H
#define DWAL_SCAN_H

#include "datawal.h"
#include "segment.h"

/* Small enough to stay in the CPU's cache, large enough for few calls. */
#define SEGMENT_WINDOW_SIZE (256u << 10)

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

/* The same, but the window does not grow: of a record that is larger the payload's data
 * is NULL. */
int segment_scan_next_bounded(struct segment_scan *scan, struct dwal_record *record,
			      enum dwal_frame_status *status);

/* The frame of the record that was just given, as it stands in the file. */
const void *segment_scan_frame(const struct segment_scan *scan, const struct dwal_record *record);

/* Where the window can be so large without more memory, makes it hold so many
 * bytes behind *record, the one just given, which is read again where it must
 * be. As segment_scan_next(). */
int segment_scan_hold(struct segment_scan *scan, uint64_t behind, struct dwal_record *record,
		      enum dwal_frame_status *status);

/* Begins another scan at the place where one is, with at most len bytes of what
 * its window holds: these are not read from the file again. 0 or -ENOMEM. */
int segment_scan_ahead(struct segment_scan *ahead, const struct segment_scan *scan, uint64_t len);

/* The same, but for all data pointers, which are NULL. Of a frame that begins before checked
 * only the fixed part and the stored CRC are read: it was found valid before. */
int segment_scan_check(struct segment_scan *scan, uint64_t checked, struct dwal_record *record,
		       enum dwal_frame_status *status);

/* Finds the whole valid frames at or behind an offset, at any byte position,
 * none within another. Looks at all the bytes once; checks no more than
 * 256 MiB + 4 times as many by CRC, and ends there: hostile bytes cost no
 * more than that. */
struct segment_search {
	struct segment_scan scan;
	uint64_t budget;       /* bytes that may still be checked by CRC */
	bool ended_early;      /* since nothing was left of it */
	unsigned char *buffer; /* for frames larger than the window: SEGMENT_WINDOW_SIZE */
};

/* 0 or -ENOMEM; to be released also then. */
int segment_search_init(struct segment_search *search, struct segment *segment, uint64_t offset,
			uint64_t limit);
void segment_search_release(struct segment_search *search);

/* 0: *record is the next one, but for the data pointers, which are NULL.
 * DWAL_END, -errno. */
int segment_search_next(struct segment_search *search, struct dwal_record *record);

#endif
