/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Sealed segments are read for nothing but to see that they are what they were:
 * as their index files say, which are written here where none fits. Changes no
 * segment, and holds no lock while it reads or writes.
 */
#include "index.h"
#include "kv.h"
#include "log.h"
#include "scan.h"
#include "util.h"

#include <errno.h>

#define TELL_AFTER (1u << 20) /* bytes */

struct scrub {
	dwal_kv *kv;
	struct dwal_scrub_options options;
	struct dwal_scrub_stats stats;
	bool writes; /* until it cannot */
	int stopped; /* what progress returned, if negative */
};

/* One segment being read. */
struct reading {
	struct scrub *scrub;
	struct segment *segment;
	struct index_writer *writer;
	struct segment_scan scan;
	bool drops; /* from the page cache what was read */
	uint64_t told;
};

static int tell(struct reading *reading, uint64_t least)
{
	const struct dwal_scrub_options *options = &reading->scrub->options;
	const uint64_t from = reading->told, n = reading->scan.offset - from;
	const struct segment *segment = reading->segment;
	int err = 0;

	if (n < least || !n)
		return 0;
	reading->told = reading->scan.offset;
	if (reading->drops)
		(void)segment->io->fadvise(segment->io, segment->fd, (off_t)from, (off_t)n,
					   POSIX_FADV_DONTNEED); /* advice only */
	if (options->progress)
		err = options->progress(options->ctx, n);
	if (err < 0)
		reading->scrub->stopped = err;
	return reading->scrub->stopped;
}

static void found(const struct reading *reading, int code, enum dwal_frame_status reason,
		  const char *what)
{
	const struct dwal_scrub_options *options = &reading->scrub->options;
	const struct segment *segment = reading->segment;
	struct dwal_error error;

	if (!options->damaged)
		return;
	(void)error_set_at(&error, code, segment->id, reading->scan.offset, reason,
			   "%s: segment %08u, offset %llu: %s", kv_dir(reading->scrub->kv),
			   segment->id, (unsigned long long)reading->scan.offset, what);
	options->damaged(options->ctx, &error);
}

/* 0; 1: it is damaged, which was told; or what stopped it. */
static int end_reading(struct reading *reading, int err, enum dwal_frame_status status)
{
	if (err == DWAL_END && status == DWAL_FRAME_OK &&
	    reading->scan.offset == reading->segment->end)
		return tell(reading, 1);
	if (status == DWAL_FRAME_OK)
		status = DWAL_TRUNCATED;
	if (err == DWAL_END)
		found(reading, DWAL_ECORRUPT, status, dwal_frame_status_text(status));
	else if (err == -EIO)
		found(reading, err, DWAL_FRAME_OK, dwal_strerror(err));
	else
		return err;
	reading->scrub->stats.damaged++;
	return 1;
}

/* Within segment_enter(). As the last; a failure of the writer's is told apart. */
static int read_all(struct reading *reading, bool *cannot_write)
{
	enum dwal_frame_status status = DWAL_FRAME_OK;
	struct dwal_record record;
	int err;

	segment_scan_init(&reading->scan, reading->segment, 0, reading->segment->end);
	while ((err = segment_scan_next_bounded(&reading->scan, &record, &status)) == 0) {
		err = index_add(reading->writer, &record);
		*cannot_write = err;
		if (!err)
			err = tell(reading, TELL_AFTER);
		if (err)
			break;
	}
	if (!*cannot_write && !reading->scrub->stopped)
		err = end_reading(reading, err, status);
	segment_scan_release(&reading->scan);
	return err;
}

/* Nothing depends on it, and a full disk may have room for something else. */
static void give_up_writing(struct scrub *scrub)
{
	scrub->stats.failed++;
	scrub->writes = false;
}

