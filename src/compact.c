/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Compaction into a fresh log. It is built under a temporary name beside the
 * target, and gets its own name once everything in it is durable, so that
 * bearing the name means being complete. Changes nothing in the source.
 */
#include "file.h"
#include "kv.h"
#include "log.h"
#include "logname.h"
#include "path.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define BATCH_RECORDS 256
#define NAMES_MOST    1000
#define BATCH_BYTES   (1u << 20) /* of frames; one larger record is a batch of its own */

/* The directory being built. Held by a flock until it is released: whoever
 * finds the name without that finds what a crash has left. */
struct target {
	const struct io *io;
	const char *given; /* for messages */
	char *path;        /* absolute, without links */
	char *temp;        /* the same, with the temporary name */
	const char *name;  /* the last component of each */
	const char *temp_name;
	bool exists;           /* an empty directory is there already: */
	struct file_like like; /* what it is like */
	int parent;            /* descriptors; -1 while not open */
	int dir;               /* the one named temp */
};

static int refuse(const struct target *target, const char *why, struct dwal_error *error)
{
	return error_set(error, DWAL_ETARGET, "%s: %s; name a directory that is absent or empty",
			 target->given, why);
}

static int fail(const struct target *target, int err, struct dwal_error *error)
{
	return error_set(error, err, "%s: cannot write the compacted log: %s", target->given,
			 dwal_strerror(err));
}

static int stop_at_any(void *ctx, const char *name)
{
	return 1;
}

static int check_empty(struct target *target, const struct stat *st, struct dwal_error *error)
{
	int fd, rc;

	if (!S_ISDIR(st->st_mode))
		return refuse(target, "exists and is not a directory", error);
	fd = io_open_dir(target->io, AT_FDCWD, target->given);
	if (fd < 0)
		return fail(target, fd, error);
	target->exists = true;
	target->like = file_like(st, fd);
	target->like.mode = st->st_mode & 07777;
	rc = target->io->list(target->io, fd, stop_at_any, NULL);
	if (rc > 0)
		return refuse(target, "is not empty", error);
	return rc ? fail(target, rc, error) : 0;
}

/* Finds out what the target is called and that it may be made. */
static int resolve(struct target *target, const char *source, struct dwal_error *error)
{
	cleanup_free char *real_source = realpath(source, NULL);
	struct stat st;
	int err = target->io->fstatat(target->io, AT_FDCWD, target->given, &st, 0);
	bool exists = !err;

	if (!*target->given || (err && err != -ENOENT))
		return fail(target, err, error);
	target->path = path_resolve(target->given);
	if (!target->path || !real_source)
		return fail(target, -errno, error);
	if (path_is_within(target->path, real_source))
		return refuse(target, "is the log itself or inside it", error);
	return exists ? check_empty(target, &st, error) : 0;
}

static int open_parent(struct target *target, struct dwal_error *error)
{
	char *slash = strrchr(target->path, '/');

	target->name = slash + 1;
	*slash = 0;
	target->parent = io_open_dir(target->io, AT_FDCWD, *target->path ? target->path : "/");
	*slash = '/';
	return target->parent < 0 ? fail(target, target->parent, error) : 0;
}

/* The n-th name that a compaction to this target may be built under. */
static int set_temp_name(struct target *target, unsigned n)
{
	int dir = (int)(target->name - target->path);
	char count[16] = "";

	if (n > 1)
		(void)snprintf(count, sizeof(count), ".%u", n); /* fits */
	free(target->temp);
	target->temp_name = NULL;
	if (asprintf(&target->temp, "%.*s.%s.dwal-compact%s", dir, target->path, target->name,
		     count) < 0) {
		target->temp = NULL;
		return -ENOMEM;
	}
	target->temp_name = target->temp + dir;
	return 0;
}

/* Only what a compaction makes: nobody else's file is removed. */
static int is_made_by_one(void *ctx, const char *name)
{
	uint32_t id;

	return strcmp(name, LOGNAME_LOCK) == 0 || logname_parse_segment(name, &id) ? 0 : -ENOTEMPTY;
}

static int remove_one(void *ctx, const char *name)
{
	struct target *target = ctx;

	return target->io->unlinkat(target->io, target->dir, name, 0);
}

