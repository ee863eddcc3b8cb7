/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A view of a log without its lock, beside any writer. The set of segments is
 * one that existed at one moment: see open_stable(). Must not change a byte
 * on disk, nor know keys.
 */
#include "reader.h"
#include "iter.h"
#include "logname.h"
#include "recover.h"
#include "report.h"
#include "util.h"

#include <errno.h>
#include <sys/resource.h>

/* Descriptors that a program has for other things. */
#define SPARE 32

/* Attempts at finding the segments unchanged. Each failed one means that a
 * writer rotated or compacted within some microseconds. */
#define ATTEMPTS 1000

struct dwal_reader {
	const struct io *io;
	char *dir;
	int dirfd;
	struct segment **segments; /* ascending */
	uint64_t *sizes;           /* theirs when opened */
	size_t count;
	size_t wanted; /* segments that are to be opened, once that is known */
	struct report report;
};

static void drop_segments(dwal_reader *reader)
{
	while (reader->count)
		(void)segment_unref(reader->segments[--reader->count]); /* only read */
	free(reader->segments);
	free(reader->sizes);
	reader->segments = NULL;
	reader->sizes = NULL;
}

/* An empty one needs no descriptor: nobody writes to it, but for the last. */
static int open_one(dwal_reader *reader, uint32_t id, bool last, struct segment **out,
		    struct dwal_error *error)
{
	int rc = segment_open(reader->io, reader->dirfd, id, O_RDONLY, out);

	if (rc == DWAL_ENOTFILE)
		return segment_not_a_file(reader->dir, id, error);
	if (!rc && !last && !(*out)->end)
		(void)io_close(reader->io, &(*out)->fd); /* only looked at */
	return rc;
}

/* 0, -ENOENT when one of the names has gone meanwhile, -errno. */
static int open_all(dwal_reader *reader, const uint32_t *ids, size_t n, struct dwal_error *error)
{
	reader->segments = calloc(n ? n : 1, sizeof(struct segment *));
	reader->sizes = calloc(n ? n : 1, sizeof(uint64_t));
	if (!reader->segments || !reader->sizes)
		return -ENOMEM;
	reader->wanted = n;
	for (size_t i = 0; i < n; i++) {
		int rc = open_one(reader, ids[i], i + 1 == n, &reader->segments[i], error);

		if (rc)
			return rc;
		reader->count++;
	}
	return 0;
}

/* Lists again: 1 if a name appeared or vanished. */
static int names_changed(const dwal_reader *reader, const uint32_t *ids, size_t n,
			 struct dwal_error *error)
{
	cleanup_free uint32_t *again = NULL;
	size_t count;
	int rc = segment_list(reader->io, reader->dirfd, reader->dir, &again, &count, error);

	if (rc)
		return rc;
	return count != n || (n && memcmp(again, ids, n * sizeof(*ids)) != 0);
}

/* 1 if a name now leads to another file than the one that was opened. An empty
 * one is the same as any other empty one. */
static int file_changed(const dwal_reader *reader, const struct segment *segment)
{
	struct stat named;
	char name[LOGNAME_SIZE];
	int rc;

	logname_segment(segment->id, name);
	rc = reader->io->fstatat(reader->io, reader->dirfd, name, &named, AT_SYMLINK_NOFOLLOW);
	if (rc)
		return rc == -ENOENT ? 1 : rc;
	if (segment->fd < 0)
		return named.st_size != 0;
	return segment->dev != named.st_dev || segment->ino != named.st_ino;
}

/* List, open all, list again, then compare the identity of each: without any
 * of these steps a reader can see a state that never was. 1: try again. */
static int open_once(dwal_reader *reader, struct dwal_error *error)
{
	cleanup_free uint32_t *ids = NULL;
	size_t n;
	int rc = segment_list(reader->io, reader->dirfd, reader->dir, &ids, &n, error);

	if (!rc)
		rc = open_all(reader, ids, n, error);
	if (rc)
		return rc == -ENOENT ? 1 : rc;
	rc = names_changed(reader, ids, n, error);
	for (size_t i = 0; !rc && i < n; i++)
		rc = file_changed(reader, reader->segments[i]);
	return rc;
}

/* Whoever has the lock opens segments as they are read. Without it, what is not
 * open may be another file by then: formal/README 16. */
static int explain(const dwal_reader *reader, int rc, struct dwal_error *error)
{
	const size_t need = reader->wanted + SPARE;
	struct rlimit limit = {0};

	if (rc == DWAL_ENOTFILE)
		return rc; /* the error says which */
	if (rc != -EMFILE || !reader->wanted)
		return error_set(error, rc, "%s: cannot open the log for reading: %s", reader->dir,
				 dwal_strerror(rc));
	(void)getrlimit(RLIMIT_NOFILE, &limit); /* a valid resource */
	return error_set(error, rc,
			 "%.200s: reading without the writer's lock keeps every segment open that "
			 "holds anything, and there are %zu, but this process may open %llu files: "
			 "allow it %zu (ulimit -n %zu); a mount that is not 'ro' needs 256 at most",
			 reader->dir, reader->wanted, (unsigned long long)limit.rlim_cur, need,
			 need);
}

