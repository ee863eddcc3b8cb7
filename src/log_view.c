/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What an open log consists of at some moment, for whoever reads in it. Must
 * not change anything.
 */
#include "iter.h"
#include "log.h"
#include "log_state.h"
#include "util.h"

#include <errno.h>

struct segment *log_segment(dwal_log *log, uint32_t id)
{
	struct segment *found;

	pthread_mutex_lock(&log->state_lock);
	found = segment_find(log->segments, log->count, id);
	pthread_mutex_unlock(&log->state_lock);
	return found;
}

int log_view(dwal_log *log, struct segment_view **out, size_t *n)
{
	struct segment_view *views;

	pthread_mutex_lock(&log->state_lock);
	views = calloc(log->count, sizeof(*views));
	for (size_t i = 0; views && i < log->count; i++)
		views[i] = (struct segment_view){
			.segment = segment_ref(log->segments[i]),
			.end = log->segments[i]->end,
			.records = log->segments[i]->records,
		};
	if (views) {
		*out = views;
		*n = log->count;
	}
	pthread_mutex_unlock(&log->state_lock);
	return views ? 0 : -ENOMEM;
}

int dwal_log_iterate(dwal_log *log, uint32_t segment, uint64_t offset, dwal_iter **out,
		     struct dwal_error *error)
{
	struct segment_view *views;
	size_t n;
	int rc = log_view(log, &views, &n);

	if (!rc)
		rc = iter_open(log->dir, views, n, segment, offset, false, out);
	return rc ? error_set(error, rc, "%s: %s", log->dir, dwal_strerror(rc)) : 0;
}

uint32_t dwal_log_active_segment(dwal_log *log)
{
	uint32_t id;

	pthread_mutex_lock(&log->state_lock);
	id = log_active(log)->id;
	pthread_mutex_unlock(&log->state_lock);
	return id;
}

uint64_t log_last_txid(dwal_log *log)
{
	uint64_t txid;

	pthread_mutex_lock(&log->append_lock);
	txid = log->last_txid;
	pthread_mutex_unlock(&log->append_lock);
	return txid;
}