/* What stays is removed by the next compaction to this target. */
static int remove_temp(struct target *target)
{
	const struct io *io = target->io;
	int err = io->list(io, target->dir, is_made_by_one, NULL);

	if (!err)
		err = io->list(io, target->dir, remove_one, target);
	return err ? err : io->unlinkat(io, target->parent, target->temp_name, AT_REMOVEDIR);
}

enum { AGAIN = 1, TAKEN = 2 };

/* Opens and locks what bears the temporary name. 0; AGAIN when the name leads
 * elsewhere meanwhile; TAKEN when it is not ours; -EWOULDBLOCK when a
 * compaction of ours works on it; -errno. */
static int open_temp(struct target *target, bool *locked)
{
	const struct io *io = target->io;
	struct stat st;
	int err;

	target->dir = io_open(io, target->parent, target->temp_name,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (target->dir < 0)
		return target->dir == -ENOENT ? AGAIN : target->dir;
	err = io->fstat(io, target->dir, &st);
	if (!err && st.st_uid != geteuid() && !(target->exists && st.st_uid == target->like.uid))
		return TAKEN;
	if (!err)
		err = io->flock(io, target->dir, LOCK_EX | LOCK_NB);
	*locked = !err;
	if (err == -EWOULDBLOCK)
		return err;
	err = file_is_named(io, target->parent, target->temp_name, target->dir);
	return err < 0 ? err : err ? 0 : AGAIN;
}

/* It was made just now: it must be empty, and it becomes like the target. */
static int take_new(struct target *target)
{
	bool locked;
	int err = open_temp(target, &locked);

	if (err == -EWOULDBLOCK)
		return AGAIN; /* taken for left over */
	if (!err)
		err = target->io->list(target->io, target->dir, stop_at_any, NULL);
	if (err == 1) /* not empty, or led elsewhere: it is somebody else's */
		return TAKEN;
	if (!err && target->exists)
		err = file_make_like(target->io, target->dir, &target->like);
	if (err < 0) /* what cannot be removed is found by the next compaction */
		(void)target->io->unlinkat(target->io, target->parent, target->temp_name,
					   AT_REMOVEDIR);
	return err;
}

/* It was there: a compaction of ours that was killed has left it, or it stays. */
static int remove_left_over(struct target *target)
{
	bool locked;
	int err = open_temp(target, &locked);

	if (err == -ENOTDIR || err == -ELOOP || err == -EACCES || err == -EPERM)
		return TAKEN;
	if (err)
		return err;
	if (!locked) /* it may be in use: that cannot be told */
		return TAKEN;
	err = remove_temp(target);
	return err && err != -ENOENT ? TAKEN : AGAIN;
}

static int try_hold(struct target *target)
{
	const struct io *io = target->io;
	int err = io->mkdirat(io, target->parent, target->temp_name, 0700);

	if (err && err != -EEXIST)
		return err;
	err = err ? remove_left_over(target) : take_new(target);
	if (err)
		(void)io_close(io, &target->dir); /* nothing was written to it */
	return err;
}

/* Makes the temporary directory, under a name that nobody else has. */
static int hold(struct target *target, struct dwal_error *error)
{
	int err = TAKEN;

	for (unsigned n = 1; err == TAKEN && n < NAMES_MOST; n++) {
		err = set_temp_name(target, n);
		while (!err || err == AGAIN) {
			err = try_hold(target);
			if (!err)
				return 0;
		}
	}
	target->temp_name = NULL; /* not ours */
	if (err == -EWOULDBLOCK)
		return error_set(error, DWAL_ELOCKED,
				 "%s: another process is compacting to it; wait for its end",
				 target->given);
	return fail(target, err == TAKEN ? -EEXIST : err, error);
}

struct batch {
	dwal_kv *kv;
	dwal_log *log;
	struct target *target;
	struct dwal_compact_options options;
	size_t n;
	size_t bytes; /* of frames */
	struct dwal_op ops[BATCH_RECORDS];
	void *buffers[BATCH_RECORDS]; /* what the payloads point into */
	struct dwal_compact_stats stats;
};

static void forget(struct batch *batch)
{
	while (batch->n > 0)
		free(batch->buffers[--batch->n]);
	batch->bytes = 0;
}

static int flush(struct batch *batch, struct dwal_error *error)
{
	int err = batch->n > 0 ? dwal_log_append(batch->log, batch->ops, batch->n, NULL) : 0;

	batch->stats.live_keys += batch->n;
	batch->stats.records_written += batch->n;
	batch->stats.bytes_written += batch->bytes;
	forget(batch);
	return err ? fail(batch->target, err, error) : 0;
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
		return fail(batch->target, err, error);
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
	void *buffer = batch->buffers[batch->n];
	int err;

	batch->bytes -= length;
	err = flush(batch, error);
	if (!err)
		err = write_operation(batch, &put, kept, error);
	free(buffer);
	return err;
}

static int add(struct batch *batch, const struct dwal_item *item, struct dwal_error *error)
{
	struct dwal_op *op = &batch->ops[batch->n];
	struct dwal_kept kept;
	int err;

	*op = (struct dwal_op){.type = DWAL_PUT, .key = item->key};
	err = kv_read_item(batch->kv, item, &batch->buffers[batch->n], &op->payload, error);
	if (err)
		return err;
	batch->n++;
	batch->bytes += item->place.length;
	err = ask(batch, item, &kept, error);
	if (err)
		return err;
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

static int copy_live(struct batch *batch, struct dwal_error *error)
{
	struct dwal_item item;
	dwal_cursor *cursor;
	int err = dwal_kv_cursor(batch->kv, &cursor);

	if (err)
		return fail(batch->target, err, error);
	while (!err && dwal_cursor_next(cursor, &item) == 0)
		err = add(batch, &item, error);
	if (!err)
		err = flush(batch, error);
	if (!err)
		err = add_keyless(batch, error);
	forget(batch);
	dwal_cursor_close(cursor);
	return err;
}

static int fill(struct batch *batch, struct dwal_error *error)
{
	int err = copy_live(batch, error);

	if (err)
		return err;
	err = dwal_log_sync(batch->log);
	return err ? fail(batch->target, err, error) : 0;
}

static int build(dwal_kv *kv, struct target *target, const struct dwal_compact_options *options,
		 struct dwal_compact_stats *stats, struct dwal_error *error)
{
	cleanup_free struct batch *batch = calloc(1, sizeof(*batch));
	int err, closed, dirfd = target->io->dup(target->io, target->dir);

	if (!batch || dirfd < 0) {
		(void)io_close(target->io, &dirfd); /* nothing was done with it */
		return fail(target, batch ? dirfd : -ENOMEM, error);
	}
	batch->kv = kv;
	batch->target = target;
	if (options)
		batch->options = *options;
	err = log_open_at(target->io, dirfd, target->temp, &batch->log, error);
	if (err)
		return err;
	err = fill(batch, error);
	closed = dwal_log_close(batch->log);
	if (!err && closed)
		err = fail(target, closed, error);
	if (!err)
		*stats = batch->stats;
	return err;
}

static int publish(struct target *target, struct dwal_error *error)
{
	const struct io *io = target->io;
	int err = io->fsync(io, target->dir);

	if (!err)
		err = io->renameat2(io, target->parent, target->temp_name, target->parent,
				    target->name, 0);
	if (err == -ENOTEMPTY || err == -EEXIST || err == -ENOTDIR)
		return refuse(target, "was made or filled by somebody else meanwhile", error);
	if (!err) {
		target->temp_name = NULL; /* nothing to remove any more */
		err = io->fsync(io, target->parent);
	}
	return err ? fail(target, err, error) : 0;
}

static void release(struct target *target)
{
	const struct io *io = target->io;

	if (target->dir >= 0 && target->temp_name)
		(void)remove_temp(target);
	(void)io_close(io, &target->dir);
	(void)io_close(io, &target->parent); /* both synced, or of no more interest */
	file_like_release(io, &target->like);
	free(target->path);
	free(target->temp);
}

int dwal_kv_compact_to(dwal_kv *kv, const char *path, const struct dwal_compact_options *options,
		       struct dwal_compact_stats *stats, struct dwal_error *error)
{
	struct target target = {
		.io = kv_io(kv), .given = path, .like.fd = -1, .parent = -1, .dir = -1};
	struct dwal_compact_stats done;
	int err = resolve(&target, kv_dir(kv), error);

	if (!err)
		err = open_parent(&target, error);
	if (!err)
		err = hold(&target, error);
	if (!err)
		err = build(kv, &target, options, &done, error);
	if (!err)
		err = publish(&target, error);
	release(&target);
	if (!err && stats)
		*stats = done;
	return err;
}
