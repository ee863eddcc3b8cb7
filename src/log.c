/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * An open log: append, rotate, sync, poison. Opening is in log_open.c. Must
 * not know keys, nor how a frame is laid out.
 */
#include "log.h"
#include "log_state.h"
#include "logname.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>

/* So often a rotation waits for a sync that others' appends outrun, before it
 * keeps them out. */
#define PUT_OFF_MOST 16

/* The same of what is written ahead: there is little to sync the second time, and
 * each time all that it consists of is gone through. */
#define PUT_OFF_AHEAD 1

/* With so many bytes still to be synced a full segment takes more, where somebody
 * else syncs. */
#define OUTGROWS_FROM ((uint64_t)8 << 20)

int log_reserve_segment(dwal_log *log)
{
	size_t room = log->room ? 2 * log->room : 8;
	struct segment **grown;

	if (log->count < log->room)
		return 0;
	grown = reallocarray(log->segments, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	log->segments = grown;
	log->room = room;
	return 0;
}

void log_add_segment(dwal_log *log, struct segment *segment)
{
	if (!segment->is_sealed)
		segment_keep_open(segment, &log->pool);
	log->segments[log->count++] = segment;
}

/* Stops all mutation for good. The first reason stays. Under state_lock. */
static void poison(dwal_log *log, const char *what, uint32_t segment, int rc)
{
	char name[LOGNAME_SIZE];

	if (atomic_load(&log->refusal))
		return;
	logname_segment(segment, name);
	(void)snprintf(log->refusal_text, sizeof(log->refusal_text), /* cut if long */
		       "%.200s/%s: %s failed (%s): nothing is written any more, reading goes on; "
		       "check the disk, then open the log again",
		       log->dir, name, what, dwal_strerror(rc));
	atomic_store(&log->refusal, DWAL_EPOISONED);
}

/* Waits for, then takes, the right to sync. Under state_lock. */
static void begin_sync(dwal_log *log)
{
	while (log->syncing)
		pthread_cond_wait(&log->sync_done, &log->state_lock);
	log->syncing = true;
}

/* Gives it back, with what came of it. A sync that failed has said it once:
 * what follows it succeeds and proves nothing. Under state_lock. */
static void end_sync(dwal_log *log, uint64_t goal, const char *what, uint32_t segment, int rc)
{
	if (rc)
		poison(log, what, segment, rc);
	else if (!atomic_load(&log->refusal) && log->durable < goal)
		log->durable = goal;
	log->syncing = false;
	pthread_cond_broadcast(&log->sync_done);
}

/* One fdatasync for all that has been appended so far; appends go on
 * meanwhile. Under state_lock. */
static int lead_sync(dwal_log *log)
{
	struct segment *active = segment_ref(log_active(log));
	uint64_t goal = log->appended, end = active->end;
	int rc;

	log->syncing = true;
	(void)segment_enter(active); /* cannot fail: it is open, and stays so until leave */
	pthread_mutex_unlock(&log->state_lock);
	rc = log->io->fdatasync(log->io, active->fd);
	if (!rc)
		rc = log_check(log, active, end);
	segment_leave(active);
	pthread_mutex_lock(&log->state_lock);
	end_sync(log, goal, "syncing", active->id, rc);
	(void)segment_unref(active); /* the log still holds it */
	return rc;
}

/* All that was appended before a rotation is durable by then, so that
 * syncing the active segment is enough, whichever that is. */
int dwal_log_sync(dwal_log *log)
{
	uint64_t goal;
	int rc;

	pthread_mutex_lock(&log->state_lock);
	goal = log->appended;
	rc = atomic_load(&log->refusal);
	while (!rc && log->durable < goal) {
		if (log->syncing)
			pthread_cond_wait(&log->sync_done, &log->state_lock);
		else
			rc = lead_sync(log);
		if (!rc && log->durable < goal)
			rc = atomic_load(&log->refusal);
	}
	pthread_mutex_unlock(&log->state_lock);
	return rc;
}

void log_poison(dwal_log *log, const char *what, uint32_t segment, int rc)
{
	pthread_mutex_lock(&log->state_lock);
	poison(log, what, segment, rc);
	pthread_mutex_unlock(&log->state_lock);
}

int dwal_log_check(dwal_log *log)
{
	struct segment *active;
	uint64_t end;
	int rc;

	log_renew_reserve(log);
	pthread_mutex_lock(&log->state_lock);
	begin_sync(log);
	active = segment_ref(log_active(log));
	end = active->end;
	(void)segment_enter(active); /* cannot fail, as in lead_sync() */
	rc = atomic_load(&log->refusal);
	pthread_mutex_unlock(&log->state_lock);
	if (!rc)
		rc = log_check(log, active, end);
	segment_leave(active);
	pthread_mutex_lock(&log->state_lock);
	end_sync(log, 0, "checking", active->id, rc);
	(void)segment_unref(active); /* the log still holds it */
	pthread_mutex_unlock(&log->state_lock);
	return rc;
}

static int create_next(dwal_log *log, uint32_t id, struct segment **out)
{
	struct file_like like;
	struct segment *next;
	int rc = file_like_fd(log->io, log_active(log)->fd, &like);

	pthread_mutex_lock(&log->state_lock);
	log->highest_made = id; /* before others can see it */
	pthread_mutex_unlock(&log->state_lock);
	if (!rc)
		do
			rc = segment_create(log->io, log->dirfd, id, &like, &next);
		while (segment_pool_spare(&log->pool, rc));
	/* Made by somebody; the directory is gone; or it may be there after a crash,
	 * with what is appended next in a segment that is not the highest. */
	if (rc == -EEXIST || rc == -ENOENT || rc == -ENOTRECOVERABLE) {
		log_poison(log, "creating it", id, rc);
		return DWAL_EPOISONED;
	}
	if (rc)
		return rc;
	rc = log->io->fsync(log->io, log->dirfd);
	if (rc) {
		log_poison(log, "syncing the directory after creating it", id, rc);
		(void)segment_unref(next); /* the sync has said it */
		return rc;
	}
	*out = next;
	return 0;
}

/* Makes the old segment durable before a rotation. That is better done without
 * append_lock, by whoever then tries again; but appends that still fit into
 * the segment must not put the rotation off for ever. Under append_lock. */
static int finish_active(dwal_log *log, bool is_ahead)
{
	unsigned most = is_ahead ? PUT_OFF_AHEAD : PUT_OFF_MOST;
	bool durable;

	pthread_mutex_lock(&log->state_lock);
	durable = log->durable == log->appended;
	pthread_mutex_unlock(&log->state_lock);
	if (!durable && log->put_off < most) {
		log->put_off++;
		return DWAL_EUNSYNCED;
	}
	return durable ? 0 : dwal_log_sync(log);
}

/* To what is written ahead, or an empty one. Under append_lock. DWAL_EUNSYNCED: after
 * a sync, to be tried again. */
static int rotate(dwal_log *log, dwal_ahead *ahead)
{
	struct segment *last = log_active(log), *next;
	uint32_t id = last->id;
	int rc = atomic_load(&log->refusal);

	if (rc)
		return rc;
	if (id >= DWAL_MAX_SEGMENT_ID)
		return DWAL_ESEGMENTS;
	pthread_mutex_lock(&log->state_lock);
	rc = log_reserve_segment(log);
	pthread_mutex_unlock(&log->state_lock);
	if (!rc)
		rc = finish_active(log, ahead);
	if (!rc)
		rc = ahead ? log_ahead_take(log, ahead, id + 1, &next)
			   : create_next(log, id + 1, &next);
	if (rc)
		return rc;
	log->put_off = 0;
	log->begun = next->end;
	(void)log_leave_room(log); /* only room; all bytes are durable */
	pthread_mutex_lock(&log->state_lock);
	log_add_segment(log, next);
	pthread_mutex_unlock(&log->state_lock);
	segment_seal(last);
	log_take_room(log);
	return 0;
}

int dwal_log_rotate(dwal_log *log)
{
	int rc;

	do {
		pthread_mutex_lock(&log->append_lock);
		rc = rotate(log, NULL);
		pthread_mutex_unlock(&log->append_lock);
	} while (rc == DWAL_EUNSYNCED && (rc = dwal_log_sync(log)) == 0);
	return rc;
}

/* Takes back what a failed write may have left, durably: or else a crash
 * could keep the first records of a batch that was reported as failed. */
static void cut_back(dwal_log *log, struct segment *active)
{
	const char *what = "cutting back a failed write";
	int rc;

	pthread_mutex_lock(&log->state_lock);
	begin_sync(log);
	pthread_mutex_unlock(&log->state_lock);
	rc = log->io->ftruncate(log->io, active->fd, (off_t)active->end);
	if (!rc)
		rc = log->io->fdatasync(log->io, active->fd);
	pthread_mutex_lock(&log->state_lock);
	log_end_append(log, NULL);
	end_sync(log, log->appended, what, active->id, rc);
	pthread_mutex_unlock(&log->state_lock);
	log_take_room(log);
}

static bool must_rotate(const dwal_log *log)
{
	uint64_t end = log_active(log)->end;

	return log->segment_size && end &&
	       (end > log->segment_size || log->batch.bytes > log->segment_size - end);
}

/* Whoever rotates waits for the disk. */
static bool may_outgrow(dwal_log *log)
{
	uint64_t unsynced;

	pthread_mutex_lock(&log->state_lock);
	unsynced = log->appended - log->durable;
	pthread_mutex_unlock(&log->state_lock);
	return log->sync_apart && unsynced >= OUTGROWS_FROM &&
	       log_active(log)->end + log->batch.bytes <= 2 * log->segment_size;
}

static void tell_places(const dwal_log *log, const struct batch_records *records, uint64_t start,
			struct dwal_place *places)
{
	const struct segment *segment = log_active(log);
	uint64_t offset = start + log->batch.header_len;

	for (size_t i = 0; i < records->n; i++) {
		const struct dwal_op *op = &records->ops[i];

		places[i] = (struct dwal_place){
			.segment = segment->id,
			.generation = segment->generation,
			.offset = offset,
			.length = dwal_frame_size(op->key.len, op->payload.len),
			.txid = log->last_txid + 1 + (records->is_operation ? 0 : i),
		};
		offset += places[i].length;
	}
}

/* Writes what is encoded, unless it is there. Under append_lock. */
static int write_batch(dwal_log *log, const struct batch_records *records,
		       struct dwal_place *places)
{
	const struct batch *batch = &log->batch;
	unsigned char last_bytes[DWAL_TRAILER_SIZE];
	struct segment *active = log_active(log);
	uint64_t start = batch->is_written ? 0 : active->end;
	int rc = 0;

	atomic_fetch_add(&log->appends_begun, 1);
	memcpy(last_bytes, batch_end(batch) - sizeof(last_bytes), sizeof(last_bytes));
	if (!batch->is_written)
		rc = io_pwritev_full(log->io, active->fd, batch->iov, batch->iov_count, start);
	if (rc) {
		cut_back(log, active);
		return rc;
	}
	if (places)
		tell_places(log, records, start, places);
	log->last_txid += batch_txids(records);
	pthread_mutex_lock(&log->state_lock);
	active->end = start + batch->bytes;
	active->records += records->n + (batch->header_len ? 1 : 0);
	log->appended += batch->bytes;
	if (batch->is_written && !atomic_load(&log->refusal))
		log->durable = log->appended; /* as all before it: it was rotated to */
	log_end_append(log, last_bytes);
	pthread_mutex_unlock(&log->state_lock);
	return 0;
}

/* Has them encoded, and room in the active segment. Under append_lock. */
static int prepare(dwal_log *log, const struct batch_records *records)
{
	const struct batch_records known = log_ahead_records(records);
	int rc = atomic_load(&log->refusal);

	if (rc)
		return rc;
	if (batch_txids(records) > UINT64_MAX - log->last_txid)
		return -EOVERFLOW; /* no txid is left above the highest */
	if (records->ahead)
		rc = finish_active(log, true);
	if (!rc)
		rc = batch_encode(&log->batch, &known, log->last_txid + 1);
	if (!rc && log_ahead_fits(log, records->ahead))
		return rotate(log, records->ahead);
	if (!rc && must_rotate(log) && !may_outgrow(log)) {
		rc = rotate(log, NULL);
		if (io_is_full(rc) && records->may_use_reserve)
			rc = 0; /* there may be room in the old one */
	}
	return rc ? rc : log_make_room(log, records);
}

struct stretch {
	struct segment *segment; /* referenced; NULL: nothing yet */
	uint64_t from, n;
};

/* Under append_lock. */
static struct stretch take_unwritten(dwal_log *log)
{
	struct segment *active = log_active(log);
	struct stretch stretch = {NULL, log->begun, active->end - log->begun};

	if (!log->sync_apart && stretch.n >= IO_BEGIN_WRITE) {
		log->begun = active->end;
		stretch.segment = segment_ref(active);
	}
	return stretch;
}

/* Without a lock, as it may have to wait for the disk's queue. */
static void begin_write(dwal_log *log, const struct stretch *stretch)
{
	if (!stretch->segment)
		return;
	if (segment_enter(stretch->segment) == 0) {
		(void)log->io->begin_write(log->io, stretch->segment->fd, (off_t)stretch->from,
					   (off_t)stretch->n); /* a sync will tell */
		segment_leave(stretch->segment);
	}
	(void)segment_unref(stretch->segment); /* the log's own is closed where that counts */
}

int log_append(dwal_log *log, const struct batch_records *records, struct dwal_place *places)
{
	struct stretch unwritten;
	int rc;

	if (!records->n)
		return -EINVAL;
	do {
		pthread_mutex_lock(&log->append_lock);
		do {
			rc = prepare(log, records);
			if (!rc)
				rc = write_batch(log, records, places);
			batch_trim(&log->batch);
		} while (log_find_room(log, records, rc)); /* once: it is given up then */
		unwritten = take_unwritten(log);
		pthread_mutex_unlock(&log->append_lock);
		begin_write(log, &unwritten);
	} while (rc == DWAL_EUNSYNCED && !log->sync_apart && (rc = dwal_log_sync(log)) == 0);
	return rc;
}

int dwal_log_append(dwal_log *log, const struct dwal_op *ops, size_t n, struct dwal_place *places)
{
	return log_append(log, &(struct batch_records){.ops = ops, .n = n}, places);
}

int dwal_log_batch(dwal_log *log, const struct dwal_op *ops, size_t n,
		   const struct dwal_line *lines, size_t n_lines, struct dwal_place *places)
{
	const struct batch_records records = {
		.ops = ops, .n = n, .is_operation = true, .lines = lines, .line_count = n_lines};

	return log_append(log, &records, places);
}

int dwal_log_append_raw(dwal_log *log, const void *payload, size_t len, struct dwal_place *place)
{
	const struct dwal_op op = {.type = DWAL_RAW, .payload = {payload, len}};

	return dwal_log_append(log, &op, 1, place);
}

const char *dwal_log_dir(const dwal_log *log)
{
	return log->dir;
}

int log_dirfd(const dwal_log *log)
{
	return log->dirfd;
}

const struct io *log_io(const dwal_log *log)
{
	return log->io;
}

bool dwal_log_is_poisoned(dwal_log *log)
{
	return atomic_load(&log->refusal) == DWAL_EPOISONED;
}

const char *dwal_log_refusal(dwal_log *log)
{
	return atomic_load(&log->refusal) ? log->refusal_text : NULL;
}

const struct dwal_report *dwal_log_report(const dwal_log *log)
{
	return &log->report.pub;
}

int dwal_log_close(dwal_log *log)
{
	int first = 0, rc;

	if (!log)
		return 0;
	if (log->count)
		(void)log_leave_room(log); /* nothing is lost with it */
	for (size_t i = 0; i < log->count; i++) {
		rc = segment_unref(log->segments[i]);
		first = first ? first : rc;
	}
	free(log->segments);
	segment_pool_release(&log->pool);
	rc = reserve_release(&log->reserve);
	first = first ? first : rc;
	rc = io_close(log->io, &log->dirfd);
	first = first ? first : rc;
	rc = lock_release(log->io, &log->lock); /* last: the next writer may start now */
	first = first ? first : rc;
	batch_release(&log->batch);
	report_release(&log->report);
	pthread_cond_destroy(&log->sync_done);
	pthread_mutex_destroy(&log->state_lock);
	pthread_mutex_destroy(&log->append_lock);
	pthread_mutex_destroy(&log->name_lock);
	free(log->dir);
	free(log);
	return first;
}
