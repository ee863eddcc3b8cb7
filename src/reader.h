/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the library's own parts may ask of a reader beyond datawal.h.
 */
#ifndef DWAL_READER_H
#define DWAL_READER_H

#include "datawal.h"
#include "segment.h"

/* dwal_reader_open() with a table of system calls; NULL: the system's. */
int reader_open(const struct io *io, const char *dir, dwal_reader **out, struct dwal_error *error);

/* As in struct dwal_options. */
struct reader_replay {
	dwal_observe_fn observe;
	dwal_lost_fn lost;
	void *ctx;
	bool degraded;
	enum dwal_verify verify;
};

/* Scans the whole log once and fills in the report. what: whom the records go to,
 * and whether degraded; NULL: nobody. A hard error is DWAL_ECORRUPT, or where
 * they go to nobody only ends its segment. Afterwards the segments' ends and
 * numbers of records are known. */
int reader_replay(dwal_reader *reader, const struct reader_replay *what, struct dwal_error *error);

/* The report of the last reader_replay(); all zero before. Valid until
 * close. */
const struct dwal_report *reader_report(const dwal_reader *reader);

/* As log_segment(), log_view(), log_io() and dwal_log_dir(). */
struct segment *reader_segment(dwal_reader *reader, uint32_t id);
int reader_view(dwal_reader *reader, struct segment_view **out, size_t *n);
const struct io *reader_io(const dwal_reader *reader);
const char *reader_dir(const dwal_reader *reader);
int reader_dirfd(const dwal_reader *reader);

#endif
