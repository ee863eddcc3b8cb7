/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Descriptors of a writer's segments: the active one's stays open, a sealed
 * one's only while it is among those last read. Must not know what is read.
 */
#include "logname.h"
#include "segment.h"
#include "clock.h"
#include "util.h"

#include <errno.h>
#include <utlist.h>

void segment_pool_init(struct segment_pool *pool, const struct io *io, int dirfd)
{
	*pool = (struct segment_pool){.io = io, .dirfd = dirfd};
	pthread_mutex_init(&pool->lock, NULL);
}

void segment_pool_release(struct segment_pool *pool)
{
	pthread_mutex_destroy(&pool->lock);
}

/* Added to the readers of one that has no descriptor; among them are those who do not know
 * that yet. So who reads what is open takes no lock: a get then took 0.9 of the
 * instructions, and by 4 threads 0.93 of the time (medians of four by turns). */
#define SHUT (1u << 31)

/* Under the pool's lock. */
static void take_out(struct segment_pool *pool, struct segment *segment)
{
	DL_DELETE(pool->open, segment);
	pool->count--;
}

static void put_in(struct segment_pool *pool, struct segment *segment)
{
	DL_PREPEND(pool->open, segment);
	pool->count++;
}

/* Takes its descriptor: -1 if it is being read. Under the pool's lock. */
static int shut(struct segment_pool *pool, struct segment *segment)
{
	unsigned none = 0;
	int fd = segment->fd;

	if (!atomic_compare_exchange_strong(&segment->readers, &none, SHUT))
		return -1;
	take_out(pool, segment);
	segment->fd = -1;
	return fd;
}

/* Takes the descriptor of the one that was passed over for longest, and was not read since
 * then: -1 if all are being read. Under the pool's lock. */
static int take_idle(struct segment_pool *pool)
{
	int fd = -1;

	for (unsigned left = 2 * pool->count; fd < 0 && left; left--) {
		struct segment *last = pool->open->prev;

		if (!atomic_exchange(&last->was_read, false))
			fd = shut(pool, last);
		if (fd < 0) {
			take_out(pool, last);
			put_in(pool, last);
		}
	}
	return fd;
}

bool segment_pool_spare(struct segment_pool *pool, int rc)
{
	int fd;

	if (rc != -EMFILE && rc != -ENFILE)
		return false;
	pthread_mutex_lock(&pool->lock);
	fd = take_idle(pool);
	pthread_mutex_unlock(&pool->lock);
	if (fd < 0)
		return false;
	(void)io_close(pool->io, &fd); /* only read; what was written is synced */
	return true;
}

/* Of the inode that it was, and of the size. Some file systems (vfat) give an
 * inode another number when they have forgotten it; then the times tell. */
static bool is_what_was_sealed(const struct segment *segment, const struct stat *st)
{
	if (st->st_dev != segment->dev || (uint64_t)st->st_size != segment->sealed_size)
		return false;
	return st->st_ino == segment->ino || (timespec_equal(st->st_mtim, segment->sealed_mtime) &&
					      timespec_equal(st->st_ctim, segment->sealed_ctime));
}

/* The file that the segment was sealed as: nobody writes to that. */
static int open_again(struct segment *segment)
{
	struct segment_pool *pool = segment->pool;
	char name[LOGNAME_SIZE];
	struct stat st;
	int fd;

	logname_segment(segment->id, name);
	do
		fd = file_open(pool->io, pool->dirfd, name, O_RDONLY, &st);
	while (segment_pool_spare(pool, fd));
	if (fd == -ENOENT || fd == DWAL_ENOTFILE)
		return -EIO; /* not a missing key */
	if (fd >= 0 && !is_what_was_sealed(segment, &st)) {
		(void)io_close(pool->io, &fd); /* not ours */
		return -EIO;
	}
	return fd;
}

/* True, and counted as being read, if it is open. */
static bool enter_open(struct segment *segment)
{
	if (atomic_fetch_add(&segment->readers, 1) & SHUT) {
		atomic_fetch_sub(&segment->readers, 1);
		return false;
	}
	if (!atomic_load_explicit(&segment->was_read, memory_order_relaxed))
		atomic_store_explicit(&segment->was_read, true, memory_order_relaxed);
	return true;
}

