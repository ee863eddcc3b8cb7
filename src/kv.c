/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The key/value store: a log, or a reader of one, and the key directory that
 * is the fold of its records. Opening and changing it; reading values is
 * value.c. Never looks at a file itself.
 */
#include "kv.h"

#include "batch.h"
#include "horizon.h"
#include "keyed_hash.h"
#include "log.h"
#include "reader.h"
#include "util.h"

#include <errno.h>

/* As often as glibc's adaptive mutexes try at most: 99.9 % of the puts beside a compaction
 * took up to 108 us without, 20 with it; ten times as many tries were no better. */
#define TRIES 100

#define FEW 8 /* records of a batch that needs no memory but the stack's */

struct fold {
	struct keydir_loader loader;
	struct tags *tags;
	dwal_observe_fn observe; /* the caller's; may be NULL */
	dwal_lost_fn lost;       /* the same */
	void *observe_ctx;
};

static int fold_put(struct keydir_loader *loader, const struct dwal_record *record)
{
	const struct keydir_value value = {
		.offset = record->offset,
		.txid = record->txid,
		.segment = record->segment,
		.value_len = (uint32_t)record->payload.len,
	};

	return keydir_load(loader, record->key, &value);
}

static int fold_record(void *ctx, const struct dwal_record *record)
{
	struct fold *fold = ctx;
	int err = 0;

	if (record->type == DWAL_PUT)
		err = fold_put(&fold->loader, record);
	else if (record->type == DWAL_DELETE)
		err = keydir_load(&fold->loader, record->key, NULL);
	else
		tags_note(fold->tags, record);
	if (!err && fold->observe)
		err = fold->observe(fold->observe_ctx, record);
	return err;
}

/* What was the last value stands for it, and cannot be read: an older one would
 * pass for it. */
static int fold_lost(void *ctx, const struct dwal_lost *lost)
{
	struct fold *fold = ctx;
	int err = 0;

	if (lost->key_known && lost->record.type == DWAL_PUT)
		err = fold_put(&fold->loader, &lost->record);
	if (!err && fold->lost)
		err = fold->lost(fold->observe_ctx, lost);
	return err;
}

static int open_reading(dwal_kv *kv, const struct io *io, const char *dir,
			const struct dwal_options *options, struct fold *fold,
			struct dwal_error *error)
{
	const struct reader_replay what = {fold_record, fold_lost, fold, options->degraded,
					   options->verify};
	int err = reader_open(io, dir, &kv->reader, error);

	return err ? err : reader_replay(kv->reader, &what, error);
}

static int open_writing(dwal_kv *kv, const struct io *io, const char *dir,
			const struct dwal_options *options, struct fold *fold,
			struct dwal_error *error)
{
	struct dwal_options mine = *options;

	mine.observe = fold_record;
	mine.observe_ctx = fold;
	mine.sync_apart = true; /* kv->write is held over an append */
	kv->sync_apart = options->sync_apart;
	return log_open(io, dir, &mine, &kv->log, error);
}

void kv_lock_index(dwal_kv *kv)
{
	for (int i = 0; i < TRIES; i++)
		if (!pthread_rwlock_trywrlock(&kv->index))
			return;
	pthread_rwlock_wrlock(&kv->index);
}

void kv_share_index(dwal_kv *kv)
{
	for (int i = 0; i < TRIES; i++)
		if (!pthread_rwlock_tryrdlock(&kv->index))
			return;
	pthread_rwlock_rdlock(&kv->index);
}

void kv_unlock_index(dwal_kv *kv)
{
	pthread_rwlock_unlock(&kv->index);
}

static int make_locks(dwal_kv *kv)
{
	pthread_rwlockattr_t attr;
	int err = pthread_rwlockattr_init(&attr);

	if (err)
		return -err;
	/* otherwise a stream of lookups can keep a writer out for ever */
	err = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	if (!err)
		err = pthread_rwlock_init(&kv->index, &attr);
	(void)pthread_rwlockattr_destroy(&attr); /* cannot fail */
	if (err)
		return -err;
	(void)pthread_mutex_init(&kv->write, NULL); /* nor can these */
	(void)pthread_mutex_init(&kv->compacting, NULL);
	return 0;
}

