/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One segment file: its name, creating and opening it, appending, reading at
 * a place, scanning it with bounded memory. Knows the other segments only as
 * names in a listing, and nothing of recovery policy, locks or keys.
 */
#ifndef DWAL_SEGMENT_H
#define DWAL_SEGMENT_H

#include "datawal.h"
#include "io.h"

#include <stdatomic.h>

#define SEGMENT_NAME_SIZE 16 /* "00000001.dwal" and its NUL, with room */

/* The one pattern of names that an open for writing deletes: *.dwal-tmp.
 * No segment and no side file matches it. Anything half-made in a log
 * directory bears such a name. */
#define TEMP_SUFFIX ".dwal-tmp"

void segment_name(uint32_t id, char out[SEGMENT_NAME_SIZE]);

/* True for exactly eight decimal digits and ".dwal". */
bool segment_parse_name(const char *name, uint32_t *id);

/* True for the name of a side file that holds a segment's torn bytes:
 * NNNNNNNN.dwal.torn-*, and not a temporary file. */
bool segment_is_side_file(const char *name);
bool segment_is_temp_file(const char *name);

/* The ids of the segments in a directory (regular files only), ascending,
 * newly allocated. */
int segment_list(const struct io *io, int dirfd, uint32_t **ids, size_t *n);

/* An open segment file, shared by counting references: whoever holds one may
 * read at any time from any thread, also once the log has moved on or a
 * rewritten file has taken the name. */
struct segment {
	const struct io *io;
	uint32_t id;
	int fd;
	atomic_uint refs;

	/* Owned by the log (under its state lock) or the reader: */
	uint64_t end;     /* behind the last whole record; file size until scanned */
	uint64_t records; /* whole records before end */
};

/* flags: O_RDONLY or O_RDWR. end is the file's size now. One reference. */
int segment_open(const struct io *io, int dirfd, uint32_t id, int flags, struct segment **out);

/* A file by its path, only read: a segment or a side file, its id the number
 * that its name begins with, or 0. -EINVAL: not a regular file. */
int segment_open_file(const struct io *io, const char *path, struct segment **out);

/* A new, empty file; -EEXIST when the name is taken. Neither the file nor the
 * directory is synced. */
int segment_create(const struct io *io, int dirfd, uint32_t id, struct segment **out);

struct segment *segment_ref(struct segment *segment);

/* Gives a reference back; the last one closes the file. Takes NULL. The
 * -errno of that close, or 0. */
int segment_unref(struct segment *segment);

/* Reads exactly len bytes. 0, -errno, or 1 when the file ends before. */
int segment_read(struct segment *segment, uint64_t offset, void *buffer, size_t len);

/* Checks the frame at offset, whose bytes end before limit at the latest,
 * reading it piece by piece into buffer (at least 4096 bytes). The frame's
 * decode status goes to *status; on DWAL_FRAME_OK *out is filled in, but for
 * the data pointers, which are NULL (the lengths are set). 0 or -errno. */
int segment_check(struct segment *segment, uint64_t offset, uint64_t limit, void *buffer,
		  size_t size, struct dwal_record *out, enum dwal_frame_status *status);

/* Reads, decodes and CRC-checks the frame of length bytes at offset into
 * buffer, which has room for it; out points into buffer. 0 with *status, or
 * -errno. A file too short, or a frame of another length, is
 * DWAL_TRUNCATED. */
int segment_read_frame(struct segment *segment, uint64_t offset, uint32_t length, void *buffer,
		       struct dwal_record *out, enum dwal_frame_status *status);

/* A segment and how much of it belongs to the log at some moment. */
struct segment_view {
	struct segment *segment; /* a reference */
	uint64_t end;
	uint64_t records; /* 0 where not known */
};

/* Gives n references back and frees the array. Takes NULL. */
void segment_views_free(struct segment_view *views, size_t n);

#endif
