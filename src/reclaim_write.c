/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Makes of a segment what was planned: a file beside it with what stays, synced;
 * what made the rest superfluous, synced; then the name, and the key directory.
 */
#include "header.h"
#include "horizon.h"
#include "kv.h"
#include "log.h"
#include "reclaim.h"
#include "scan.h"
#include "util.h"

#include <errno.h>

#define BUFFER_SIZE  (64u << 10)
#define MOVE_AT_ONCE 64 /* keys, so that nobody waits long for the index */

/* The file that is being written. */
struct writer {
	struct reclaim *reclaim;
	struct segment *segment; /* the old one */
	const struct plan *plan;
	const struct io *io;
	int fd;
	unsigned char *buffer;
	size_t buffered;
	uint64_t end;   /* of what was written, the buffer included */
	uint64_t begun; /* so far the disk has been told to write */
	uint64_t records;
	struct moves moves;
};

/* In pieces: whoever wants the processor gets it in between. On its way to the disk at once, as
 * what a log appends: the sync, which others' appends may have to wait for, finds less to do. */
static int write_at(struct writer *writer, const unsigned char *bytes, size_t len, uint64_t offset)
{
	int err = 0;

	for (size_t n; !err && len; bytes += n, len -= n, offset += n) {
		n = len < BUFFER_SIZE ? len : BUFFER_SIZE;
		err = io_pwrite_full(writer->io, writer->fd, bytes, n, offset);
		if (err)
			break;
		io_begin_write(writer->io, writer->fd, &writer->begun, offset + n);
		err = reclaim_work(writer->reclaim, n);
	}
	return err;
}

static int flush(struct writer *writer)
{
	size_t len = writer->buffered;

	writer->buffered = 0;
	return write_at(writer, writer->buffer, len, writer->end - len);
}

static int put(struct writer *writer, const void *bytes, size_t len)
{
	int err = 0;

	if (len > BUFFER_SIZE - writer->buffered)
		err = flush(writer);
	if (err)
		return err;
	if (len > BUFFER_SIZE) {
		err = write_at(writer, bytes, len, writer->end);
	} else {
		memcpy(writer->buffer + writer->buffered, bytes, len);
		writer->buffered += len;
	}
	writer->end += len;
	writer->records++;
	return err;
}

static int put_raw(struct writer *writer, const char *key, uint64_t txid, const void *payload,
		   size_t len)
{
	const struct dwal_bytes key_bytes = {key, strlen(key)}, payload_bytes = {payload, len};
	const uint32_t size = dwal_frame_size(key_bytes.len, len);
	cleanup_free void *frame = size ? malloc(size) : NULL;
	int err = frame ? dwal_frame_encode(DWAL_RAW, txid, key_bytes, payload_bytes, frame)
			: -ENOMEM;

	return err ? err : put(writer, frame, size);
}

/* It announced what may have gone. */
static int put_header(struct writer *writer, const struct dwal_record *record,
		      const struct dwal_header *header)
{
	cleanup_free void *payload = NULL;
	size_t len;
	int err = reclaim_header(record, header, &payload, &len);

	return err ? err : put_raw(writer, HEADER_KEY, record->txid, payload, len);
}

static int put_horizon(struct writer *writer)
{
	char payload[HORIZON_SIZE];
	size_t len = horizon_put(writer->plan->horizon, payload);

	return put_raw(writer, HORIZON_KEY, writer->plan->horizon_txid, payload, len);
}

/* As it is, byte for byte, and where the key directory finds it then. */
static int put_record(struct writer *writer, const struct dwal_record *record, const void *frame)
{
	struct dwal_kv *kv = writer->reclaim->kv;
	int err = moves_add_run(&writer->moves, record->offset, writer->end);

	if (!err)
		err = put(writer, frame, record->length);
	if (err || !kv_is_live(kv, record))
		return err;
	return moves_add_hash(&writer->moves, keydir_hash(&kv->keydir, record->key));
}

static int write_record(struct writer *writer, uint64_t i, const struct dwal_record *record,
			const void *frame)
{
	const struct plan *plan = writer->plan;
	struct dwal_horizon horizon;
	struct dwal_header header;
	bool merges = !horizon_is_empty(plan->horizon);

	if (merges && i == plan->horizon_at)
		return put_horizon(writer);
	if (!plan_stays(plan, i) || (merges && dwal_horizon_parse(record, &horizon)))
		return 0;
	if (dwal_header_parse(record, &header))
		return put_header(writer, record, &header);
	return put_record(writer, record, frame);
}