/* One without a log yet. */
static int new_kv(const char *dir, const struct dwal_options *options, dwal_kv **out,
		  struct dwal_error *error)
{
	dwal_kv *kv = calloc(1, sizeof(*kv));
	int err = kv ? make_locks(kv) : -ENOMEM;

	if (err) {
		free(kv);
		return error_set(error, err, "%s: %s", dir, dwal_strerror(err));
	}
	io_waiting_init(&kv->waiting, options->waits);
	kv->progress = options->progress;
	kv->progress_ctx = options->progress_ctx;
	keydir_init(&kv->keydir, keyed_hash_key());
	*out = kv;
	return 0;
}

int kv_open(const struct io *io, const char *dir, const struct dwal_options *options, dwal_kv **out,
	    struct dwal_error *error)
{
	static const struct dwal_options defaults;
	struct fold fold;
	dwal_kv *kv = NULL;
	int err, flushed;

	if (!options)
		options = &defaults;
	if (options->degraded && !options->read_only)
		return error_set(error, -EINVAL, "%s: degraded is for reading only", dir);
	err = new_kv(dir, options, &kv, error);
	if (err)
		return err;
	fold = (struct fold){{.dir = &kv->keydir},
			     &kv->tags,
			     options->observe,
			     options->lost,
			     options->observe_ctx};
	if (!io && options->waits)
		io = &kv->waiting.io;
	err = options->read_only ? open_reading(kv, io, dir, options, &fold, error)
				 : open_writing(kv, io, dir, options, &fold, error);
	flushed = keydir_load_flush(&fold.loader);
	if (!err && flushed)
		err = error_set(error, flushed, "%s: out of memory", dir);
	if (err) {
		(void)dwal_kv_close(kv); /* the first error is the one to tell */
		return err;
	}
	*out = kv;
	return 0;
}

int dwal_kv_open(const char *dir, const struct dwal_options *options, dwal_kv **out,
		 struct dwal_error *error)
{
	return kv_open(NULL, dir, options, out, error);
}

int dwal_kv_close(dwal_kv *kv)
{
	int err;

	if (!kv)
		return 0;
	err = dwal_log_close(kv->log);
	dwal_reader_close(kv->reader);
	keydir_release(&kv->keydir);
	tags_release(&kv->tags);
	(void)pthread_mutex_destroy(&kv->compacting);
	(void)pthread_mutex_destroy(&kv->write); /* nobody holds them any more */
	(void)pthread_rwlock_destroy(&kv->index);
	free(kv);
	return err;
}

/* Every key is one that a record can have; *puts: how many of them get a value. */
static int look_over(const dwal_kv *kv, const struct dwal_op *ops, size_t n, size_t *puts)
{
	*puts = 0;
	for (size_t i = 0; i < n; i++) {
		if (ops[i].key.len > DWAL_MAX_KEY)
			return DWAL_EKEYSIZE;
		if (ops[i].type == DWAL_PUT)
			++*puts;
		else if (ops[i].type == DWAL_DELETE)
			keydir_prefetch(&kv->keydir, ops[i].key);
	}
	return 0;
}

/* Those of the first n. */
static void take_back(dwal_kv *kv, const struct dwal_op *ops, size_t n, const struct slot *ready)
{
	kv_lock_index(kv);
	for (size_t i = 0; i < n; i++)
		if (ops[i].type == DWAL_PUT)
			keydir_cancel(&kv->keydir, &ready[i]);
	kv_unlock_index(kv);
}

/* Makes ready what the batch will put, so that once it is in the log nothing can fail. */
static int prepare(dwal_kv *kv, const struct dwal_op *ops, size_t n, struct slot *ready)
{
	size_t puts, i = 0;
	int err = look_over(kv, ops, n, &puts);

	if (err || !puts)
		return err;
	kv_lock_index(kv);
	err = keydir_reserve(&kv->keydir, puts);
	for (; !err && i < n; i++)
		if (ops[i].type == DWAL_PUT)
			err = keydir_prepare(&kv->keydir, ops[i].key, &ready[i]);
	kv_unlock_index(kv);
	if (err && i)
		take_back(kv, ops, i - 1, ready);
	return err;
}

