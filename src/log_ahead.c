/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A large operation that is written before its turn, into a file that will be the
 * next segment: others append meanwhile. When its turn comes, its txid is known, and
 * all is written again but the large payloads. It is whole and synced before it gets
 * the name of a segment: so a crash leaves all of it or a temporary file. Must not
 * know keys.
 */
#include "log.h"
#include "log_state.h"
#include "logname.h"
#include "util.h"

#include <errno.h>

#define AT_ONCE 64 /* parts of a write */

struct dwal_ahead {
	dwal_log *log;
	char name[LOGNAME_TEMP_SIZE];
	int fd;
	bool is_made, is_taken; /* a file of that name; it is a segment by now */
	struct batch batch;     /* as it was written; what its runs held is gone */
	struct payload_crc *crcs;
	size_t n; /* of them: one for each record */
};

static bool is_payload(size_t i)
{
	return i % 2; /* batch.h */
}

/* Like the active segment, whichever that is. */
static int make_file(dwal_ahead *ahead)
{
	dwal_log *log = ahead->log;
	struct segment *active;
	struct file_like like;
	int rc;

	pthread_mutex_lock(&log->state_lock);
	active = segment_ref(log_active(log));
	(void)segment_enter(active); /* cannot fail: it is open, and stays so until leave */
	pthread_mutex_unlock(&log->state_lock);
	logname_ahead(atomic_fetch_add(&log->aheads, 1), ahead->name);
	rc = file_like_fd(log->io, active->fd, &like);
	if (!rc)
		do
			rc = file_create(log->io, log->dirfd, ahead->name, O_RDWR, &like);
		while (segment_pool_spare(&log->pool, rc));
	segment_leave(active);
	(void)segment_unref(active); /* the log still holds it */
	ahead->fd = rc < 0 ? -1 : rc;
	ahead->is_made = rc >= 0;
	return rc < 0 ? rc : 0;
}

static uint64_t size_of(const struct iovec *iov, size_t n)
{
	uint64_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += iov[i].iov_len;
	return size;
}

static int write_all(const dwal_ahead *ahead)
{
	const struct io *io = ahead->log->io;
	const struct batch *batch = &ahead->batch;
	uint64_t offset = 0, begun = 0;
	struct iovec parts[AT_ONCE];
	int rc = 0;

	for (size_t i = 0, n; !rc && i < batch->iov_count; i += n) {
		n = batch->iov_count - i < AT_ONCE ? batch->iov_count - i : AT_ONCE;
		memcpy(parts, batch->iov + i, n * sizeof(*parts)); /* they are used up */
		rc = io_pwritev_full(io, ahead->fd, parts, n, offset);
		offset += size_of(batch->iov + i, n);
		if (!rc)
			io_begin_write(io, ahead->fd, &begun, offset);
	}
	return rc ? rc : io->fdatasync(io, ahead->fd);
}

/* What the txid changes. */
static int write_rest(const dwal_ahead *ahead, const struct batch *batch)
{
	const struct io *io = ahead->log->io;
	uint64_t offset = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < batch->iov_count; i++) {
		const struct iovec *part = &batch->iov[i];

		if (!is_payload(i))
			rc = io_pwrite_full(io, ahead->fd, part->iov_base, part->iov_len, offset);
		offset += part->iov_len;
	}
	return rc ? rc : io->fdatasync(io, ahead->fd);
}

/* With a txid for now. */
static int write_ahead(dwal_ahead *ahead, const struct batch_records *records)
{
	struct batch_records mine = *records;
	int rc = atomic_load(&ahead->log->refusal);

	ahead->n = records->n;
	ahead->crcs = calloc(ahead->n, sizeof(*ahead->crcs));
	mine.ahead = ahead;
	mine.crcs = ahead->crcs;
	if (!rc && !ahead->crcs)
		rc = -ENOMEM;
	if (!rc)
		rc = batch_encode(&ahead->batch, &mine, log_last_txid(ahead->log) + 1);
	if (!rc)
		rc = make_file(ahead);
	if (!rc)
		rc = write_all(ahead);
	free(ahead->batch.buffer);
	ahead->batch.buffer = NULL;
	return rc;
}

