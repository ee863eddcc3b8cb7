/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A disk in memory: the calls that read, write and sync bytes.
 */
#include "disk_calls.h"

/* Remembers what a change of the bytes from..to, with this size before, has
 * made of its sectors. */
static void remember(struct disk_file *file, size_t size_before, size_t from, size_t to)
{
	size_t first = from / DISK_SECTOR, end = (to + DISK_SECTOR - 1) / DISK_SECTOR;
	size_t count = end > first ? end - first : 0;
	struct disk_write *write = calloc(1, sizeof(*write) + count * DISK_SECTOR);

	CHECK(write);
	write->refs = 1;
	write->size_before = size_before;
	write->size = file->cache.len;
	write->cuts = write->size < size_before;
	write->first = first;
	write->count = count;
	for (size_t i = 0; i < count * DISK_SECTOR; i++) {
		size_t at = first * DISK_SECTOR + i;

		write->bytes[i] = at < file->cache.len ? file->cache.data[at] : 0;
	}
	file->pending = realloc(file->pending, (file->pending_count + 1) * sizeof(write));
	CHECK(file->pending);
	file->pending[file->pending_count++] = write;
}

void disk_truncate(struct disk *disk, struct disk_file *file, size_t size)
{
	size_t before = file->cache.len, low = size < before ? size : before;

	disk_bytes_resize(&file->cache, size);
	/* the rest of the last sector becomes zeros */
	file->short_end = 0;
	remember(file, before, low, size > before ? size : low % DISK_SECTOR ? low + 1 : low);
	file->mtime.tv_sec = ++disk->clock;
}

ssize_t sim_pread(const struct io *io, int fd, void *buffer, size_t n, off_t offset)
{
	struct disk *disk = disk_of(io);
	const struct disk_bytes *cache = &file_of(disk, fd)->cache;
	bool struck = strikes(disk, "read");

	if (struck && disk->fault != DISK_SHORT)
		return disk->fail_with;
	if (struck && n > 1)
		n /= 2;
	if ((size_t)offset >= cache->len)
		return 0;
	if (n > cache->len - (size_t)offset)
		n = cache->len - (size_t)offset;
	memcpy(buffer, cache->data + offset, n);
	return (ssize_t)n;
}

/* Where a kill may come in between: where a frame or a sector begins, and
 * within. */
static bool is_between(const unsigned char *data, size_t n, size_t i, size_t offset)
{
	return i == 1 || i == n - 1 || (offset + i) % DISK_SECTOR == 0 ||
	       (n - i >= 4 && memcmp(data + i, "DWAL", 4) == 0) || i == n / 2;
}

/* A page is copied into the cache before it can be written back: all that one
 * call makes of a sector is one version of it. */
static void write_bytes(struct disk *disk, int fd, const unsigned char *data, size_t n,
			size_t offset)
{
	struct disk_file *file = file_of(disk, fd);
	size_t done = 0, before = file->cache.len, start = offset;
	bool on = file->short_end && file->short_end == offset && file->pending_count;

	if (on) {
		start = file->short_start;
		before = file->short_before;
	}
	while (done < n) {
		size_t i = done + 1;

		while (i < n && !is_between(data, n, i, offset))
			i++;
		tell(disk, done ? DISK_WITHIN_WRITE : "write", fd_name(disk, fd));
		if (offset + i > file->cache.len)
			disk_bytes_resize(&file->cache, offset + i);
		memcpy(file->cache.data + offset + done, data + done, i - done);
		if (done || on)
			disk_forget_last(file);
		remember(file, before, start, offset + i);
		file->mtime.tv_sec = ++disk->clock;
		done = i;
	}
	file->short_start = start;
	file->short_before = before;
	file->short_end = 0;
}