static int write_index(struct scrub *scrub, struct segment *segment)
{
	struct index_writer writer;
	struct reading reading = {.scrub = scrub, .segment = segment, .writer = &writer};
	bool cannot_write = false;
	int err = index_create(&writer, kv_dirfd(scrub->kv), segment);

	if (err) {
		cannot_write = true;
	} else {
		err = read_all(&reading, &cannot_write);
		if (!err) {
			err = index_finish(&writer);
			if (!err)
				err = log_publish_index(scrub->kv->log, segment, &writer);
			cannot_write = err;
			scrub->stats.written += !err;
		}
	}
	index_writer_release(&writer);
	if (cannot_write && err != -ESTALE) /* rewritten meanwhile: not this file any more */
		give_up_writing(scrub);
	return cannot_write || err > 0 ? 0 : err;
}

static void ignored(struct scrub *scrub, const struct segment *segment, const char *why)
{
	const struct dwal_index_ignored index = {segment->id, why};

	scrub->stats.ignored++;
	if (scrub->options.ignored)
		scrub->options.ignored(scrub->options.ctx, &index);
}

/* Of the index file that is loaded. 0; 1: it is wrong, -errno. */
static int compare(struct scrub *scrub, struct segment *segment, const struct index *index)
{
	struct index_writer writer;
	struct reading reading = {
		.scrub = scrub, .segment = segment, .writer = &writer, .drops = true};
	bool unused = false;
	int err;

	index_writer_init(&writer);
	err = read_all(&reading, &unused);
	if (err)
		return err > 0 ? 0 : err; /* damage was told, and says nothing of the index file */
	if (writer.crc != index->crc) {
		ignored(scrub, segment, "it does not say what the segment holds");
		if (segment->by_index && segment->index_crc == index->crc)
			found(&reading, DWAL_ECORRUPT, DWAL_FRAME_OK,
			      "its index file told something else; what is shown may be wrong "
			      "until it is opened with verify=full");
		return 1;
	}
	scrub->stats.compared++;
	if (scrub->writes)
		index_note_compared(index);
	return 0;
}

static bool is_fresh(const struct scrub *scrub, const struct index *index)
{
	const time_t then = index->compared.tv_sec;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* time() may be behind a file's time */
	return then <= now.tv_sec && (uint64_t)(now.tv_sec - then) < scrub->options.fresh_seconds;
}

/* Within segment_enter(). */
static int scrub_segment(struct scrub *scrub, struct segment *segment)
{
	struct index index;
	const char *why;
	int err = 1;

	if (index_open(&index, kv_dirfd(scrub->kv), segment, &why)) {
		if (is_fresh(scrub, &index)) {
			scrub->stats.fresh++;
			err = 0;
		} else if (index_load(&index, &why)) {
			err = compare(scrub, segment, &index);
		}
	}
	index_release(&index);
	if (why)
		ignored(scrub, segment, why);
	if (err > 0)
		err = scrub->writes ? write_index(scrub, segment) : 0;
	return err;
}

static int scrub_one(struct scrub *scrub, struct segment *segment)
{
	int err;

	if (!segment->end)
		return 0;
	scrub->stats.segments++;
	err = segment_enter(segment);
	if (err) /* somebody has taken the file: reading a value says so */
		return err == -EIO ? 0 : err;
	err = scrub_segment(scrub, segment);
	segment_leave(segment);
	return err;
}

int dwal_kv_scrub(dwal_kv *kv, const struct dwal_scrub_options *options,
		  struct dwal_scrub_stats *stats)
{
	struct scrub scrub = {.kv = kv, .writes = !dwal_kv_refusal(kv)};
	struct segment_view *views;
	size_t n;
	int err = kv_view(kv, &views, &n);

	if (err)
		return err;
	if (options)
		scrub.options = *options;
	for (size_t i = 0; !err && i + 1 < n; i++)
		err = scrub_one(&scrub, views[i].segment);
	segment_views_free(views, n);
	if (stats)
		*stats = scrub.stats;
	return err;
}
