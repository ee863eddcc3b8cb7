/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Lazy iteration over a fixed view of a log. Must not know whether a writer
 * or a reader made the view.
 */
#include "iter.h"
#include "recover.h"
#include "scan.h"
#include "util.h"

#include <errno.h>

struct dwal_iter {
	char *dir;
	struct segment_view *views;
	size_t count;
	size_t current; /* index of the segment that scan is in */
	bool torn_tail_ends;
	struct segment_scan scan;
};

static void enter(dwal_iter *iter, uint64_t offset)
{
	const struct segment_view *view = &iter->views[iter->current];

	segment_scan_move(&iter->scan, view->segment, offset, view->end);
}

int iter_open(const char *dir, struct segment_view *views, size_t n, uint32_t segment,
	      uint64_t offset, bool torn_tail_ends, dwal_iter **out)
{
	dwal_iter *iter = calloc(1, sizeof(*iter));

	if (iter)
		iter->dir = strdup(dir);
	if (!iter || !iter->dir) {
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
	const struct segment_scan *scan = &iter->scan;
	char name[SEGMENT_NAME_SIZE];

	segment_name(scan->segment->id, name);
	return error_set_at(error, rc, scan->segment->id, scan->offset, DWAL_FRAME_OK,
			    "%s/%s: cannot be read at offset %llu: %s", iter->dir, name,
			    (unsigned long long)scan->offset, dwal_strerror(rc));
}

int dwal_iter_next(dwal_iter *iter, struct dwal_record *record, struct dwal_error *error)
{
	while (iter->current < iter->count) {
		const struct segment_scan *scan = &iter->scan;
		bool last = iter->current + 1 == iter->count;
		enum dwal_frame_status status;
		int rc = segment_scan_next(&iter->scan, record, &status);

		if (rc < 0)
			return fail(iter, rc, error);
		if (rc == 0)
			return 0;
		if (status != DWAL_FRAME_OK &&
		    !recover_is_torn_tail(last && iter->torn_tail_ends, status))
			return recover_describe(iter->dir, scan->segment->id, scan->offset, status,
						error);
		iter->current++;
		if (!last)
			enter(iter, 0);
	}
	return DWAL_END;
}

void dwal_iter_close(dwal_iter *iter)
{
	if (!iter)
		return;
	segment_scan_release(&iter->scan);
	segment_views_free(iter->views, iter->count);
	free(iter->dir);
	free(iter);
}
