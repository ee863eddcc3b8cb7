/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a log consists of. For log.c and log_open.c only.
 */
#ifndef DWAL_LOG_STATE_H
#define DWAL_LOG_STATE_H

#include "batch.h"
#include "io.h"
#include "lock.h"
#include "log.h"
#include "report.h"

#include <pthread.h>

struct dwal_log {
	/* fixed once open */
	const struct io *io;
	char *dir;
	int dirfd;
	struct lock lock;
	uint64_t segment_size;
	bool sync_apart;
	struct report report;

	/* One append or rotation at a time; held over its I/O. */
	pthread_mutex_t append_lock;
	struct batch batch;
	uint64_t last_txid;
	unsigned put_off; /* so often, for a sync, since the last rotation */

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

	/* 0, DWAL_EREADONLY or DWAL_EPOISONED; set once, after the text */
	atomic_int refusal;
	char refusal_text[512];
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

#endif
