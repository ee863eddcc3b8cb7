/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One segment file: its name, creating and opening it, appending, reading at
 * a place, scanning it with bounded memory. Knows the other segments only as
 * names in a listing, and nothing of recovery policy, locks or keys.
 */
#ifndef DWAL_SEGMENT_H
#define DWAL_SEGMENT_H

#include "datawal.h"
#include "file.h"
#include "io.h"

#include <pthread.h>
#include <stdatomic.h>

/* The ids of the segments in a directory, ascending, newly allocated. One that
 * is no regular file is DWAL_ENOTFILE: passed over, its keys would vanish.
 * dir is for messages. */
int segment_list(const struct io *io, int dirfd, const char *dir, uint32_t **ids, size_t *n,
		 struct dwal_error *error);

/* Says which segment is DWAL_ENOTFILE; returns that. */
int segment_not_a_file(const char *dir, uint32_t id, struct dwal_error *error);

/* What a new file in the directory is to be like: the newest of the n segments,
 * or without one the directory. To be given back with file_like_release(). */
int segment_like(const struct io *io, int dirfd, const uint32_t *ids, size_t n,
		 struct file_like *out);

/* An open segment file, shared by counting references: whoever holds one may
 * read at any time from any thread, also once the log has moved on or a
 * rewritten file has taken the name. */
struct segment {
	const struct io *io;
	uint32_t id;
	uint32_t generation; /* fixed; see struct dwal_place */
	int fd; /* where it has a pool, to be used between segment_enter() and segment_leave() */
	atomic_uint refs;
	dev_t dev; /* the file's identity */
	ino_t ino;

	/* A writer's, segment_pool.c; the pool is NULL where fd stays open. */
	struct segment_pool *pool;
	atomic_uint readers;  /* enter() without leave(); one more for good when another file has
			       * taken the name: whoever has this keeps it */
	atomic_bool was_read; /* since it was opened or passed over */
	struct segment *prev, *next; /* the open ones; protected by the pool's lock, as all that */
	bool is_sealed;
	uint64_t sealed_size;
	struct timespec sealed_mtime, sealed_ctime;

	bool is_tolerant; /* what cannot be read is zeros; set before it is shared */

	/* Owned by the log (under its state lock) or the reader: */
	uint64_t end;     /* behind the last whole record; file size until scanned */
	uint64_t records; /* whole records before end */
	bool by_index;    /* an index file told its records: not read by the open; constant then */
	uint32_t index_crc; /* of what it told: index_crc_add() of all records */
};

#define SEGMENTS_OPEN 128 /* sealed ones of a log at most, unless more are being read */

struct segment_pool {
	const struct io *io;
	int dirfd; /* borrowed */
	pthread_mutex_t lock;
	struct segment *open; /* sealed and open, opened or passed over last first (DL list) */
	atomic_uint count;    /* of those; changed under the lock */
};

/* Outlives its segments. */
void segment_pool_init(struct segment_pool *pool, const struct io *io, int dirfd);
void segment_pool_release(struct segment_pool *pool);

/* Gives back a descriptor that is not in use, if rc says that there is none
 * left. False: it says something else, or all are in use. */
bool segment_pool_spare(struct segment_pool *pool, int rc);

/* A sealed segment, which is not opened until it is read; then it must be the
 * file that it is now. DWAL_ENOTFILE, -errno. */
int segment_find_sealed(struct segment_pool *pool, uint32_t id, struct segment **out);

/* One that is to take the name of another: to be sealed when it has it. All of
 * its file, which is open at *fd and taken over, is whole. NULL: no memory, or
 * the file cannot be looked at. */
struct segment *segment_rewritten(const struct segment *old, int *fd);

/* Makes an open segment one of the pool's that stays open until it is sealed:
 * nothing is appended to it any more. */
void segment_keep_open(struct segment *segment, struct segment_pool *pool);
void segment_seal(struct segment *segment);

/* Between the two fd is open, unless the segment is empty. 0 or -errno: -EIO
 * where the name does not lead any more to the file that was sealed. */
int segment_enter(struct segment *segment);
void segment_leave(struct segment *segment);

/* For segment.c alone: the last reference is gone. */
void segment_forget(struct segment *segment);

/* One reference, no file. NULL: out of memory. */
struct segment *segment_new(const struct io *io, uint32_t id);

/* flags: O_RDONLY or O_RDWR. end is the file's size now. One reference. */
int segment_open(const struct io *io, int dirfd, uint32_t id, int flags, struct segment **out);

/* A file by its path, only read: a segment or a side file, its id the number
 * that its name begins with, or 0. -EINVAL: not a regular file. */
int segment_open_file(const struct io *io, const char *path, struct segment **out);

/* A side file of that segment, by its name in the directory: the same, only read. */
int segment_open_side(const struct io *io, int dirfd, uint32_t id, const char *name,
		      struct segment **out);

/* A new, empty file; -EEXIST when the name is taken. Neither the file nor the
 * directory is synced. */
int segment_create(const struct io *io, int dirfd, uint32_t id, const struct file_like *like,
		   struct segment **out);

/* What is open at *fd, which is taken over, and is to have that id. */
int segment_of_file(const struct io *io, uint32_t id, int *fd, struct segment **out);

struct segment *segment_ref(struct segment *segment);

/* The one of that id among n, which ascend, with a reference; NULL: none. */
struct segment *segment_find(struct segment *const *segments, size_t n, uint32_t id);

/* Gives a reference back; the last one closes the file. Takes NULL. The
 * -errno of that close, or 0. */
int segment_unref(struct segment *segment);

/* Another descriptor of its file, for the caller; DWAL_ABSENT for a reader's
 * empty one, which has none. As segment_enter(). */
int segment_dup(struct segment *segment, int *fd);

/* Reads n bytes, or what there is before the end of the file. */
int segment_pread(struct segment *segment, void *buffer, size_t n, uint64_t offset, size_t *got);

/* Reads exactly len bytes. 0, -errno, or 1 when the file ends before. */
int segment_read(struct segment *segment, uint64_t offset, void *buffer, size_t len);

/* Goes on with *crc over n bytes, read piece by piece into buffer, round and round: where
 * they fit they are all there. 0, 1 when the file ends before, or -errno. */
int segment_crc(struct segment *segment, uint64_t offset, uint64_t n, void *buffer, size_t size,
		uint32_t *crc);

/* Reads, decodes and CRC-checks the frame of length bytes at offset into
 * buffer, which has room for it; out points into buffer. 0 with *status, or
 * -errno. A file too short, or a frame of another length, is
 * DWAL_TRUNCATED. */
int segment_read_frame(struct segment *segment, uint64_t offset, uint32_t length, void *buffer,
		       struct dwal_record *out, enum dwal_frame_status *status);

struct segment_area {
	void *bytes;
	size_t len;
};

/* The same into two buffers: head for the header at least and what follows it, of what
 * comes then, but for the CRC, rest holds as much as it can, see segment_crc(). Reads each
 * byte once. The data pointers of out are NULL, its lengths are set. What is in the buffers
 * is good with DWAL_FRAME_OK alone. */
int segment_read_apart(struct segment *segment, uint64_t offset, uint32_t length,
		       struct segment_area head, struct segment_area rest, struct dwal_record *out,
		       enum dwal_frame_status *status);

/* A segment and how much of it belongs to the log at some moment. */
struct segment_view {
	struct segment *segment; /* a reference */
	uint64_t end;
	uint64_t records; /* 0 where not known */
};

/* Gives n references back and frees the array. Takes NULL. */
void segment_views_free(struct segment_view *views, size_t n);

#endif