static void note_raw(dwal_kv *kv, const struct dwal_op *op)
{
	const struct dwal_record record = {.key = op->key, .payload = op->payload};

	tags_note(&kv->tags, &record);
}

static void apply(dwal_kv *kv, const struct dwal_op *ops, size_t n, const struct slot *ready,
		  const struct dwal_place *places)
{
	kv_lock_index(kv);
	for (size_t i = 0; i < n; i++) {
		const struct keydir_value value = {
			.offset = places[i].offset,
			.txid = places[i].txid,
			.segment = places[i].segment,
			.value_len = (uint32_t)ops[i].payload.len,
		};

		if (ops[i].type == DWAL_PUT)
			keydir_set(&kv->keydir, &ready[i], &value);
		else if (ops[i].type == DWAL_DELETE)
			keydir_remove(&kv->keydir, ops[i].key);
		else
			note_raw(kv, &ops[i]);
	}
	kv_unlock_index(kv);
}

/* What the store makes of it that the log has them, or, with an error, has not. */
static void settle(dwal_kv *kv, const struct batch_records *records, const struct slot *ready,
		   const struct dwal_place *places, int err)
{
	if (err)
		take_back(kv, records->ops, records->n, ready);
	else
		apply(kv, records->ops, records->n, ready, places);
}

static struct batch_records records_of(const struct dwal_batch *batch)
{
	return (struct batch_records){
		.ops = batch->ops,
		.n = batch->n,
		.is_operation = true,
		.lines = batch->lines,
		.line_count = batch->n_lines,
		.may_use_reserve = batch->may_use_reserve,
		.ahead = batch->ahead,
	};
}

int dwal_kv_ahead(dwal_kv *kv, const struct dwal_batch *batch, dwal_ahead **out)
{
	const struct batch_records records = records_of(batch);

	return kv->log ? log_ahead(kv->log, &records, out) : DWAL_EREADONLY;
}

int dwal_kv_write(dwal_kv *kv, const struct dwal_batch *batch, struct dwal_place *places)
{
	const struct batch_records records = records_of(batch);
	const size_t n = batch->n;
	struct slot few_slots[FEW], *ready = few_slots;
	struct dwal_place few_places[FEW];
	cleanup_free void *many_slots = NULL, *many_places = NULL;
	int err;

	if (!kv->log)
		return DWAL_EREADONLY;
	if (n > FEW)
		ready = many_slots = calloc(n, sizeof(*ready));
	if (!places)
		places = n > FEW ? many_places = calloc(n, sizeof(*places)) : few_places;
	if (!ready || !places)
		return -ENOMEM;
	do {
		pthread_mutex_lock(&kv->write);
		err = prepare(kv, batch->ops, n, ready);
		if (!err) {
			err = log_append(kv->log, &records, places);
			settle(kv, &records, ready, places, err);
		}
		pthread_mutex_unlock(&kv->write);
	} while (err == DWAL_EUNSYNCED && !kv->sync_apart && (err = dwal_log_sync(kv->log)) == 0);
	return err;
}

int dwal_kv_batch(dwal_kv *kv, const struct dwal_op *ops, size_t n, const struct dwal_line *lines,
		  size_t n_lines, struct dwal_place *places)
{
	return dwal_kv_write(kv, &(struct dwal_batch){ops, n, lines, n_lines, false, NULL}, places);
}

int dwal_kv_put(dwal_kv *kv, const void *key, size_t key_len, const void *value, size_t value_len)
{
	const struct dwal_op op = {DWAL_PUT, {key, key_len}, {value, value_len}};

	return dwal_kv_batch(kv, &op, 1, NULL, 0, NULL);
}

int dwal_kv_delete(dwal_kv *kv, const void *key, size_t key_len)
{
	const struct dwal_op op = {DWAL_DELETE, {key, key_len}, {NULL, 0}};
	const struct dwal_batch batch = {.ops = &op, .n = 1, .may_use_reserve = true};

	return dwal_kv_write(kv, &batch, NULL);
}

