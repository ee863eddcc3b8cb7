/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Opening a log for writing. The order is the point: what is found is synced
 * before it is read, nothing is changed before all of it was read, a torn
 * tail is safe in a side file before it is cut off, and the active segment
 * is synced again before anything is appended. Must not know keys.
 */
#include "log_state.h"
#include "logname.h"
#include "recover.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static int explain(const dwal_log *log, int rc, const char *what, struct dwal_error *error)
{
	return error_set(error, rc, "%s: %s: %s", log->dir, what, dwal_strerror(rc));
}

static const struct dwal_options defaults;

static dwal_log *new_log(const struct io *io, const char *dir, const struct dwal_options *options)
{
	dwal_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->dir = strdup(dir);
	if (!log->dir) {
		free(log);
		return NULL;
	}
	log->io = io ? io : &io_system;
	log->dirfd = log->lock.fd = -1;
	segment_pool_init(&log->pool, log->io, -1);
	log->segment_size = options->segment_size;
	log->sync_apart = options->sync_apart;
	reserve_init(&log->reserve, log->io, options->reserve);
	pthread_mutex_init(&log->name_lock, NULL);
	pthread_mutex_init(&log->append_lock, NULL);
	pthread_mutex_init(&log->state_lock, NULL);
	pthread_cond_init(&log->sync_done, NULL);
	return log;
}

/* Without must_exist it is made. */
static int open_directory(dwal_log *log, bool must_exist, struct dwal_error *error)
{
	int rc = must_exist ? 0 : io_make_dirs(log->io, log->dir, 0700);

	if (rc)
		return explain(log, rc, "cannot create the directory", error);
	log->dirfd = io_open_dir(log->io, AT_FDCWD, log->dir);
	return log->dirfd < 0 ? explain(log, log->dirfd, "cannot open the directory", error) : 0;
}

/* With must_exist a directory that holds no log is left without even a lock
 * file. */
static int lock_directory(dwal_log *log, const struct dwal_options *options,
			  struct dwal_error *error)
{
	cleanup_free uint32_t *ids = NULL;
	struct file_like like;
	size_t n;
	int rc = segment_list(log->io, log->dirfd, log->dir, &ids, &n, error);

	if (rc)
		return rc;
	if (!n && options->must_exist)
		return error_set(error, -ENOENT, "%s: not a log: no segment there", log->dir);
	rc = segment_like(log->io, log->dirfd, ids, n, &like);
	if (rc)
		return explain(log, rc, "cannot look at the newest segment", error);
	rc = lock_acquire(log->io, log->dirfd, log->dir, options->lock_wait_ms, &like, &log->lock,
			  error);
	file_like_release(log->io, &like);
	return rc;
}

/* The first segment of a new log. The writer that made the directory may have
 * died before its name was durable, so the parent is synced here as well. */
static int create_first(dwal_log *log)
{
	struct file_like like;
	struct segment *first;
	int rc = io_sync_dir(log->io, log->dirfd, "..");

	if (rc && rc != -EACCES) /* not readable for us: then not made by us either */
		return rc;
	rc = log_reserve_segment(log);
	if (!rc)
		rc = segment_like(log->io, log->dirfd, NULL, 0, &like);
	if (!rc)
		rc = segment_create(log->io, log->dirfd, 1, &like, &first);
	if (rc)
		return rc;
	log_add_segment(log, first);
	return log->io->fsync(log->io, log->dirfd);
}

static int open_segments(dwal_log *log, const uint32_t *ids, size_t n, struct dwal_error *error)
{
	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		struct segment *segment;
		int rc = log_reserve_segment(log);

		if (!rc && last)
			rc = segment_open(log->io, log->dirfd, ids[i], O_RDWR, &segment);
		else if (!rc)
			rc = segment_find_sealed(&log->pool, ids[i], &segment);
		if (rc == DWAL_ENOTFILE)
			return segment_not_a_file(log->dir, ids[i], error);
		if (rc)
			return explain(log, rc, "cannot open the segments", error);
		log_add_segment(log, segment);
	}
	return 0;
}

