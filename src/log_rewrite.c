/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Another file takes the name of a sealed segment. The order is the point: it
 * is synced before it is renamed, and the directory is synced before anything
 * is done because of it. Must not know what was left out of it.
 */
#include "index.h"
#include "log.h"
#include "log_state.h"
#include "logname.h"
#include "util.h"

#include <errno.h>

int log_rewrite_begin(dwal_log *log, struct segment *segment)
{
	char name[LOGNAME_TEMP_SIZE];
	struct file_like like;
	int fd, rc = file_like_fd(log->io, segment->fd, &like);

	if (rc)
		return rc;
	logname_rewritten(segment->id, name);
	(void)log->io->unlinkat(log->io, log->dirfd, name, 0); /* or the next step says it */
	do
		fd = file_create(log->io, log->dirfd, name, O_RDWR, &like);
	while (segment_pool_spare(&log->pool, fd));
	return fd;
}

void log_rewrite_cancel(dwal_log *log, const struct segment *segment, int *fd)
{
	char name[LOGNAME_TEMP_SIZE];

	logname_rewritten(segment->id, name);
	(void)io_close(log->io, fd);                           /* nothing is lost with it */
	(void)log->io->unlinkat(log->io, log->dirfd, name, 0); /* or the next open does it */
}

/* Somebody else may have put another file there. */
static int rename_over(dwal_log *log, const struct segment *segment)
{
	char name[LOGNAME_SIZE], temp[LOGNAME_TEMP_SIZE];
	int rc;

	logname_segment(segment->id, name);
	logname_rewritten(segment->id, temp);
	rc = file_is_named(log->io, log->dirfd, name, segment->fd);
	if (rc < 0)
		return rc;
	return rc ? log->io->renameat2(log->io, log->dirfd, temp, log->dirfd, name, 0) : -ESTALE;
}

/* For good, before there is a file that it does not describe: sizes and times of the
 * two can be the same. */
static int remove_index(dwal_log *log, const struct segment *segment)
{
	char name[LOGNAME_TEMP_SIZE];
	int rc;

	logname_index(segment->id, name);
	rc = log->io->unlinkat(log->io, log->dirfd, name, 0);
	if (rc == -ENOENT)
		return 0;
	return rc ? rc : log->io->fsync(log->io, log->dirfd);
}

static int take_name(dwal_log *log, const struct segment *segment)
{
	int rc;

	pthread_mutex_lock(&log->name_lock);
	rc = remove_index(log, segment);
	if (!rc)
		rc = rename_over(log, segment);
	pthread_mutex_unlock(&log->name_lock);
	return rc;
}

int log_publish_index(dwal_log *log, struct segment *segment, struct index_writer *writer)
{
	char name[LOGNAME_SIZE];
	int rc;

	logname_segment(segment->id, name);
	pthread_mutex_lock(&log->name_lock);
	rc = file_is_named(log->io, log->dirfd, name, segment->fd);
	if (rc >= 0)
		rc = rc ? index_publish(writer, segment->id) : -ESTALE;
	pthread_mutex_unlock(&log->name_lock);
	return rc;
}

int log_rewrite_install(dwal_log *log, struct segment *segment, int *fd, struct segment **out)
{
	struct segment *rewritten = segment_rewritten(segment, fd);
	int rc = rewritten ? take_name(log, segment) : -ENOMEM;

	if (rc) {
		(void)segment_unref(rewritten); /* the first error tells */
		return rc;
	}
	segment_seal(rewritten);
	*out = rewritten;
	rc = log->io->fsync(log->io, log->dirfd);
	if (rc)
		log_poison(log, "syncing the directory after rewriting it", segment->id, rc);
	return rc;
}

void log_replace(dwal_log *log, struct segment *old, struct segment *rewritten)
{
	pthread_mutex_lock(&log->append_lock);
	pthread_mutex_lock(&log->state_lock);
	for (size_t i = 0; i < log->count; i++)
		if (log->segments[i] == old)
			log->segments[i] = rewritten;
	pthread_mutex_unlock(&log->state_lock);
	pthread_mutex_unlock(&log->append_lock);
}