static int open_stable(dwal_reader *reader, struct dwal_error *error)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		int rc = open_once(reader, error);

		if (rc <= 0)
			return rc;
		drop_segments(reader);
	}
	return DWAL_EUNSTABLE;
}

int reader_open(const struct io *io, const char *dir, dwal_reader **out, struct dwal_error *error)
{
	dwal_reader *reader = calloc(1, sizeof(*reader));
	int rc = -ENOMEM;

	if (!reader)
		return error_set(error, rc, "%s: %s", dir, dwal_strerror(rc));
	reader->io = io ? io : &io_system;
	reader->dirfd = -1;
	reader->dir = strdup(dir);
	if (!reader->dir) {
		free(reader);
		return error_set(error, rc, "%s: %s", dir, dwal_strerror(rc));
	}
	reader->dirfd = rc = io_open_dir(reader->io, AT_FDCWD, dir);
	if (rc >= 0)
		rc = open_stable(reader, error);
	if (rc) {
		(void)explain(reader, rc, error);
		dwal_reader_close(reader);
		return rc;
	}
	for (size_t i = 0; i < reader->count; i++)
		reader->sizes[i] = reader->segments[i]->end;
	*out = reader;
	return 0;
}

int dwal_reader_open(const char *dir, dwal_reader **out, struct dwal_error *error)
{
	return reader_open(NULL, dir, out, error);
}

void dwal_reader_close(dwal_reader *reader)
{
	if (!reader)
		return;
	drop_segments(reader);
	if (reader->io)
		(void)io_close(reader->io, &reader->dirfd); /* only read */
	report_release(&reader->report);
	free(reader->dir);
	free(reader);
}

size_t dwal_reader_segment_count(const dwal_reader *reader)
{
	return reader->count;
}

struct dwal_segment_info dwal_reader_segment(const dwal_reader *reader, size_t i)
{
	return (struct dwal_segment_info){
		.id = reader->segments[i]->id,
		.size = reader->sizes[i],
		.active = i + 1 == reader->count,
	};
}

const struct io *reader_io(const dwal_reader *reader)
{
	return reader->io;
}

const char *reader_dir(const dwal_reader *reader)
{
	return reader->dir;
}

int reader_dirfd(const dwal_reader *reader)
{
	return reader->dirfd;
}

const struct dwal_report *reader_report(const dwal_reader *reader)
{
	return &reader->report.pub;
}

struct segment *reader_segment(dwal_reader *reader, uint32_t id)
{
	return segment_find(reader->segments, reader->count, id);
}

/* With ends as scanned, or as opened. */
static int make_view(const dwal_reader *reader, bool scanned, struct segment_view **out)
{
	struct segment_view *views = calloc(reader->count ? reader->count : 1, sizeof(*views));

	if (!views)
		return -ENOMEM;
	for (size_t i = 0; i < reader->count; i++)
		views[i] = (struct segment_view){
			.segment = segment_ref(reader->segments[i]),
			.end = scanned ? reader->segments[i]->end : reader->sizes[i],
			.records = reader->segments[i]->records,
		};
	*out = views;
	return 0;
}

int reader_view(dwal_reader *reader, struct segment_view **out, size_t *n)
{
	int rc = make_view(reader, true, out);

	if (!rc)
		*n = reader->count;
	return rc;
}

int dwal_reader_iterate(dwal_reader *reader, uint32_t segment, uint64_t offset, dwal_iter **out,
			struct dwal_error *error)
{
	struct segment_view *views;
	int rc = make_view(reader, false, &views);

	if (!rc)
		rc = iter_open(reader->dir, views, reader->count, segment, offset, true, out);
	return rc ? error_set(error, rc, "%s: %s", reader->dir, dwal_strerror(rc)) : 0;
}

int reader_replay(dwal_reader *reader, const struct reader_replay *what, struct dwal_error *error)
{
	struct recovery recovery = {
		.dir = reader->dir, .report = &reader->report, .dirfd = reader->dirfd};
	int rc;

	if (what) {
		recovery.observe = what->observe;
		recovery.lost = what->lost;
		recovery.observe_ctx = what->ctx;
		recovery.degraded = what->degraded;
		recovery.verify = what->verify;
	}
	report_release(&reader->report);
	for (size_t i = 0; i < reader->count; i++) {
		struct segment *segment = reader->segments[i];

		segment->end = reader->sizes[i];
		segment->by_index = false;
		rc = recover_replay(&recovery, segment, i + 1 == reader->count, error);
		if (rc && !(rc == DWAL_ECORRUPT && !what))
			return rc;
	}
	rc = report_side_files(&reader->report, reader->io, reader->dirfd);
	return rc ? error_set(error, rc, "%s: cannot list the directory: %s", reader->dir,
			      dwal_strerror(rc))
		  : 0;
}

int dwal_reader_report(dwal_reader *reader, const struct dwal_report **out,
		       struct dwal_error *error)
{
	int rc = reader_replay(reader, NULL, error);

	if (!rc)
		*out = &reader->report.pub;
	return rc;
}
