/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Blocks that are kept for a full disk: ahead of a segment, and in a file.
 * Must not know who uses them.
 */
#include "reserve.h"
#include "logname.h"
#include "util.h"

#include <errno.h>

void reserve_init(struct reserve *reserve, const struct io *io, bool wanted)
{
	*reserve = (struct reserve){.io = io, .dirfd = -1, .wanted = wanted, .fd = -1};
}

int reserve_release(struct reserve *reserve)
{
	return io_close(reserve->io, &reserve->fd);
}

/* ----------------------------------------------------------------- the file */

static bool is_whole(const struct stat *st)
{
	return (uint64_t)st->st_size == RESERVE_SIZE &&
	       (uint64_t)st->st_blocks * 512 >= RESERVE_SIZE;
}

/* Of no use: another name of it keeps the blocks. */
static bool is_shared(const struct stat *st)
{
	return st->st_nlink != 1;
}

/* One that is there. 0, or -ENOENT. */
static int open_file(struct reserve *reserve)
{
	const struct io *io = reserve->io;
	struct stat st;
	int fd = file_open(io, reserve->dirfd, LOGNAME_RESERVE, O_RDWR, &st);

	if (fd < 0)
		return fd;
	if (is_shared(&st)) {
		(void)io_close(io, &fd); /* only looked at */
		return -ENOENT;
	}
	reserve->fd = fd;
	reserve->is_held = is_whole(&st);
	return 0;
}

/* In place of one that is of no use. */
static int create_file(struct reserve *reserve, int fd)
{
	const struct io *io = reserve->io;
	struct file_like like;
	int rc = io->unlinkat(io, reserve->dirfd, LOGNAME_RESERVE, 0);

	if (!rc || rc == -ENOENT)
		rc = file_like_fd(io, fd, &like);
	if (!rc)
		rc = file_create(io, reserve->dirfd, LOGNAME_RESERVE, O_WRONLY, &like);
	if (rc < 0)
		return rc;
	reserve->fd = rc;
	return 0;
}

/* Bytes that no file system makes fewer blocks of. */
static int fill(struct reserve *reserve)
{
	cleanup_free uint64_t *words = malloc(RESERVE_SIZE);
	uint64_t state = 0x9e3779b97f4a7c15u;

	if (!words)
		return -ENOMEM;
	for (size_t i = 0; i < RESERVE_SIZE / sizeof(*words); i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		words[i] = state;
	}
	return io_pwrite_full(reserve->io, reserve->fd, words, RESERVE_SIZE, 0);
}

/* 0 or -errno. */
static int find_or_create(struct reserve *reserve, int fd)
{
	int rc = reserve->fd < 0 ? open_file(reserve) : 0;

	return rc == -ENOENT ? create_file(reserve, fd) : rc;
}

int reserve_make(struct reserve *reserve, int fd)
{
	int rc;

	if (!reserve->wanted || reserve->is_held)
		return 0;
	if (reserve->is_lent)
		return -ENOSPC;
	rc = find_or_create(reserve, fd);
	if (!rc && !reserve->is_held) {
		rc = fill(reserve);
		reserve->is_held = !rc;
		if (rc)
			(void)reserve->io->ftruncate(reserve->io, reserve->fd, 0); /* nor half */
	}
	if (!rc || io_is_full(rc))
		return rc;
	reserve->is_unable = true; /* the append shows what is wrong, if anything is */
	return 0;
}

/* By cutting it: xfs gives back the blocks of what was unlinked later, when it
 * has the time. Whether its name is still there does not matter. */
int reserve_give_up(struct reserve *reserve)
{
	int rc = reserve->fd < 0 ? open_file(reserve) : 0;

	if (rc == -ENOENT || (!rc && !reserve->is_held))
		return DWAL_ABSENT;
	if (!rc)
		rc = reserve->io->ftruncate(reserve->io, reserve->fd, 0);
	if (!rc)
		reserve->is_held = false;
	return rc;
}

/* -------------------------------------------------------------------- ahead */

int reserve_ahead(struct reserve *reserve, int fd, uint64_t end, uint64_t n)
{
	uint64_t from = reserve->ahead > end ? reserve->ahead : end, goal = end + n;
	int rc;

	if (!reserve->wanted || reserve->no_ahead || goal <= reserve->ahead)
		return 0;
	n = (goal - from + RESERVE_STEP - 1) / RESERVE_STEP * RESERVE_STEP;
	rc = io_allocate(reserve->io, fd, from, n);
	if (io_is_full(rc)) {
		n = goal - from;
		rc = io_allocate(reserve->io, fd, from, n);
	}
	if (!rc)
		reserve->ahead = from + n;
	else if (!io_is_full(rc))
		reserve->no_ahead = true; /* the append shows what is wrong, if anything is */
	return io_is_full(rc) ? rc : 0;
}

void reserve_ahead_anew(struct reserve *reserve, int fd, uint64_t end)
{
	struct stat st;

	reserve->ahead = 0;
	if (!reserve->wanted || reserve->no_ahead || reserve->io->fstat(reserve->io, fd, &st))
		return;
	(void)reserve_ahead(reserve, fd, end, RESERVE_KEEP); /* else the file must do */
	file_keep_time(reserve->io, fd, &st);
}

int reserve_cut(const struct io *io, int fd)
{
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	return rc ? rc : file_cut(io, fd, (uint64_t)st.st_size);
}