static int find_segments(dwal_log *log, bool must_exist, struct dwal_error *error)
{
	cleanup_free uint32_t *ids = NULL;
	size_t n;
	int rc = segment_list(log->io, log->dirfd, log->dir, &ids, &n, error);

	if (rc)
		return rc;
	if (n)
		return open_segments(log, ids, n, error);
	rc = must_exist ? -ENOENT : create_first(log);
	return rc ? explain(log, rc, must_exist ? "no segment" : "cannot create a segment", error)
		  : 0;
}

/* Makes what the cache shows of the active segment what the disk has: a
 * writer before us may have failed to write it and be gone. */
static int distrust_cache(const dwal_log *log)
{
	const struct io *io = log->io;
	int fd = log_active(log)->fd;
	int rc = io->fdatasync(io, fd);

	if (!rc)
		(void)io->fadvise(io, fd, 0, 0, POSIX_FADV_DONTNEED); /* advice only */
	return rc;
}

/* For 'strict'. A crash and damage look alike here: it claims neither. */
static int refuse_intact(const dwal_log *log, struct dwal_error *error)
{
	const struct dwal_damage *damage = log->report.pub.damage;
	char text[400];

	dwal_damage_text(damage, NULL, text, sizeof(text));
	return error_set_at(error, DWAL_EBEHIND, damage->segment, damage->offset, damage->reason,
			    "%.200s: opened strictly, so nothing was changed: %s", log->dir, text);
}

static int replay(dwal_log *log, const struct dwal_options *options, struct dwal_error *error)
{
	struct recovery recovery = {
		.dir = log->dir,
		.verify = options->verify,
		.dirfd = log->dirfd,
		.observe = options->observe,
		.observe_ctx = options->observe_ctx,
		.report = &log->report,
	};
	const struct dwal_report *report = &log->report.pub;

	for (size_t i = 0; i < log->count; i++) {
		bool active = i + 1 == log->count;
		int rc = recover_replay(&recovery, log->segments[i], active, error);

		if (rc)
			return rc;
	}
	log->last_txid = report->last_txid_seen;
	return options->strict && report->intact.records ? refuse_intact(log, error) : 0;
}

struct sweep {
	const dwal_log *log;
	bool removed;
};

static int remove_temp(void *ctx, const char *name)
{
	struct sweep *sweep = ctx;
	const dwal_log *log = sweep->log;

	/* One that stays is only untidy: nobody reads it. */
	if (logname_is_temp_file(name) && log->io->unlinkat(log->io, log->dirfd, name, 0) == 0)
		sweep->removed = true;
	return 0;
}

static int remove_temps(const dwal_log *log)
{
	struct sweep sweep = {.log = log};
	int rc = log->io->list(log->io, log->dirfd, remove_temp, &sweep);

	return rc || !sweep.removed ? rc : log->io->fsync(log->io, log->dirfd);
}

__attribute__((format(printf, 2, 3))) static void refuse_writes(dwal_log *log, const char *format,
								...)
{
	char what[320], name[LOGNAME_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args); /* cut if long */
	va_end(args);
	logname_segment(log_active(log)->id, name);
	(void)snprintf(log->refusal_text, sizeof(log->refusal_text), /* cut if long */
		       "%.200s/%s: read-only: %s; make that possible, then open the log again",
		       log->dir, name, what);
	atomic_store(&log->refusal, DWAL_EREADONLY);
}

/* Something is to be tried again once, with the room that was kept for it:
 * ahead of the segment by a writer that was killed, and in the file. */
static bool make_way(dwal_log *log, int why)
{
	if (!io_is_full(why))
		return false;
	(void)reserve_cut(log->io, log_active(log)->fd); /* room only */
	(void)reserve_give_up(&log->reserve);            /* the second try tells */
	return true;
}

/* A backup by hard links is not to change with the log. */
static int part_from_backups(dwal_log *log)
{
	struct segment *active = log_active(log);
	int why, rc = recover_own_copy(log->io, log->dirfd, active, &why);

	if (rc > 0 && make_way(log, why))
		rc = recover_own_copy(log->io, log->dirfd, active, &why);
	if (rc > 0)
		refuse_writes(
			log,
			"the file has other names (a backup), and could not be copied (%s) so "
			"that they stay what they are",
			dwal_strerror(why));
	return rc < 0 ? rc : 0;
}

