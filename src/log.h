/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the library's own parts may ask of a log beyond datawal.h.
 */
#ifndef DWAL_LOG_H
#define DWAL_LOG_H

#include "datawal.h"
#include "segment.h"

struct batch_records;
struct index_writer;

/* dwal_log_append() or dwal_log_batch(), as the records say
 * (batch.h). */
int log_append(dwal_log *log, const struct batch_records *records, struct dwal_place *places);

/* dwal_kv_ahead(). */
int log_ahead(dwal_log *log, const struct batch_records *records, dwal_ahead **out);

/* The segment of that id, with a reference for the caller, to be given back
 * with segment_unref(); NULL if there is none. Cheap; never waits for I/O.
 * A place found in an index is read through it: segment_read_frame(). */
struct segment *log_segment(dwal_log *log, uint32_t id);

/* All segments with their ends and numbers of records at this moment,
 * ascending; to be freed with segment_views_free(). 0 or -ENOMEM. */
int log_view(dwal_log *log, struct segment_view **out, size_t *n);

/* For rewriting a sealed segment, log_rewrite.c. A file beside it, like it,
 * which the next open deletes: the descriptor, or -errno. */
int log_rewrite_begin(dwal_log *log, struct segment *segment);

/* Gives it up: the file is removed. */
void log_rewrite_cancel(dwal_log *log, const struct segment *segment, int *fd);

/* Gives the file, which is synced, the name of the segment, durably, once no index
 * file of the old one is left that could be taken for its own; and *out is it, which is to be
 * handed to log_replace() at once. The caller is within segment_enter(). On failure all is as it
 * was; but where only the durability failed, *out is set too, and the log is poisoned. */
int log_rewrite_install(dwal_log *log, struct segment *segment, int *fd, struct segment **out);

/* From now on the log has that one. Both references change hands; the old one
 * is then in segment_enter() for good. Waits for an append that is in flight. */
void log_replace(dwal_log *log, struct segment *old, struct segment *rewritten);

/* Gives an index file, which is finished, its name, unless another file has taken the
 * segment's meanwhile: then, or where the renaming fails, -errno. Within segment_enter(). */
int log_publish_index(dwal_log *log, struct segment *segment, struct index_writer *writer);

/* Gives up the file that keeps room on a full disk, for a file that will free
 * more. From now on others' appends are -ENOSPC, until log_end_lending(). 0;
 * DWAL_ABSENT: there is nothing to give up; -errno. Takes append_lock. */
int log_lend_reserve(dwal_log *log);

/* That file has freed its room, or has failed. */
void log_end_lending(dwal_log *log);

/* dwal_log_open() with a table of system calls; NULL: the system's. */
int log_open(const struct io *io, const char *dir, const struct dwal_options *options,
	     dwal_log **out, struct dwal_error *error);

/* The same with the default options, of the directory that is open at dirfd,
 * which is taken over, also on failure. What it is locked by already is no
 * other writer. */
int log_open_at(const struct io *io, int dirfd, const char *dir, dwal_log **out,
		struct dwal_error *error);

/* The txid of what was appended last, or found; 0 for none. */
uint64_t log_last_txid(dwal_log *log);

/* The directory's descriptor, which is the log's. */
int log_dirfd(const dwal_log *log);

/* The table of system calls the log was opened with. */
const struct io *log_io(const dwal_log *log);

#endif