int log_ahead(dwal_log *log, const struct batch_records *records, dwal_ahead **out)
{
	dwal_ahead *ahead;
	int rc;

	if (!records->n)
		return -EINVAL;
	ahead = calloc(1, sizeof(*ahead));
	if (!ahead)
		return -ENOMEM;
	ahead->log = log;
	ahead->fd = -1;
	rc = write_ahead(ahead, records);
	if (rc)
		dwal_ahead_free(ahead);
	else
		*out = ahead;
	return rc;
}

void dwal_ahead_free(dwal_ahead *ahead)
{
	const struct io *io = ahead ? ahead->log->io : NULL;

	if (!ahead)
		return;
	(void)io_close(io, &ahead->fd); /* nothing is lost with it */
	if (ahead->is_made && !ahead->is_taken)
		(void)io->unlinkat(io, ahead->log->dirfd, ahead->name, 0); /* or the next open */
	batch_release(&ahead->batch);
	free(ahead->crcs);
	free(ahead);
}

struct batch_records log_ahead_records(const struct batch_records *records)
{
	struct batch_records known = *records;

	if (records->ahead && records->ahead->n == records->n)
		known.crcs = records->ahead->crcs;
	return known;
}

static bool is_same_layout(const struct batch *a, const struct batch *b)
{
	bool same = a->iov_count == b->iov_count && a->bytes == b->bytes;

	for (size_t i = 0; same && i < a->iov_count; i++)
		same = a->iov[i].iov_len == b->iov[i].iov_len &&
		       (!is_payload(i) || a->iov[i].iov_base == b->iov[i].iov_base);
	return same;
}

/* While the room for removals is not there an append is to be refused. */
static bool has_reserve(const dwal_log *log)
{
	const struct reserve *reserve = &log->reserve;

	return !reserve->wanted || reserve->is_held || reserve->is_unable;
}

bool log_ahead_fits(const dwal_log *log, const dwal_ahead *ahead)
{
	return ahead && ahead->fd >= 0 && has_reserve(log) &&
	       is_same_layout(&ahead->batch, &log->batch);
}

/* What has failed may have happened all the same. */
static int give_name(dwal_log *log, const dwal_ahead *ahead, const struct segment *segment)
{
	char name[LOGNAME_SIZE];
	int rc, is_named;

	logname_segment(segment->id, name);
	pthread_mutex_lock(&log->state_lock);
	log->highest_made = segment->id; /* before others can see it */
	pthread_mutex_unlock(&log->state_lock);
	rc = io_rename_noreplace(log->io, log->dirfd, ahead->name, name);
	if (!rc)
		return 0;
	is_named = file_is_named(log->io, log->dirfd, name, segment->fd);
	if (rc == -EEXIST || rc == -ENOENT || is_named) {
		log_poison(log, "creating it", segment->id, rc);
		return DWAL_EPOISONED;
	}
	return rc;
}

int log_ahead_take(dwal_log *log, dwal_ahead *ahead, uint32_t id, struct segment **out)
{
	struct segment *segment;
	int rc = write_rest(ahead, &log->batch);

	if (!rc)
		rc = segment_of_file(log->io, id, &ahead->fd, &segment);
	if (rc)
		return rc;
	rc = give_name(log, ahead, segment);
	if (!rc) {
		rc = log->io->fsync(log->io, log->dirfd);
		if (rc)
			log_poison(log, "syncing the directory after creating it", id, rc);
	}
	ahead->is_taken = log->batch.is_written = !rc;
	if (rc)
		(void)segment_unref(segment); /* the first error tells */
	else
		*out = segment;
	return rc;
}
