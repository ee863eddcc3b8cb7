/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Are the files still this writer's own? Somebody may remove, replace, cut or
 * append to them: then nothing may be called durable any more. Looked at after
 * each sync and now and then, not with each append. Must not change anything
 * but the lock's file.
 */
#include "log_state.h"
#include "logname.h"
#include "clock.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* A change of the directory within its clock's tick does not show. */
#define TICK_SECONDS 2

/* Every second one goes when there are too many, so that they stay spread
 * over what was appended since the last check. */
static void thin_out(dwal_log *log)
{
	for (size_t i = 0; i < LOG_MARKS / 2; i++)
		log->marks[i] = log->marks[2 * i];
	log->mark_count = LOG_MARKS / 2;
	log->mark_stride *= 2;
}

static void mark(dwal_log *log, const unsigned char *last_bytes)
{
	const struct segment *active = log_active(log);
	struct log_mark *next;

	if (log->mark_count == LOG_MARKS)
		thin_out(log);
	next = &log->marks[log->mark_count++];
	next->segment = active->id;
	next->end = active->end;
	memcpy(next->bytes, last_bytes, sizeof(next->bytes));
}

void log_end_append(dwal_log *log, const unsigned char *last_bytes)
{
	log->appends_ended++;
	if (last_bytes && log->appends_ended % log->mark_stride == 0)
		mark(log, last_bytes);
}

int log_begin_checks(dwal_log *log)
{
	struct segment *active = log_active(log);
	unsigned char bytes[sizeof(log->marks[0].bytes)];
	int rc = 0;

	log->highest_made = active->id;
	log->mark_stride = 1;
	if (active->end < sizeof(bytes))
		return 0;
	rc = segment_read(active, active->end - sizeof(bytes), bytes, sizeof(bytes));
	if (!rc)
		mark(log, bytes);
	return rc > 0 ? -EIO : rc; /* cut since it was scanned */
}

/* DWAL_EPOISONED, with the reason; the first stays. */
__attribute__((format(printf, 3, 4))) static int found(dwal_log *log, uint32_t segment,
						       const char *format, ...)
{
	char what[160], name[LOGNAME_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args); /* cut if long */
	va_end(args);
	logname_segment(segment, name);
	pthread_mutex_lock(&log->state_lock);
	if (!atomic_load(&log->refusal)) {
		(void)snprintf(log->refusal_text, sizeof(log->refusal_text), /* cut if long */
			       "%.200s/%s: %s: nothing is written any more, reading goes on; `cp "
			       "MOUNT/.log/*.dwal` still rescues the bytes where this log is "
			       "mounted; then open it again",
			       log->dir, name, what);
		atomic_store(&log->refusal, DWAL_EPOISONED);
	}
	pthread_mutex_unlock(&log->state_lock);
	return DWAL_EPOISONED;
}

static int cannot(dwal_log *log, uint32_t segment, int rc)
{
	return found(log, segment, "cannot be checked (%s)", dwal_strerror(rc));
}