/* What was planned is read again, and must be whole again. */
static int write_all(struct writer *writer)
{
	enum dwal_frame_status status;
	struct dwal_record record;
	struct segment_scan scan;
	uint64_t i = 0;
	int err;

	segment_scan_init(&scan, writer->segment, 0, writer->plan->end);
	while ((err = segment_scan_next(&scan, &record, &status)) == 0) {
		err = i < writer->plan->records ? write_record(writer, i++, &record,
							       segment_scan_frame(&scan, &record))
						: -EIO;
		if (!err)
			err = reclaim_work(writer->reclaim, record.length);
		if (err)
			break;
	}
	if (err == DWAL_END)
		err = status == DWAL_FRAME_OK && i == writer->plan->records ? 0 : -EIO;
	segment_scan_release(&scan);
	return err;
}

/* Times of records without a header hang on the file's. */
static int keep_times(const struct writer *writer)
{
	struct stat st;
	int err = writer->io->fstat(writer->io, writer->segment->fd, &st);
	const struct timespec times[2] = {st.st_atim, st.st_mtim};

	return err ? err : writer->io->futimens(writer->io, writer->fd, times);
}

/* What superseded the records that go was appended before now, and must be there
 * for good before they are gone; nor may somebody have taken it away. */
static int write_file(struct writer *writer)
{
	int err;

	writer->buffer = malloc(BUFFER_SIZE);
	err = writer->buffer ? write_all(writer) : -ENOMEM;
	if (!err)
		err = flush(writer);
	if (!err)
		err = keep_times(writer);
	if (!err)
		err = writer->io->fsync(writer->io, writer->fd);
	if (!err)
		err = dwal_kv_sync(writer->reclaim->kv);
	if (!err)
		err = dwal_kv_check(writer->reclaim->kv);
	free(writer->buffer);
	return err;
}

/* From now on everybody finds the new file; what the key directory says of
 * places in the old one is put right in small steps. */
static void switch_over(struct writer *writer, struct segment *rewritten)
{
	struct dwal_kv *kv = writer->reclaim->kv;
	struct moves *moves = &writer->moves;

	rewritten->records = writer->records;
	moves->segment = rewritten->id;
	moves->odd = rewritten->generation % 2;
	pthread_mutex_lock(&kv->write); /* no append is in flight */
	kv_lock_index(kv);
	log_replace(kv->log, writer->segment, rewritten);
	kv->moving = moves;
	kv_unlock_index(kv);
	pthread_mutex_unlock(&kv->write);
	for (size_t i = 0; i < moves->hash_count; i += MOVE_AT_ONCE) {
		size_t left = moves->hash_count - i;

		kv_lock_index(kv);
		keydir_move(&kv->keydir, moves, i, left < MOVE_AT_ONCE ? left : MOVE_AT_ONCE);
		kv_unlock_index(kv);
	}
	kv_lock_index(kv);
	kv->moving = NULL;
	kv_unlock_index(kv);
}

/* Within segment_enter(). Once it is retired that is never left. */
static int rewrite(struct writer *writer, bool *retired)
{
	dwal_log *log = writer->reclaim->kv->log;
	struct segment *rewritten = NULL;
	int err = write_file(writer);

	if (!err)
		err = log_rewrite_install(log, writer->segment, &writer->fd, &rewritten);
	*retired = rewritten;
	if (!rewritten) {
		log_rewrite_cancel(log, writer->segment, &writer->fd);
		return err;
	}
	switch_over(writer, rewritten);
	(void)segment_unref(writer->segment); /* the log's; only read from */
	return err;
}

static int write_once(struct reclaim *reclaim, struct segment *segment, const struct plan *plan)
{
	struct writer writer = {.reclaim = reclaim,
				.segment = segment,
				.plan = plan,
				.io = kv_io(reclaim->kv),
				.fd = -1};
	bool retired = false;
	int err = segment_enter(segment);

	if (!err) {
		err = writer.fd = log_rewrite_begin(reclaim->kv->log, segment);
		if (err >= 0)
			err = rewrite(&writer, &retired);
		if (!retired)
			segment_leave(segment);
	}
	moves_release(&writer.moves);
	if (!err)
		reclaim->stats.bytes_freed += plan->end > writer.end ? plan->end - writer.end : 0;
	return err;
}

/* On a full disk these two take the room that is kept for this: what is rewritten will be shorter.
 */
int reclaim_seal(struct reclaim *reclaim, uint32_t active)
{
	dwal_log *log = reclaim->kv->log;
	int err = dwal_kv_rotate(reclaim->kv);

	if (io_is_full(err) && log_lend_reserve(log) == 0) {
		err = dwal_kv_rotate(reclaim->kv);
		log_end_lending(log);
	}
	return err ? reclaim_fail(reclaim, active, "cannot be sealed", err) : 0;
}

int reclaim_write(struct reclaim *reclaim, struct segment *segment, const struct plan *plan)
{
	dwal_log *log = reclaim->kv->log;
	int err = write_once(reclaim, segment, plan);

	if (io_is_full(err) && log_lend_reserve(log) == 0) {
		err = write_once(reclaim, segment, plan);
		log_end_lending(log);
	}
	return err ? reclaim_fail(reclaim, segment->id, "cannot be rewritten", err) : 0;
}