static int cut_tail(dwal_log *log)
{
	const struct dwal_report *report = &log->report.pub;
	struct segment *active = log_active(log);
	int why, rc = recover_cut_tail(log->io, log->dirfd, active, &log->report, &why);

	if (rc > 0 && make_way(log, why))
		rc = recover_cut_tail(log->io, log->dirfd, active, &log->report, &why);
	if (rc > 0)
		refuse_writes(log,
			      "the torn tail of %llu bytes at offset %llu, with %llu intact "
			      "records, could not be copied to a side file (%s), so nothing was "
			      "cut off",
			      (unsigned long long)report->tail_bytes_discarded,
			      (unsigned long long)active->end,
			      (unsigned long long)report->intact.records, dwal_strerror(why));
	return rc < 0 ? rc : 0;
}

/* The first changes to what was found. */
static int repair(dwal_log *log, struct dwal_error *error)
{
	int rc = remove_temps(log);

	if (rc)
		return explain(log, rc, "cannot remove temporary files", error);
	rc = part_from_backups(log);
	if (rc)
		return explain(log, rc, "cannot copy the active segment", error);
	if (log->report.pub.tail_truncated && !atomic_load(&log->refusal))
		rc = cut_tail(log);
	/* Also when nothing was cut: a writer before us may have died between
	 * its cut and its sync. */
	if (!rc)
		rc = log->io->fdatasync(log->io, log_active(log)->fd);
	if (rc)
		return explain(log, rc, "cannot cut off the torn tail", error);
	rc = report_side_files(&log->report, log->io, log->dirfd);
	if (rc)
		return explain(log, rc, "cannot list the directory", error);
	rc = log_begin_checks(log);
	return rc ? explain(log, rc, "cannot read the active segment", error) : 0;
}

static int open_locked(dwal_log *log, const struct dwal_options *options, struct dwal_error *error)
{
	int rc = log->io->fsync(log->io, log->dirfd);

	if (rc)
		return explain(log, rc, "cannot sync the directory", error);
	rc = find_segments(log, options->must_exist, error);
	if (rc)
		return rc;
	rc = distrust_cache(log);
	if (rc)
		return explain(log, rc, "cannot sync the active segment", error);
	rc = replay(log, options, error);
	if (!rc)
		rc = repair(log, error);
	if (rc)
		return rc;
	log_renew_reserve(log);
	log_take_room(log);
	return 0;
}

/* In the directory at log->dirfd. Takes the log over. */
static int open_in_directory(dwal_log *log, const struct dwal_options *options, dwal_log **out,
			     struct dwal_error *error)
{
	int rc;

	log->pool.dirfd = log->reserve.dirfd = log->dirfd;
	rc = lock_directory(log, options, error);
	if (!rc) {
		rc = open_locked(log, options, error);
		if (rc)
			lock_remove_trace(log->io, log->dirfd, &log->lock);
	}
	if (rc) {
		(void)dwal_log_close(log); /* the first error tells */
		return rc;
	}
	*out = log;
	return 0;
}

int log_open(const struct io *io, const char *dir, const struct dwal_options *options,
	     dwal_log **out, struct dwal_error *error)
{
	dwal_log *log;
	int rc;

	if (!options)
		options = &defaults;
	log = new_log(io, dir, options);
	if (!log)
		return error_set(error, -ENOMEM, "%s: %s", dir, dwal_strerror(-ENOMEM));
	rc = open_directory(log, options->must_exist, error);
	if (rc) {
		(void)dwal_log_close(log); /* the first error tells */
		return rc;
	}
	return open_in_directory(log, options, out, error);
}

int dwal_log_open(const char *dir, const struct dwal_options *options, dwal_log **out,
		  struct dwal_error *error)
{
	return log_open(NULL, dir, options, out, error);
}

int log_open_at(const struct io *io, int dirfd, const char *dir, dwal_log **out,
		struct dwal_error *error)
{
	dwal_log *log = new_log(io, dir, &defaults);

	if (!log) {
		(void)io_close(io ? io : &io_system, &dirfd); /* nothing done */
		return error_set(error, -ENOMEM, "%s: %s", dir, dwal_strerror(-ENOMEM));
	}
	log->dirfd = dirfd;
	return open_in_directory(log, &defaults, out, error);
}