int segment_enter(struct segment *segment)
{
	struct segment_pool *pool = segment->pool;
	int fd;

	if (!pool || enter_open(segment))
		return 0;
	fd = open_again(segment);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add(&segment->readers, 1);
	if (segment->fd < 0) {
		segment->fd = fd;
		put_in(pool, segment);
		atomic_fetch_and(&segment->readers, ~SHUT);
		fd = -1;
	}
	pthread_mutex_unlock(&pool->lock);
	(void)io_close(pool->io, &fd); /* somebody else was faster */
	return 0;
}

/* One, if more are open than may be. */
static void close_idle(struct segment_pool *pool)
{
	int fd;

	if (pool->count <= SEGMENTS_OPEN)
		return;
	pthread_mutex_lock(&pool->lock);
	fd = take_idle(pool);
	pthread_mutex_unlock(&pool->lock);
	(void)io_close(pool->io, &fd); /* only read; what was written is synced */
}

void segment_leave(struct segment *segment)
{
	struct segment_pool *pool = segment->pool;

	if (!pool)
		return;
	atomic_fetch_sub(&segment->readers, 1);
	close_idle(pool);
}

void segment_keep_open(struct segment *segment, struct segment_pool *pool)
{
	segment->pool = pool;
	segment->readers = 1; /* until it is sealed */
}

void segment_seal(struct segment *segment)
{
	struct segment_pool *pool = segment->pool;
	struct stat st = {0};
	int fd = -1;

	(void)pool->io->fstat(pool->io, segment->fd, &st); /* or else the number must tell */
	pthread_mutex_lock(&pool->lock);
	segment->is_sealed = true;
	segment->sealed_mtime = st.st_mtim;
	segment->sealed_ctime = st.st_ctim;
	segment->sealed_size = segment->end;
	put_in(pool, segment);
	atomic_fetch_sub(&segment->readers, 1);
	if (!segment->end)
		fd = shut(pool, segment);
	pthread_mutex_unlock(&pool->lock);
	(void)io_close(pool->io, &fd); /* empty */
	close_idle(pool);
}

int segment_find_sealed(struct segment_pool *pool, uint32_t id, struct segment **out)
{
	struct segment *segment = segment_new(pool->io, id);
	char name[LOGNAME_SIZE];
	struct stat st;
	int rc;

	if (!segment)
		return -ENOMEM;
	logname_segment(id, name);
	rc = pool->io->fstatat(pool->io, pool->dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (!rc && !S_ISREG(st.st_mode))
		rc = DWAL_ENOTFILE;
	if (rc) {
		(void)segment_unref(segment); /* nothing is open */
		return rc;
	}
	segment->pool = pool;
	segment->readers = SHUT;
	segment->is_sealed = true;
	segment->dev = st.st_dev;
	segment->ino = st.st_ino;
	segment->end = segment->sealed_size = (uint64_t)st.st_size;
	segment->sealed_mtime = st.st_mtim;
	segment->sealed_ctime = st.st_ctim;
	*out = segment;
	return 0;
}

struct segment *segment_rewritten(const struct segment *old, int *fd)
{
	struct segment *segment = segment_new(old->io, old->id);
	struct stat st;

	if (!segment || old->io->fstat(old->io, *fd, &st)) {
		free(segment);
		return NULL;
	}
	segment->generation = old->generation + 1;
	segment->fd = steal_fd(fd);
	segment->dev = st.st_dev;
	segment->ino = st.st_ino;
	segment->end = (uint64_t)st.st_size;
	segment_keep_open(segment, old->pool);
	return segment;
}

void segment_forget(struct segment *segment)
{
	struct segment_pool *pool = segment->pool;

	if (!pool || !segment->is_sealed)
		return;
	pthread_mutex_lock(&pool->lock);
	if (segment->fd >= 0)
		take_out(pool, segment);
	pthread_mutex_unlock(&pool->lock);
}
