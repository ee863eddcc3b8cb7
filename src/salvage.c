/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What remains of a log and of its side files, into a fresh one. The bytes of a
 * side file were cut off where its name says: what they held is older than what
 * stands there now, and comes before it.
 */
#include "salvage.h"

#include "horizon.h"
#include "log.h"
#include "logname.h"
#include "reader.h"
#include "regroup.h"
#include "remains.h"
#include "report.h"
#include "target.h"
#include "util.h"

#include <errno.h>

/* A side file, and where it was cut off. */
struct side {
	const char *name; /* the report's */
	uint32_t segment;
	uint64_t offset;
	size_t order; /* among those of one place */
};

struct salvage {
	dwal_reader *reader;
	struct report report; /* for the names of side files */
	struct side *sides;   /* by segment, offset and name */
	size_t side_count, next_side;
	struct target target;
	struct regroup out;
	struct dwal_salvage_options options;
	struct dwal_salvage_stats stats;
	struct dwal_error *error;
};

static int compare_sides(const void *a, const void *b)
{
	const struct side *x = a, *y = b;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* NNNNNNNN.dwal.torn-OFFSET, or with .N behind it; anything else behind the '-'
 * was not named by a writer, and comes last. */
static struct side parse_side(const char *name)
{
	struct side side = {.name = name};
	const char *rest = logname_parse_stem(name, &side.segment);
	char *end;

	errno = 0;
	rest = rest ? strchr(rest, '-') : NULL;
	side.offset = rest ? strtoull(rest + 1, &end, 10) : UINT64_MAX;
	if (!rest || errno || end == rest + 1 || (*end && *end != '.'))
		side.offset = UINT64_MAX;
	else if (*end)
		side.order = strtoul(end + 1, NULL, 10);
	return side;
}

static int find_sides(struct salvage *s)
{
	int rc = report_side_files(&s->report, reader_io(s->reader), reader_dirfd(s->reader));
	const size_t n = s->report.pub.side_file_count;

	if (rc)
		return rc;
	s->sides = calloc(n + 1, sizeof(*s->sides));
	if (!s->sides)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		s->sides[i] = parse_side(s->report.pub.side_files[i]);
	qsort(s->sides, n, sizeof(*s->sides), compare_sides);
	s->side_count = n;
	return 0;
}

static int fail_to_read(struct salvage *s, const char *name, int rc)
{
	return error_set(s->error, rc, "%.200s/%s: cannot be read: %s", reader_dir(s->reader), name,
			 dwal_strerror(rc));
}

static int advance(struct salvage *s, uint64_t bytes)
{
	int rc = s->options.progress ? s->options.progress(s->options.progress_ctx, bytes) : 0;

	return rc ? error_set(s->error, rc, "%s: stopped by the caller", reader_dir(s->reader)) : 0;
}

static int lose(struct salvage *s, const char *name, struct dwal_lost *lost)
{
	int rc = 0;

	lost->file = name;
	s->stats.lost_ranges++;
	s->stats.lost_bytes += lost->bytes;
	if (s->options.lost)
		rc = s->options.lost(s->options.lost_ctx, lost);
	return rc ? error_set(s->error, rc, "%s: stopped by the caller", reader_dir(s->reader))
		  : advance(s, lost->bytes);
}

static int keep(struct salvage *s, const struct dwal_record *record)
{
	int rc = regroup_add(&s->out, record);

	return rc ? target_fail(&s->target, rc, s->error) : advance(s, record->length);
}

static int flush(struct salvage *s)
{
	int rc = regroup_flush(&s->out);

	return rc ? target_fail(&s->target, rc, s->error) : 0;
}

typedef int (*before_fn)(struct salvage *s, uint32_t segment, uint64_t offset);

/* before: is called before each record, or NULL. */
static int keep_remains(struct salvage *s, const char *name, struct remains *remains,
			before_fn before)
{
	struct dwal_record record;
	struct dwal_lost lost;
	int rc = 0;

	while (!rc) {
		int found = remains_next(remains, &record, &lost);

		if (found == DWAL_END)
			return 0;
		if (found < 0)
			return fail_to_read(s, name, found);
		if (found == 0 && before)
			rc = before(s, record.segment, record.offset);
		if (!rc)
			rc = found == REMAINS_LOST ? lose(s, name, &lost) : keep(s, &record);
	}
	return rc;
}

static int keep_file(struct salvage *s, const char *name, const struct segment_view *view,
		     bool judge, before_fn before)
{
	struct remains remains;
	int rc;

	view->segment->is_tolerant = true;
	remains_init(&remains, view->segment, 0, view->end, judge);
	rc = keep_remains(s, name, &remains, before);
	remains_release(&remains);
	return rc;
}

static int keep_side(struct salvage *s, const struct side *side)
{
	const uint64_t before = s->out.records + s->out.n;
	struct segment_view view = {0};
	int rc = segment_open_side(reader_io(s->reader), reader_dirfd(s->reader), side->segment,
				   side->name, &view.segment);

	if (rc)
		return fail_to_read(s, side->name, rc);
	view.end = view.segment->end;
	rc = flush(s);
	if (!rc)
		rc = keep_file(s, side->name, &view, true, NULL);
	if (!rc)
		rc = flush(s);
	s->stats.side_records += s->out.records - before;
	(void)segment_unref(view.segment); /* only read */
	return rc;
}

/* The side files that were cut off at or before there. */
static int keep_sides(struct salvage *s, uint32_t segment, uint64_t offset)
{
	int rc = 0;

	while (!rc && s->next_side < s->side_count) {
		const struct side *side = &s->sides[s->next_side];

		if (side->segment > segment || (side->segment == segment && side->offset > offset))
			break;
		s->next_side++;
		rc = keep_side(s, side);
	}
	return rc;
}

static int begin_source(struct salvage *s, const struct segment *segment)
{
	const struct io *io = segment->io;
	struct stat st = {0};
	int rc = segment->fd < 0 ? 0 : io->fstat(io, segment->fd, &st);

	if (!rc)
		rc = regroup_source(&s->out, st.st_mtim);
	return rc ? target_fail(&s->target, rc, s->error) : 0;
}

static int keep_segment(struct salvage *s, const struct segment_view *view, bool active)
{
	char name[LOGNAME_SIZE];
	int rc = view->segment->id ? keep_sides(s, view->segment->id - 1, UINT64_MAX) : 0;

	logname_segment(view->segment->id, name);
	if (!rc)
		rc = begin_source(s, view->segment);
	if (!rc)
		rc = keep_file(s, name, view, active, keep_sides);
	return rc ? rc : keep_sides(s, view->segment->id, UINT64_MAX);
}

static int keep_all(struct salvage *s)
{
	struct segment_view *views;
	size_t n;
	int rc = reader_view(s->reader, &views, &n);

	if (rc)
		return target_fail(&s->target, rc, s->error);
	for (size_t i = 0; !rc && i < n; i++)
		rc = keep_segment(s, &views[i], i + 1 == n);
	segment_views_free(views, n);
	if (!rc)
		rc = keep_sides(s, UINT32_MAX, UINT64_MAX);
	return rc ? rc : flush(s);
}

/* Where something is missing no earlier state is right. */
static int add_horizon(struct salvage *s, uint64_t last_txid)
{
	char payload[HORIZON_SIZE];
	struct dwal_op op = {DWAL_RAW, {HORIZON_KEY, strlen(HORIZON_KEY)}, {payload, 0}};

	if (!last_txid || !(s->stats.lost_ranges || s->out.has_horizon || s->stats.side_records))
		return 0;
	op.payload.len = horizon_put((struct dwal_horizon){1, last_txid}, payload);
	return dwal_log_append(s->out.log, &op, 1, NULL);
}

static int set_times(struct salvage *s)
{
	const struct io *io = s->target.io;
	int rc = 0;

	for (size_t i = 0; !rc && i < s->out.time_count; i++) {
		const struct timespec mtime = s->out.times[i].mtime;
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime};
		char name[LOGNAME_SIZE];
		struct stat st;

		logname_segment(s->out.times[i].segment, name);
		cleanup_io_fd struct io_fd file = {io,
						   file_open(io, s->target.dir, name, O_RDWR, &st)};
		rc = file.fd < 0 ? file.fd : io->futimens(io, file.fd, times);
	}
	return rc ? target_fail(&s->target, rc, s->error) : 0;
}

