/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Room that a log keeps on its disk, for what must go on when the disk is
 * full: above all, removing. Blocks ahead of the end of the active segment,
 * which nobody else can take, and a file of real blocks, which works where the
 * former do not (btrfs). Knows nothing of records. Not thread-safe: whoever
 * appends uses it.
 */
#ifndef DWAL_RESERVE_H
#define DWAL_RESERVE_H

#include "file.h"
#include "io.h"

#define RESERVE_SIZE ((uint64_t)1 << 20)  /* of the file */
#define RESERVE_STEP ((uint64_t)1 << 20)  /* so much is taken ahead at a time */
#define RESERVE_KEEP ((uint64_t)64 << 10) /* of it nobody but a removal uses the last bytes */

struct reserve {
	const struct io *io;
	int dirfd;      /* borrowed */
	bool wanted;    /* else nothing is kept; what others have kept is used all the same */
	bool is_lent;   /* given up to somebody who has not come back yet */
	bool is_held;   /* the file has its blocks */
	bool is_unable; /* it could not be made, for another reason than a full disk */
	int fd;         /* of the file; -1: not opened */
	bool no_ahead;  /* the file system cannot */
	uint64_t ahead; /* the active segment has blocks up to here, as far as we know */
};

void reserve_init(struct reserve *reserve, const struct io *io, bool wanted);

/* Closes the file, which stays. The -errno of that, or 0. */
int reserve_release(struct reserve *reserve);

/* Sees to it that the file is there with its blocks, if that is wanted and can
 * be; a new one is like the file that is open at fd. 0, or -ENOSPC or -EDQUOT:
 * no room for it, or it is lent. */
int reserve_make(struct reserve *reserve, int fd);

/* Gives its blocks back to the disk, also where the file is not wanted. 0;
 * DWAL_ABSENT: there is nothing to give; -errno. */
int reserve_give_up(struct reserve *reserve);

/* Sees to it that the segment open at fd, which ends at end, has blocks for the
 * next n bytes, if that is wanted and can be. 0, -ENOSPC or -EDQUOT. The file's time of
 * modification is now. */
int reserve_ahead(struct reserve *reserve, int fd, uint64_t end, uint64_t n);

/* The same for a segment of which nothing is known: as many as are kept. The
 * file keeps its time of modification. */
void reserve_ahead_anew(struct reserve *reserve, int fd, uint64_t end);

/* Frees what the file has behind its end. 0 or -errno. */
int reserve_cut(const struct io *io, int fd);

#endif
