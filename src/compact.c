/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Compaction into a fresh log. Changes nothing in the source.
 */
#include "gather.h"
#include "target.h"
#include "util.h"

#include <errno.h>

#define BATCH_RECORDS 256
#define BATCH_BYTES   (1u << 20) /* of frames; one larger record is a batch of its own */

struct batch {
	dwal_kv *kv;
	dwal_log *log;
	struct target *target;
	struct dwal_compact_options options;
	size_t n;
	size_t bytes;                      /* of frames */
	struct dwal_op ops[BATCH_RECORDS]; /* of one gather_next() */
	struct dwal_compact_stats stats;
};

static int flush(struct batch *batch, struct dwal_error *error)
{
	int err = batch->n > 0 ? dwal_log_append(batch->log, batch->ops, batch->n, NULL) : 0;

	batch->stats.live_keys += batch->n;
	batch->stats.records_written += batch->n;
	batch->stats.bytes_written += batch->bytes;
	batch->n = batch->bytes = 0;
	return err ? target_fail(batch->target, err, error) : 0;
}

static int ask(const struct batch *batch, const struct dwal_item *item, struct dwal_kept *kept,
	       struct dwal_error *error)
{
	int err = 0;

	*kept = (struct dwal_kept){0};
	if (batch->options.keep)
		err = batch->options.keep(batch->options.keep_ctx, item, kept);
	return err ? error_set(error, err, "%s: cannot tell what to keep: %s", kv_dir(batch->kv),
			       dwal_strerror(err))
		   : 0;
}

/* The Put, if any, and what is kept with it, as one operation. */
static int write_operation(struct batch *batch, const struct dwal_op *put,
			   const struct dwal_kept *kept, struct dwal_error *error)
{
	const size_t first = put ? 1 : 0, n = first + kept->n;
	cleanup_free struct dwal_op *ops = calloc(n, sizeof(*ops));
	cleanup_free struct dwal_place *places = calloc(n, sizeof(*places));
	int err = ops && places ? 0 : -ENOMEM;

	if (!err) {
		if (put)
			ops[0] = *put;
		for (size_t i = 0; i < kept->n; i++)
			ops[first + i] = kept->ops[i];
		err = dwal_log_batch(batch->log, ops, n, kept->lines, kept->n_lines, places);
	}
	if (err)
		return target_fail(batch->target, err, error);
	batch->stats.live_keys += first;
	batch->stats.records_written += n + (n > 1 || kept->n_lines > 0);
	batch->stats.bytes_written = places[n - 1].offset + places[n - 1].length;
	return 0;
}

/* The last of the batch is to be kept so. */
static int end_with(struct batch *batch, const struct dwal_kept *kept, uint32_t length,
		    struct dwal_error *error)
{
	const struct dwal_op put = batch->ops[--batch->n];
	int err;

	batch->bytes -= length;
	err = flush(batch, error);
	return err ? err : write_operation(batch, &put, kept, error);
}

static int add(struct batch *batch, const struct gathered *gathered, struct dwal_error *error)
{
	const struct dwal_item *item = &gathered->item;
	struct dwal_kept kept;
	int err = kv_progress(batch->kv, item, error);

	if (!err)
		err = ask(batch, item, &kept, error);
	if (err)
		return err;
	batch->ops[batch->n++] = (struct dwal_op){DWAL_PUT, item->key, gathered->value};
	batch->bytes += item->place.length;
	if (kept.n || kept.n_lines)
		return end_with(batch, &kept, item->place.length, error);
	if (batch->n < BATCH_RECORDS && batch->bytes < BATCH_BYTES)
		return 0;
	return flush(batch, error);
}

static int add_keyless(struct batch *batch, struct dwal_error *error)
{
	struct dwal_kept kept;
	int err;

	do {
		err = ask(batch, NULL, &kept, error);
		if (!err && kept.n > 0)
			err = write_operation(batch, NULL, &kept, error);
	} while (!err && kept.n > 0);
	return err;
}

static int add_all(struct batch *batch, struct gather *gather, struct dwal_error *error)
{
	const struct gathered *gathered;
	size_t n;
	int err;

	while ((err = gather_next(gather, &gathered, &n, error)) == 0) {
		for (size_t i = 0; !err && i < n; i++)
			err = add(batch, &gathered[i], error);
		if (!err)
			err = flush(batch, error);
		if (err)
			return err;
	}
	return err == DWAL_END ? 0 : err;
}

static int copy_live(struct batch *batch, struct dwal_error *error)
{
	struct gather *gather;
	int err = gather_open(batch->kv, &gather);

	if (err)
		return target_fail(batch->target, err, error);
	err = add_all(batch, gather, error);
	gather_close(gather);
	return err ? err : add_keyless(batch, error);
}

static int fill(struct batch *batch, struct dwal_error *error)
{
	int err = copy_live(batch, error);

	if (err)
		return err;
	err = dwal_log_sync(batch->log);
	return err ? target_fail(batch->target, err, error) : 0;
}

static int build(dwal_kv *kv, struct target *target, const struct dwal_compact_options *options,
		 struct dwal_compact_stats *stats, struct dwal_error *error)
{
	cleanup_free struct batch *batch = calloc(1, sizeof(*batch));
	int err, closed;

	if (!batch)
		return target_fail(target, -ENOMEM, error);
	batch->kv = kv;
	batch->target = target;
	if (options)
		batch->options = *options;
	err = target_log(target, &batch->log, error);
	if (err)
		return err;
	err = fill(batch, error);
	closed = dwal_log_close(batch->log);
	if (!err && closed)
		err = target_fail(target, closed, error);
	if (!err)
		*stats = batch->stats;
	return err;
}

int dwal_kv_compact_to(dwal_kv *kv, const char *path, const struct dwal_compact_options *options,
		       struct dwal_compact_stats *stats, struct dwal_error *error)
{
	struct dwal_compact_stats done;
	struct target target;
	int err = target_begin(&target, kv_io(kv), path, kv_dir(kv), error);

	if (!err)
		err = build(kv, &target, options, &done, error);
	if (!err)
		err = target_publish(&target, error);
	target_release(&target);
	if (!err && stats)
		*stats = done;
	return err;
}
