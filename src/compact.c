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
	dwal_log *log;
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

static int flush(struct batch *batch)
{
	int err = batch->n > 0 ? dwal_log_append(batch->log, batch->ops, batch->n, NULL) : 0;

	batch->stats.live_keys += batch->n;
	batch->stats.records_written += batch->n;
	batch->stats.bytes_written += batch->bytes;
	forget(batch);
	return err;
}

static int add(struct batch *batch, dwal_kv *kv, const struct dwal_item *item,
	       struct target *target, struct dwal_error *error)
{
	struct dwal_op *op = &batch->ops[batch->n];
	int err;

	*op = (struct dwal_op){.type = DWAL_PUT, .key = item->key};
	err = kv_read_item(kv, item, &batch->buffers[batch->n], &op->payload, error);
	if (err)
		return err;
	batch->n++;
	batch->bytes += item->place.length;
	if (batch->n < BATCH_RECORDS && batch->bytes < BATCH_BYTES)
		return 0;
	err = flush(batch);
	return err ? fail(target, err, error) : 0;
}

static int copy_live(dwal_kv *kv, struct target *target, struct batch *batch,
		     struct dwal_error *error)
{
	struct dwal_item item;
	dwal_cursor *cursor;
	int err = dwal_kv_cursor(kv, &cursor);

	if (err)
		return fail(target, err, error);
	while (!err && dwal_cursor_next(cursor, &item) == 0)
		err = add(batch, kv, &item, target, error);
	if (!err) {
		err = flush(batch);
		if (!err)
			err = dwal_log_sync(batch->log);
		if (err)
			(void)fail(target, err, error);
	}
	forget(batch);
	dwal_cursor_close(cursor);
	return err;
}

static int build(dwal_kv *kv, struct target *target, struct dwal_compact_stats *stats,
		 struct dwal_error *error)
{
	cleanup_free struct batch *batch = calloc(1, sizeof(*batch));
	int err, closed, dirfd = io_dup(target->dir);

	if (!batch || dirfd < 0) {
		(void)io_close(target->io, &dirfd); /* nothing was done with it */
		return fail(target, batch ? dirfd : -ENOMEM, error);
	}
	err = log_open_at(target->io, dirfd, target->temp, &batch->log, error);
	if (err)
		return err;
	err = copy_live(kv, target, batch, error);
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

int dwal_kv_compact_to(dwal_kv *kv, const char *path, struct dwal_compact_stats *stats,
		       struct dwal_error *error)
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
		err = build(kv, &target, &done, error);
	if (!err)
		err = publish(&target, error);
	release(&target);
	if (!err && stats)
		*stats = done;
	return err;
}
