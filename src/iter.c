/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Lazy iteration over a fixed view of a log. Must not know whether a writer
 * or a reader made the view.
 */
#include "iter.h"
#include "operation.h"
#include "recover.h"
#include "util.h"

#include <errno.h>

struct dwal_iter {
	char *where; /* the directory or file, for messages */
	struct segment_view *views;
	size_t count;
	size_t current; /* index of the segment that scan is in */
	bool torn_tail_ends;
	struct operation_scan scan;
	enum dwal_frame_status stopped; /* the damage that scan stands at, if any */
	bool searching;                 /* behind one, until the segment ends */
	struct operation_search search;
};

static void enter(dwal_iter *iter, uint64_t offset)
{
	const struct segment_view *view = &iter->views[iter->current];

	operation_scan_move(&iter->scan, view->segment, offset, view->end,
			    iter->current + 1 == iter->count);
}

int iter_open(const char *where, struct segment_view *views, size_t n, uint32_t segment,
	      uint64_t offset, bool torn_tail_ends, dwal_iter **out)
{
	dwal_iter *iter = calloc(1, sizeof(*iter));

	if (iter)
		iter->where = strdup(where);
	if (!iter || !iter->where) {
		free(iter);
		segment_views_free(views, n);
		return -ENOMEM;
	}
	iter->views = views;
	iter->count = n;
	iter->torn_tail_ends = torn_tail_ends;
	while (iter->current < n && views[iter->current].segment->id < segment)
		iter->current++;
	if (iter->current < n)
		enter(iter, views[iter->current].segment->id == segment ? offset : 0);
	*out = iter;
	return 0;
}

static int fail(const dwal_iter *iter, int rc, struct dwal_error *error)
{
	const struct segment_scan *scan = &iter->scan.scan;

	return error_set_at(error, rc, scan->segment->id, scan->offset, DWAL_FRAME_OK,
			    "%s: segment %u cannot be read at offset %llu: %s", iter->where,
			    scan->segment->id, (unsigned long long)scan->offset, dwal_strerror(rc));
}

/* What scan stands at; what is behind it is not counted. */
static struct dwal_damage damage_here(const dwal_iter *iter)
{
	const struct segment_scan *scan = &iter->scan.scan;
	const bool last = iter->current + 1 == iter->count;

	return (struct dwal_damage){
		.segment = scan->segment->id,
		.offset = scan->offset,
		.bytes = scan->limit - scan->offset,
		.reason = iter->stopped,
		.torn_tail = recover_is_torn_tail(last && iter->torn_tail_ends, iter->stopped),
	};
}

static int stop_at_damage(const dwal_iter *iter, struct dwal_error *error)
{
	const struct dwal_damage damage = damage_here(iter);

	return damage.torn_tail ? DWAL_END : recover_describe(iter->where, &damage, error);
}

static void end_search(dwal_iter *iter)
{
	if (iter->searching)
		operation_search_release(&iter->search);
	iter->searching = false;
}

/* The next intact record behind a damage. */
static int search_next(dwal_iter *iter, struct dwal_record *record)
{
	enum dwal_frame_status status;
	struct dwal_record found;
	int rc = operation_search_next(&iter->search, &found);

	if (rc)
		return rc;
	iter->scan.scan.offset = found.offset;
	rc = segment_scan_next(&iter->scan.scan, record, &status); /* with its data */
	return rc == DWAL_END ? -EIO : rc; /* the file has changed meanwhile */
}

static int next_here(dwal_iter *iter, struct dwal_record *record)
{
	return iter->searching ? search_next(iter, record)
			       : operation_scan_next(&iter->scan, record, &iter->stopped);
}

int dwal_iter_next(dwal_iter *iter, struct dwal_record *record, struct dwal_error *error)
{
	while (iter->current < iter->count) {
		int rc;

		if (iter->stopped != DWAL_FRAME_OK)
			return stop_at_damage(iter, error);
		rc = next_here(iter, record);
		if (rc < 0)
			return fail(iter, rc, error);
		if (rc == 0)
			return 0;
		if (iter->stopped != DWAL_FRAME_OK)
			continue;
		end_search(iter);
		if (++iter->current < iter->count)
			enter(iter, 0);
	}
	return DWAL_END;
}

int dwal_iter_damage(dwal_iter *iter, struct dwal_damage *out)
{
	struct dwal_damage damage;
	int rc;

	if (iter->stopped == DWAL_FRAME_OK)
		return DWAL_ABSENT;
	damage = damage_here(iter);
	rc = recover_count_intact(&iter->scan, &damage);
	if (!rc)
		*out = damage;
	return rc;
}

int dwal_iter_pass_damage(dwal_iter *iter)
{
	int rc;

	if (iter->stopped == DWAL_FRAME_OK)
		return DWAL_ABSENT;
	rc = operation_search_init(&iter->search, &iter->scan, true);
	if (rc) {
		operation_search_release(&iter->search);
		return rc;
	}
	iter->searching = true;
	iter->stopped = DWAL_FRAME_OK;
	return 0;
}

int dwal_file_iterate(const char *path, dwal_iter **out, struct dwal_error *error)
{
	struct segment_view *view = calloc(1, sizeof(*view));
	int rc = view ? segment_open_file(&io_system, path, &view->segment) : -ENOMEM;

	if (rc) {
		free(view);
	} else {
		view->end = view->segment->end;
		rc = iter_open(path, view, 1, 0, 0, true, out);
	}
	return rc ? error_set(error, rc, "%s: %s", path,
			      rc == -EINVAL ? "not a regular file" : dwal_strerror(rc))
		  : 0;
}

void dwal_iter_close(dwal_iter *iter)
{
	if (!iter)
		return;
	end_search(iter);
	operation_scan_release(&iter->scan);
	segment_views_free(iter->views, iter->count);
	free(iter->where);
	free(iter);
}