static int check_name(dwal_log *log, const struct segment *segment)
{
	char name[LOGNAME_SIZE];
	struct stat st;
	int rc;

	logname_segment(segment->id, name);
	rc = log->io->fstatat(log->io, log->dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (rc == -ENOENT)
		return found(log, segment->id, "somebody has removed or renamed this file");
	if (rc)
		return cannot(log, segment->id, rc);
	if (st.st_ino != segment->ino || st.st_dev != segment->dev)
		return found(log, segment->id, "somebody has replaced this file");
	return 0;
}

/* What is known of the segment's end, and whether an append may move it. */
struct moment {
	uint64_t end;
	uint64_t begun;
	bool idle;
};

static struct moment look(dwal_log *log, const struct segment *segment)
{
	struct moment moment;

	pthread_mutex_lock(&log->state_lock);
	moment = (struct moment){
		.end = segment->end,
		.begun = log->appends_begun,
		.idle = log->appends_begun == log->appends_ended,
	};
	pthread_mutex_unlock(&log->state_lock);
	return moment;
}

static int check_size(dwal_log *log, const struct segment *segment, uint64_t least)
{
	struct moment before = look(log, segment), after;
	struct stat st;
	uint64_t size;
	int rc = log->io->fstat(log->io, segment->fd, &st);

	if (rc)
		return cannot(log, segment->id, rc);
	after = look(log, segment);
	size = (uint64_t)st.st_size;
	if (before.idle && before.begun == after.begun)
		least = before.end;
	if (size < least)
		return found(log, segment->id, "somebody has cut this file (%llu of %llu bytes)",
			     (unsigned long long)size, (unsigned long long)least);
	if (before.idle && before.begun == after.begun && size > least)
		return found(log, segment->id,
			     "somebody else has written to this file (%llu bytes, %llu are ours)",
			     (unsigned long long)size, (unsigned long long)least);
	return 0;
}

/* All up to this segment's last. Under state_lock. */
static void forget_marks(dwal_log *log, const struct segment *segment)
{
	size_t n = 0;

	while (n + 1 < log->mark_count && log->marks[n + 1].segment <= segment->id)
		n++;
	log->mark_count -= n;
	memmove(log->marks, log->marks + n, log->mark_count * sizeof(log->marks[0]));
	log->mark_stride = 1;
}

/* What was cut off is zeros once more was appended: the size does not tell. */
static int check_marks(dwal_log *log, const struct segment *segment)
{
	struct log_mark marks[LOG_MARKS];
	size_t n;

	pthread_mutex_lock(&log->state_lock);
	n = log->mark_count;
	memcpy(marks, log->marks, n * sizeof(marks[0]));
	forget_marks(log, segment);
	pthread_mutex_unlock(&log->state_lock);
	for (size_t i = 0; i < n; i++) {
		unsigned char bytes[sizeof(marks[0].bytes)];
		size_t got;
		int rc;

		if (marks[i].segment != segment->id)
			continue;
		rc = io_pread_full(log->io, segment->fd, bytes, sizeof(bytes),
				   marks[i].end - sizeof(bytes), &got);
		if (rc)
			return cannot(log, segment->id, rc);
		if (got < sizeof(bytes) || memcmp(bytes, marks[i].bytes, got) != 0)
			return found(log, segment->id,
				     "somebody has cut or overwritten this file before offset %llu",
				     (unsigned long long)marks[i].end);
	}
	return 0;
}

static int highest(void *ctx, const char *name)
{
	uint32_t *most = ctx, id;

	if (logname_parse_segment(name, &id) && id > *most)
		*most = id;
	return 0;
}

/* Listed only if the directory has changed since it was last listed. */
static int check_names(dwal_log *log, const struct stat *dir)
{
	uint32_t most = 0, ours;
	struct timespec now;
	int rc;

	if (timespec_equal(dir->st_ctim, log->listed))
		return 0;
	(void)clock_gettime(CLOCK_REALTIME, &now); /* a valid clock */
	do
		rc = log->io->list(log->io, log->dirfd, highest, &most);
	while (segment_pool_spare(&log->pool, rc));
	pthread_mutex_lock(&log->state_lock);
	ours = log->highest_made; /* set before a name is made: after the listing */
	pthread_mutex_unlock(&log->state_lock);
	if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM)
		return 0; /* says nothing of the files: the next check lists them */
	if (rc)
		return cannot(log, ours, rc);
	if (most > ours)
		return found(log, most, "somebody else has made this segment");
	if (dir->st_ctim.tv_sec + TICK_SECONDS < now.tv_sec)
		log->listed = dir->st_ctim;
	return 0;
}

static int check_directory(dwal_log *log, uint32_t segment)
{
	struct stat st;
	int rc = log->io->fstat(log->io, log->dirfd, &st);

	if (rc)
		return cannot(log, segment, rc);
	if (!st.st_nlink)
		return found(log, segment, "somebody has removed the directory of this file");
	return check_names(log, &st);
}

static int check_lock(dwal_log *log, const struct segment *segment)
{
	struct file_like like;
	int rc = file_like_fd(log->io, segment->fd, &like);

	if (!rc)
		rc = lock_renew(log->io, log->dirfd, &like, &log->lock);
	/* the directory's lock keeps others out until this works */
	if (!rc || log->lock.directory)
		return 0;
	return found(log, segment->id, "the lock is gone and cannot be taken again (%s)",
		     dwal_strerror(rc));
}

int log_check(dwal_log *log, const struct segment *segment, uint64_t least)
{
	int rc = check_directory(log, segment->id);

	if (!rc)
		rc = check_name(log, segment);
	if (!rc)
		rc = check_size(log, segment, least);
	if (!rc)
		rc = check_marks(log, segment);
	return rc ? rc : check_lock(log, segment);
}
