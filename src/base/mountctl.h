/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the command line can ask of a live mount: ioctl(2) on its root directory,
 * by the user who mounted it or by root. Fails with errno: EPERM, EROFS, EIO ...
 */
#ifndef BASE_MOUNTCTL_H
#define BASE_MOUNTCTL_H

#include <stdint.h>
#include <sys/ioctl.h>

/* Rotates; gives the id of the segment that is appended to now. */
#define MOUNTCTL_ROTATE _IOR('D', 1, uint32_t)

/* What a compaction is to keep of the history. */
enum mountctl_keep {
	MOUNTCTL_KEEP_TXID,  /* states as of this txid and later; 0: the present only */
	MOUNTCTL_KEEP_AGE,   /* of so many seconds */
	MOUNTCTL_KEEP_BYTES, /* so many dead bytes, the newest */
};

#define MOUNTCTL_DROP_TAGS 1u /* else no horizon passes a tag */
#define MOUNTCTL_DRY_RUN   2u /* only tells what it would do */

struct mountctl_compact {
	uint64_t keep; /* as how says */
	uint32_t how;  /* enum mountctl_keep */
	uint32_t flags;
};

/* Begins a compaction, which goes on in the background. Also: EBUSY, one is
 * running. */
#define MOUNTCTL_COMPACT _IOW('D', 2, struct mountctl_compact)

/* How it goes, or how the last one ended. Numbers are those of struct
 * dwal_rewrite_stats. */
struct mountctl_compact_state {
	uint64_t run;     /* which one since the mount was made; 0: none yet */
	uint32_t running; /* 0 or 1 */
	uint32_t flags;   /* it was begun with */
	int32_t result;   /* of one that has ended: 0, -errno or DWAL_E... */
	uint32_t asked;   /* 1: by MOUNTCTL_COMPACT; 0: by the mount itself */
	int64_t started;  /* seconds since 1970 */
	int64_t ended;    /* the same; 0: it is running */
	uint64_t segments, segments_done, segments_rewritten, segments_damaged;
	uint64_t bytes, bytes_done;
	uint64_t records_dropped, bytes_freed;
	uint64_t lo, hi; /* given_up */
	uint64_t keep_txid;
	char message[512]; /* one line about a result that is negative; else empty */
};

#define MOUNTCTL_COMPACT_STATE _IOR('D', 3, struct mountctl_compact_state)

/* Ends the one that is running; what it has rewritten stays. Its result is
 * then -ECANCELED. Does not wait for that; 0 also when none is running. */
#define MOUNTCTL_COMPACT_STOP _IO('D', 4)

#define MOUNTCTL_TAG_REMOVE 1u /* takes the name back; else it is given */
#define MOUNTCTL_TAG_SYNC   2u /* survives a power cut, too */

struct mountctl_tag {
	uint64_t txid; /* 0: that of now, which is filled in */
	uint32_t flags;
	char name[260]; /* as tagname.h has it, with its NUL */
};

/* Names a moment. Also: ERANGE, there is no such txid yet; EILSEQ, that is no
 * name. */
#define MOUNTCTL_TAG _IOWR('D', 5, struct mountctl_tag)

#endif
