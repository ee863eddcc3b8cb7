/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a log consists of. For log.c, log_open.c and log_check.c only, and for tests.
 */
#ifndef DWAL_LOG_STATE_H
#define DWAL_LOG_STATE_H

#include "batch.h"
#include "io.h"
#include "lock.h"
#include "log.h"
#include "report.h"
#include "reserve.h"

#include <pthread.h>

/* The last bytes of an append, to see that they are still there. */
struct log_mark {
	uint32_t segment;
	unsigned char bytes[4];
	uint64_t end; /* the offset behind them */
};
#define LOG_MARKS 64

struct dwal_log {
	/* fixed once open */
	const struct io *io;
	char *dir;
	int dirfd;
	struct lock lock; /* whoever is syncing may renew it */
	struct segment_pool pool;
	uint64_t segment_size;
	bool sync_apart;
	struct report report;
	pthread_mutex_t name_lock; /* a sealed segment's name, and its index file's, go from file
				    * to file under it; taken within nothing */
	atomic_uint aheads;        /* so many were begun */

	/* One append or rotation at a time; held over its I/O. */
	pthread_mutex_t append_lock;
	struct batch batch;
	uint64_t last_txid;
	unsigned put_off; /* so often, for a sync, since the last rotation */
	uint64_t begun;   /* the active segment is being written to the disk up to here */
	struct reserve reserve;

	/* Short; never held over I/O. Taken within append_lock, never around
	 * it. What only appends and rotations change may be read under either
	 * lock and is changed under both: segments, their ends, appended. */
	pthread_mutex_t state_lock;
	struct segment **segments; /* ascending; the last is the active one */
	size_t count, room;
	uint64_t appended;        /* bytes, since open */
	uint64_t durable;         /* so many of them */
	bool syncing;             /* somebody is in fdatasync: one at a time, since a
				   * failure is told only to one of two */
	pthread_cond_t sync_done; /* syncing has become false */

	/* What log_check() needs to know, under state_lock. */
	uint32_t highest_made;              /* no higher id bears a file of ours */
	atomic_uint_fast64_t appends_begun; /* without it, before the file changes */
	uint64_t appends_ended;             /* another number while one is in flight */
	struct log_mark marks[LOG_MARKS];   /* some appends since the last check, ascending */
	size_t mark_count;
	uint64_t mark_stride;   /* one mark in so many appends */
	struct timespec listed; /* the directory's ctime, once listed; whoever is syncing */

	/* 0, DWAL_EREADONLY or DWAL_EPOISONED; set once, after the text */
	atomic_int refusal;
	char refusal_text[640];
};

/* The segment that is appended to. Under either lock. */
static inline struct segment *log_active(const dwal_log *log)
{
	return log->segments[log->count - 1];
}

/* Makes room for one more segment: 0 or -ENOMEM. Then adds it as the active
 * one, taking over the reference. Under both locks, or while opening. */
int log_reserve_segment(dwal_log *log);
void log_add_segment(dwal_log *log, struct segment *segment);

/* Stops all mutation for good; the first reason stays. Without a lock. */
void log_poison(dwal_log *log, const char *what, uint32_t segment, int rc);

/* log_room.c, under append_lock or while opening or closing. Before an append
 * of what is encoded: 0, or -ENOSPC or -EDQUOT where it would leave no room for
 * a removal. */
int log_make_room(dwal_log *log, const struct batch_records *records);

/* True: an append that failed so may be tried again, once. */
bool log_find_room(dwal_log *log, const struct batch_records *records, int rc);

/* Takes room ahead of the active segment as it is now: a new one, or one that
 * was cut. */
void log_take_room(dwal_log *log);

/* Before the active segment is one no more: gives back what is behind its end.
 * 0 or -errno. */
int log_leave_room(dwal_log *log);

/* Takes append_lock. Makes the file, unless it is there, if there is room. */
void log_renew_reserve(dwal_log *log);

/* log_ahead.c, under append_lock. The same records, with what is known of them. */
struct batch_records log_ahead_records(const struct batch_records *records);

/* Whether what is encoded is what was written ahead,
 * and may be taken. ahead may be NULL. */
bool log_ahead_fits(const dwal_log *log, const dwal_ahead *ahead);

/* Makes the file that is written ahead whole, with what is encoded, and durable, and
 * gives it the name of that segment, durably. 0 or -errno; then nothing has changed,
 * or the log is poisoned. */
int log_ahead_take(dwal_log *log, dwal_ahead *ahead, uint32_t id, struct segment **out);

/* log_check.c. The active segment is now as it is to be: remembers it. 0 or
 * -errno. */
int log_begin_checks(dwal_log *log);

/* After an append, whatever became of it, under state_lock. last_bytes: the last
 * four that are now at the active segment's end; NULL if nothing was appended. */
void log_end_append(dwal_log *log, const unsigned char *last_bytes);

/* Whether the files are still ours: the directory, the segment, which was at
 * least so many bytes long when its sync began, and the lock, which is taken
 * again. By whoever is syncing, within segment_enter(), without a lock. 0 or
 * DWAL_EPOISONED: the log is then. */
int log_check(dwal_log *log, const struct segment *segment, uint64_t least);

#endif