static int write_log(struct salvage *s)
{
	int rc = keep_all(s), closed;

	if (!rc) {
		rc = add_horizon(s, log_last_txid(s->out.log));
		if (!rc)
			rc = dwal_log_sync(s->out.log);
		if (rc)
			rc = target_fail(&s->target, rc, s->error);
	}
	closed = dwal_log_close(s->out.log);
	if (!rc && closed)
		rc = target_fail(&s->target, closed, s->error);
	return rc ? rc : set_times(s);
}

static int build(struct salvage *s, const struct io *io, const char *dir, const char *target)
{
	int rc = reader_open(io, dir, &s->reader, s->error);

	if (!rc)
		rc = find_sides(s);
	if (!rc)
		rc = target_begin(&s->target, reader_io(s->reader), target, dir, s->error);
	if (!rc)
		rc = target_log(&s->target, &s->out.log, s->error);
	if (!rc)
		rc = write_log(s);
	return rc ? rc : target_publish(&s->target, s->error);
}

int salvage(const struct io *io, const char *dir, const char *target,
	    const struct dwal_salvage_options *options, struct dwal_salvage_stats *stats,
	    struct dwal_error *error)
{
	struct salvage s = {.error = error, .target = {.parent = -1, .dir = -1, .like.fd = -1}};
	int rc;

	s.target.io = io ? io : &io_system;
	if (options)
		s.options = *options;
	rc = build(&s, io, dir, target);
	s.stats.records = s.out.records;
	s.stats.incomplete = s.out.incomplete;
	s.stats.left_out = s.out.left_out;
	target_release(&s.target);
	regroup_release(&s.out);
	report_release(&s.report);
	dwal_reader_close(s.reader);
	free(s.sides);
	if (!rc && stats)
		*stats = s.stats;
	return rc;
}

int dwal_salvage(const char *dir, const char *target, const struct dwal_salvage_options *options,
		 struct dwal_salvage_stats *stats, struct dwal_error *error)
{
	return salvage(NULL, dir, target, options, stats, error);
}
