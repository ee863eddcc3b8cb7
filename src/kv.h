/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key/value store as its own parts see it. Knows nothing of how a segment
 * is written or recovered.
 *
 * Lock order: write, index, then whatever the log takes. index is never held
 * over I/O, so that a lookup does not wait for a disk.
 */
#ifndef DWAL_KV_H
#define DWAL_KV_H

#include "datawal.h"
#include "io_waiting.h"
#include "keydir.h"
#include "segment.h"
#include "tags.h"

#include <pthread.h>

struct dwal_kv {
	struct io_waiting waiting; /* where the caller wants to know */
	dwal_log *log;             /* NULL when read-only */
	dwal_reader *reader;       /* NULL when writing */
	dwal_progress_fn progress;
	void *progress_ctx;
	bool sync_apart;        /* the caller syncs before a rotation */
	pthread_mutex_t write;  /* the log and the index change in one order */
	pthread_rwlock_t index; /* protects keydir, tags, moving */
	struct keydir keydir;
	struct tags tags;
	const struct moves *moving; /* of a segment that was just rewritten, or NULL; by index */
	pthread_mutex_t compacting; /* held by the one who does */
};

/* dwal_kv_open() with a table of system calls; NULL: the system's. */
int kv_open(const struct io *io, const char *dir, const struct dwal_options *options, dwal_kv **out,
	    struct dwal_error *error);

/* For a change, or together with others who only look. It is held for a fraction of a
 * microsecond, and who sleeps until then is woken 100 us later: so they try some times first. */
void kv_lock_index(dwal_kv *kv);
void kv_share_index(dwal_kv *kv);
void kv_unlock_index(dwal_kv *kv);

const char *kv_dir(const dwal_kv *kv);
const struct io *kv_io(const dwal_kv *kv);
int kv_dirfd(const dwal_kv *kv);

/* As log_segment() and log_view(). */
struct segment *kv_segment(dwal_kv *kv, uint32_t id);

/* The segment of a place that was given earlier, with a reference: 0, or
 * DWAL_EGONE. */
int kv_segment_at(dwal_kv *kv, const struct dwal_place *place, struct segment **out);
int kv_view(dwal_kv *kv, struct segment_view **out, size_t *n);

/* What a file made from the store's content is to be like: the newest segment,
 * or for a store without one nobody but the user. To be given back with
 * file_like_release(). */
int kv_like(dwal_kv *kv, struct file_like *out);

/* The place of the live Put of a key and a reference to the segment it stands
 * in. 0, DWAL_ABSENT, or DWAL_EGONE where the log does not have that segment. */
int kv_find(dwal_kv *kv, struct dwal_bytes key, struct dwal_place *place, struct segment **segment);

/* Where the live Put of a key stands now; false: it has none. */
bool kv_live(dwal_kv *kv, struct dwal_bytes key, struct keydir_value *out);

/* Whether this record is that Put. */
bool kv_is_live(dwal_kv *kv, const struct dwal_record *record);

struct dwal_place kv_place(const struct keydir_value *value, size_t key_len, uint32_t generation);

/* Reads what a cursor found, wherever it stands by now, into frame, which has room for it,
 * and checks frame and stored key. *payload points into it. DWAL_EGONE: it stood in a
 * segment that has gone or was rewritten, and is not the value of its key any more.
 * DWAL_ECORRUPT, -errno. */
int kv_read_item(dwal_kv *kv, const struct dwal_item *item, void *frame, struct dwal_bytes *payload,
		 struct dwal_error *error);

/* Tells that an item was read and is to be written: 0, or the caller's code. */
int kv_progress(const dwal_kv *kv, const struct dwal_item *item, struct dwal_error *error);

/* Whether what was read at place is a Put of key: 0 or DWAL_ECORRUPT. */
int kv_check_record(const dwal_kv *kv, const struct dwal_place *place, struct dwal_bytes key,
		    const struct dwal_record *record, struct dwal_error *error);

/* DWAL_ECORRUPT with its detail. what: the reason when status does not say. */
int kv_corrupt(const dwal_kv *kv, const struct dwal_place *place, enum dwal_frame_status status,
	       const char *what, struct dwal_error *error);

#endif