int dwal_kv_tag(dwal_kv *kv, const char *name, uint64_t txid)
{
	struct dwal_op op = {.type = DWAL_RAW, .key = {TAG_KEY, strlen(TAG_KEY)}};
	cleanup_free char *payload = NULL;
	int err = tag_make(name, txid, &payload, &op.payload.len);

	op.payload.data = payload;
	return err ? err : dwal_kv_batch(kv, &op, 1, NULL, 0, NULL);
}

int kv_segment_at(dwal_kv *kv, const struct dwal_place *place, struct segment **out)
{
	struct segment *found = kv_segment(kv, place->segment);

	if (!found || found->generation != place->generation) {
		(void)segment_unref(found); /* nothing was read */
		return DWAL_EGONE;
	}
	*out = found;
	return 0;
}

/* Its segment may have been rewritten since it was noted. Under the lock. */
static struct keydir_value as_it_stands(const dwal_kv *kv, const struct keydir_value *value)
{
	const struct moves *moves = kv->moving;
	struct keydir_value now = *value;

	if (moves && moves->segment == value->segment && moves->odd != value->odd) {
		now.offset = moves_offset(moves, value->offset);
		now.odd = moves->odd;
	}
	return now;
}

bool kv_live(dwal_kv *kv, struct dwal_bytes key, struct keydir_value *out)
{
	const struct keydir_value *found;

	kv_share_index(kv);
	found = keydir_find(&kv->keydir, key);
	if (found)
		*out = as_it_stands(kv, found);
	kv_unlock_index(kv);
	return found;
}

bool kv_is_live(dwal_kv *kv, const struct dwal_record *record)
{
	struct keydir_value live;

	return record->type == DWAL_PUT && kv_live(kv, record->key, &live) &&
	       live.segment == record->segment && live.offset == record->offset;
}

int kv_find(dwal_kv *kv, struct dwal_bytes key, struct dwal_place *place, struct segment **segment)
{
	const struct keydir_value *found;
	struct segment *stands_in = NULL;
	int err = DWAL_ABSENT;

	kv_share_index(kv);
	found = keydir_find(&kv->keydir, key);
	if (found) {
		/* under the lock: place and file belong together */
		stands_in = kv_segment(kv, found->segment);
		err = stands_in ? 0 : DWAL_EGONE;
	}
	if (stands_in) {
		const struct keydir_value now = as_it_stands(kv, found);

		*place = kv_place(&now, key.len, stands_in->generation);
	}
	kv_unlock_index(kv);
	if (!err)
		*segment = stands_in;
	return err;
}

bool dwal_kv_contains(dwal_kv *kv, const void *key, size_t key_len)
{
	bool found;

	kv_share_index(kv);
	found = keydir_find(&kv->keydir, (struct dwal_bytes){key, key_len});
	kv_unlock_index(kv);
	return found;
}

int dwal_kv_ref_of(dwal_kv *kv, const void *key, size_t key_len, struct dwal_place *place,
		   uint32_t *value_len)
{
	struct segment *segment;
	int err = kv_find(kv, (struct dwal_bytes){key, key_len}, place, &segment);

	if (err)
		return err;
	(void)segment_unref(segment); /* nothing was read */
	*value_len = place->length - dwal_frame_size(key_len, 0);
	return 0;
}

size_t dwal_kv_len(dwal_kv *kv)
{
	size_t len;

	kv_share_index(kv);
	len = keydir_len(&kv->keydir);
	kv_unlock_index(kv);
	return len;
}

bool dwal_kv_is_empty(dwal_kv *kv)
{
	return dwal_kv_len(kv) == 0;
}

struct dwal_place kv_place(const struct keydir_value *value, size_t key_len, uint32_t generation)
{
	return (struct dwal_place){
		.segment = value->segment,
		.generation = generation,
		.offset = value->offset,
		.length = dwal_frame_size(key_len, value->value_len),
		.txid = value->txid,
	};
}
