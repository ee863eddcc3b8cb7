/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The floor: the bare system call with the bytes of the frame that datawal writes or
 * reads, and no index. What was put first lies first: a key's number is its place.
 */
#include <datawal.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"
#include "engine.h"

#define PIECE      ((size_t)1 << 20)
#define BATCH_MOST 1000 /* below IOV_MAX */

struct store {
	int dirfd, fd;
	bool sync;
	atomic_size_t end;
};

static void check(bool done, const char *what)
{
	if (!done)
		fail(what, strerror(errno));
}

/* All that there is, in large pieces; of them, writes as the share says to fd. */
static void read_all(const struct store *store, int to, unsigned numerator, unsigned denominator)
{
	char *piece = malloc(PIECE);
	ssize_t n = 0, part;

	check(piece && lseek(store->fd, 0, SEEK_SET) == 0, "seek");
	while ((n = read(store->fd, piece, PIECE)) > 0) {
		for (size_t left = (size_t)n * numerator / denominator; left > 0;
		     left -= (size_t)part) {
			part = write(to, piece, left < (size_t)n ? left : (size_t)n);
			check(part > 0, "write");
		}
	}
	check(n == 0, "read");
	free(piece);
}

static void *open_store(const char *dir, enum how how)
{
	struct store *store = calloc(1, sizeof(*store));

	check(store && (mkdir(dir, 0777) == 0 || errno == EEXIST), dir);
	store->dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	store->fd = openat(store->dirfd, "frames", O_RDWR | O_CREAT, 0666);
	check(store->fd >= 0, dir);
	store->sync = how == SYNCED;
	read_all(store, -1, 0, 1); /* a log is read when it is opened */
	store->end = (size_t)lseek(store->fd, 0, SEEK_END);
	return store;
}

static void close_store(void *db)
{
	struct store *store = db;

	check(close(store->fd) == 0 && close(store->dirfd) == 0, "close");
	free(store);
}

static void write_frames(struct store *store, struct iovec frame, size_t n)
{
	off_t at = (off_t)atomic_fetch_add(&store->end, n * frame.iov_len);
	struct iovec frames[BATCH_MOST];

	for (size_t i = 0; i < n; i++)
		frames[i] = frame;
	check(pwritev(store->fd, frames, (int)n, at) == (ssize_t)(n * frame.iov_len), "pwritev");
}

static void write_frame(struct store *store, struct iovec frame)
{
	off_t at = (off_t)atomic_fetch_add(&store->end, frame.iov_len);

	check(pwrite(store->fd, frame.iov_base, frame.iov_len, at) == (ssize_t)frame.iov_len,
	      "pwrite");
	check(!store->sync || fdatasync(store->fd) == 0, "fdatasync");
}

/* Its buffer goes on behind the value, as far as a frame with a key does. */
static struct iovec frame_of(size_t key_size, struct value value)
{
	return (struct iovec){(void *)(uintptr_t)value.data, dwal_frame_size(key_size, value.size)};
}

static void put(void *db, const struct key *key, struct value value)
{
	write_frame(db, frame_of(KEY_SIZE, value));
}

static void append(void *db, struct value value)
{
	write_frame(db, frame_of(0, value));
}

static void appends(void *db, struct value value, size_t n)
{
	write_frames(db, frame_of(0, value), n);
}

static void batch(void *db, const struct key *keys, size_t n, struct value value)
{
	write_frames(db, frame_of(KEY_SIZE, value), n);
}

static size_t get(void *db, const struct key *key, void *buffer, size_t size)
{
	struct store *store = db;
	size_t frame = dwal_frame_size(KEY_SIZE, size);

	check(pread(store->fd, buffer, frame, (off_t)(key->number * frame)) == (ssize_t)frame,
	      "pread");
	return size;
}

static void remove_key(void *db, const struct key *key)
{
	static char tombstone[64];

	write_frame(db, (struct iovec){tombstone, dwal_frame_size(KEY_SIZE, 0)});
}

static void scan(const char *dir)
{
	close_store(open_store(dir, PLAIN));
}

static void copy_share(const struct store *store, int to, unsigned numerator, unsigned denominator)
{
	check(to >= 0, "open");
	read_all(store, to, numerator, denominator);
	check(fdatasync(to) == 0 && close(to) == 0, "fdatasync");
}

/* Of what is compacted here, the half is live. */
static void compact(void *db)
{
	struct store *store = db;

	copy_share(store, openat(store->dirfd, "copy", O_WRONLY | O_CREAT | O_EXCL, 0666), 1, 2);
	check(renameat(store->dirfd, "copy", store->dirfd, "frames") == 0, "rename");
}

static void copy(void *db, const char *to)
{
	copy_share(db, open(to, O_WRONLY | O_CREAT | O_EXCL, 0666), 1, 1);
}

/* base64 takes a third more. */
static void export_lines(void *db, const char *to)
{
	copy_share(db, open(to, O_WRONLY | O_CREAT | O_EXCL, 0666), 4, 3);
}

const struct engine engine_floor = {
	.name = "floor",
	.offers = "append appends put batch get delete scan open compact copy export sync",
	.open = open_store,
	.close = close_store,
	.put = put,
	.batch = batch,
	.get = get,
	.remove = remove_key,
	.append = append,
	.appends = appends,
	.scan = scan,
	.compact = compact,
	.copy = copy,
	.export = export_lines,
};
