/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A disk of so many bytes, beneath a table of system calls that fails them:
 * what has no blocks yet takes some, and a cut gives them back.
 */
#ifndef FULL_DISK_H
#define FULL_DISK_H

#include "fault_io.h"

struct full_disk {
	struct fault_io fault; /* first */
	uint64_t room;
	uint64_t blocks[FAULT_FDS]; /* bytes that the file has, from its start */
	bool no_ahead, no_create;
};

static inline struct full_disk *full_disk_of(const struct io *io)
{
	return (struct full_disk *)(uintptr_t)io;
}

static inline int full_disk_take(struct full_disk *disk, int fd, uint64_t end)
{
	uint64_t more = end > disk->blocks[fd] ? end - disk->blocks[fd] : 0;

	if (more > disk->room)
		return -ENOSPC;
	disk->room -= more;
	disk->blocks[fd] += more;
	return 0;
}

static inline int full_disk_open(const struct io *io, int dirfd, const char *name, int flags,
				 mode_t mode)
{
	struct full_disk *disk = full_disk_of(io);
	struct stat st;
	int fd;

	if (flags & O_CREAT && disk->no_create)
		return -ENOSPC;
	fd = fault_open(io, dirfd, name, flags, mode);
	if (fd >= 0 && fstat(fd, &st) == 0)
		disk->blocks[fd] = (uint64_t)st.st_size;
	return fd;
}

static inline ssize_t full_disk_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
					off_t offset)
{
	uint64_t end = (uint64_t)offset;
	int rc;

	for (int i = 0; i < n; i++)
		end += iov[i].iov_len;
	rc = full_disk_take(full_disk_of(io), fd, end);
	return rc ? rc : fault_pwritev(io, fd, iov, n, offset);
}

static inline int full_disk_allocate(const struct io *io, int fd, off_t offset, off_t n)
{
	struct full_disk *disk = full_disk_of(io);
	int rc = fault_enter(&disk->fault, "allocate", disk->fault.names[fd]);

	if (!rc && disk->no_ahead)
		rc = -EOPNOTSUPP;
	return rc ? rc : full_disk_take(disk, fd, (uint64_t)(offset + n));
}

static inline int full_disk_ftruncate(const struct io *io, int fd, off_t size)
{
	struct full_disk *disk = full_disk_of(io);
	int rc = fault_ftruncate(io, fd, size);

	if (!rc && disk->blocks[fd] > (uint64_t)size) {
		disk->room += disk->blocks[fd] - (uint64_t)size;
		disk->blocks[fd] = (uint64_t)size;
	}
	return rc;
}

static inline void full_disk_init(struct full_disk *disk, uint64_t room)
{
	memset(disk, 0, sizeof(*disk));
	fault_init(&disk->fault);
	disk->room = room;
	disk->fault.no_sync = true;
	disk->fault.io.open = full_disk_open;
	disk->fault.io.pwritev = full_disk_pwritev;
	disk->fault.io.allocate = full_disk_allocate;
	disk->fault.io.ftruncate = full_disk_ftruncate;
}

#endif
