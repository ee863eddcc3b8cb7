/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Making a log that is there as a whole or not at all. It gets its own name once
 * everything in it is durable, so that bearing the name means being complete.
 * Must not know what is written into it.
 */
#include "target.h"

#include "log.h"
#include "logname.h"
#include "path.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#define NAMES_MOST 1000

static int refuse(const struct target *target, const char *why, struct dwal_error *error)
{
	return error_set(error, DWAL_ETARGET, "%s: %s; name a directory that is absent or empty",
			 target->given, why);
}

int target_fail(const struct target *target, int err, struct dwal_error *error)
{
	return error_set(error, err, "%s: cannot write the new log: %s", target->given,
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
		return target_fail(target, fd, error);
	target->exists = true;
	target->like = file_like(st, fd);
	target->like.mode = st->st_mode & 07777;
	rc = target->io->list(target->io, fd, stop_at_any, NULL);
	if (rc > 0)
		return refuse(target, "is not empty", error);
	return rc ? target_fail(target, rc, error) : 0;
}

/* Finds out what the target is called and that it may be made. */
static int resolve(struct target *target, const char *source, struct dwal_error *error)
{
	cleanup_free char *real_source = realpath(source, NULL);
	struct stat st;
	int err = target->io->fstatat(target->io, AT_FDCWD, target->given, &st, 0);
	bool exists = !err;

	if (!*target->given || (err && err != -ENOENT))
		return target_fail(target, err, error);
	target->path = path_resolve(target->given);
	if (!target->path || !real_source)
		return target_fail(target, -errno, error);
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
	return target->parent < 0 ? target_fail(target, target->parent, error) : 0;
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
				 "%s: another process is writing to it; wait for its end",
				 target->given);
	return target_fail(target, err == TAKEN ? -EEXIST : err, error);
}

int target_begin(struct target *target, const struct io *io, const char *given, const char *source,
		 struct dwal_error *error)
{
	int err;

	*target = (struct target){.io = io, .given = given, .like.fd = -1, .parent = -1, .dir = -1};
	err = resolve(target, source, error);
	if (!err)
		err = open_parent(target, error);
	return err ? err : hold(target, error);
}

int target_log(const struct target *target, dwal_log **out, struct dwal_error *error)
{
	int dirfd = target->io->dup(target->io, target->dir);

	return dirfd < 0 ? target_fail(target, dirfd, error)
			 : log_open_at(target->io, dirfd, target->temp, out, error);
}

int target_publish(struct target *target, struct dwal_error *error)
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
	return err ? target_fail(target, err, error) : 0;
}

void target_release(struct target *target)
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