ssize_t sim_pwritev(const struct io *io, int fd, const struct iovec *iov, int n, off_t offset)
{
	struct disk *disk = disk_of(io);
	bool struck = strikes(disk, "write");
	unsigned char *data = NULL;
	size_t len = 0;

	if (struck && disk->fault == DISK_FAILS)
		return disk->fail_with;
	for (int i = 0; i < n; i++) {
		data = realloc(data, len + iov[i].iov_len + 1);
		CHECK(data);
		memcpy(data + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	if (struck && len > 1)
		len /= 2;
	write_bytes(disk, fd, data, len, (size_t)offset);
	if (struck)
		file_of(disk, fd)->short_end = (size_t)offset + len;
	free(data);
	return struck && disk->fault == DISK_PART ? disk->fail_with : (ssize_t)len;
}

ssize_t sim_write(const struct io *io, int fd, const void *data, size_t n)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};

	return sim_pwritev(io, fd, &iov, 1, (off_t)file_of(disk_of(io), fd)->cache.len);
}

static bool keep_some(void *ctx)
{
	struct disk *disk = ctx;

	return unit_random(&disk->seed) >> 33 & 1;
}

static int sync_fd(struct disk *disk, int fd, const char *what)
{
	struct disk_open *open = open_of(disk, fd);
	struct disk_file *file = &disk->files[open->ino];
	bool struck = strikes(disk, what);

	if (struck && disk->fault != DISK_SHORT) {
		if (!file->is_dir && disk->fail_with != -EINTR)
			disk_fail_sync(disk, open->ino, keep_some, disk);
		return disk->fail_with;
	}
	tell(disk, what, fd_name(disk, fd));
	if (file->is_dir) {
		disk_sync_names(disk, open->ino);
		return 0;
	}
	file->durable_mtime = file->mtime;
	/* what an earlier sync has failed on is clean in the cache: not written */
	disk_bytes_resize(&file->durable, file->cache.len);
	for (size_t i = 0; i < file->pending_count; i++) {
		const struct disk_write *write = file->pending[i];
		size_t at = write->first * DISK_SECTOR, n = write->count * DISK_SECTOR;

		if (at < file->durable.len)
			memcpy(file->durable.data + at, write->bytes,
			       n < file->durable.len - at ? n : file->durable.len - at);
	}
	disk_forget_pending(file);
	return 0;
}

int sim_fsync(const struct io *io, int fd)
{
	return sync_fd(disk_of(io), fd, "fsync");
}

int sim_fdatasync(const struct io *io, int fd)
{
	return sync_fd(disk_of(io), fd, "fdatasync");
}

int sim_ftruncate(const struct io *io, int fd, off_t size)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "truncate");

	if (rc)
		return rc;
	tell(disk, "truncate", fd_name(disk, fd));
	disk_truncate(disk, file_of(disk, fd), (size_t)size);
	return 0;
}

/* Blocks alone are nothing that a crash could show. */
int sim_allocate(const struct io *io, int fd, off_t offset, off_t n)
{
	return enter(disk_of(io), "allocate");
}

static bool is_pending(const struct disk_file *file, size_t sector)
{
	for (size_t i = 0; i < file->pending_count; i++)
		if (sector >= file->pending[i]->first &&
		    sector < file->pending[i]->first + file->pending[i]->count)
			return true;
	return false;
}

/* A disk may write what it has at any time anyway. */
int sim_begin_write(const struct io *io, int fd, off_t offset, off_t n)
{
	return 0;
}

/* Pages that wait to be written stay. */
int sim_fadvise(const struct io *io, int fd, off_t offset, off_t n, int advice)
{
	struct disk *disk = disk_of(io);
	struct disk_file *file = file_of(disk, fd);
	int rc = enter(disk, "fadvise");

	if (rc || advice != POSIX_FADV_DONTNEED)
		return -rc;
	tell(disk, "fadvise", fd_name(disk, fd));
	for (size_t at = 0; at < file->cache.len; at += DISK_SECTOR) {
		size_t len =
			file->cache.len - at < DISK_SECTOR ? file->cache.len - at : DISK_SECTOR;

		if (is_pending(file, at / DISK_SECTOR))
			continue;
		for (size_t i = at; i < at + len; i++)
			file->cache.data[i] = i < file->durable.len ? file->durable.data[i] : 0;
	}
	return 0;
}
