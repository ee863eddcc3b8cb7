/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From the records of a log to its moments. As of a time the state is that before
 * the first operation which says that it came later; what says nothing came with
 * the one before.
 */
#include "moments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

int moments_begin(struct moments *moments, const struct when *sought)
{
	*moments = (struct moments){0};
	if (sought)
		moments->sought = *sought;
	return dwal_history_open(NULL, 0, &moments->history);
}

void moments_release(struct moments *moments)
{
	dwal_history_close(moments->history);
	while (moments->count)
		free(moments->named[--moments->count].name);
	free(moments->named);
	logtime_release(&moments->times);
}

static struct named_moment *find(const struct moments *moments, const char *name)
{
	for (size_t i = 0; i < moments->count; i++)
		if (!strcmp(moments->named[i].name, name))
			return &moments->named[i];
	return NULL;
}

/* A name with a NUL is nobody's. */
static int note_tag(struct moments *moments, const struct dwal_tag *tag)
{
	cleanup_free char *name = malloc(tag->name.len + 1);
	struct named_moment *known, *grown;

	if (!name)
		return -ENOMEM;
	if (!dwal_tag_name(tag, name, tag->name.len + 1))
		return 0;
	known = find(moments, name);
	if (known) {
		known->txid = tag->txid;
		return 0;
	}
	grown = reallocarray(moments->named, moments->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	moments->named = grown;
	grown[moments->count++] = (struct named_moment){steal_pointer(&name), tag->txid};
	return 0;
}

static bool is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static int look_at_time(struct moments *moments, const struct dwal_record *record)
{
	struct record_time when;
	int r = logtime_next(&moments->times, record, &when);

	if (r || moments->passed)
		return r;
	if (!is_time_of_segment(when.time)) {
		moments->passed = is_later(when.time, moments->sought.time);
		moments->known |= !moments->passed;
	}
	if (!moments->passed && record->txid > moments->found)
		moments->found = record->txid;
	return 0;
}

int moments_observe(void *ctx, const struct dwal_record *record)
{
	struct moments *moments = ctx;
	struct dwal_tag tag;
	int r = dwal_history_add(moments->history, record);

	if (!r && moments->sought.by_time)
		r = look_at_time(moments, record);
	if (!r && dwal_tag_parse(record, &tag))
		r = note_tag(moments, &tag);
	return r;
}

uint64_t moments_named(const struct moments *moments, const char *name)
{
	const struct named_moment *known = find(moments, name);

	return known ? known->txid : 0;
}

static enum status no_time(const struct moments *moments, const char *dir)
{
	if (moments->passed)
		complain("%s: no operation in it is known to be as old as that", dir);
	else
		complain("%s: no operation in it says when it took place: give a txid", dir);
	return WRONG_USE;
}

static enum status no_state(const struct moments *moments, const char *dir, uint64_t txid)
{
	const uint64_t highest = dwal_history_highest(moments->history);

	if (!highest)
		complain("%s: it is empty, there is no moment to name yet", dir);
	else if (txid > highest)
		complain("%s: txid %" PRIu64 " is not there yet, the highest one is %" PRIu64, dir,
			 txid, highest);
	else
		complain("%s: the state as of txid %" PRIu64
			 " was given up by a compaction; complete from txid %" PRIu64,
			 dir, txid, dwal_history_complete_from(moments->history));
	return WRONG_USE;
}

enum status moments_find(const struct moments *moments, const char *dir, uint64_t *txid)
{
	uint64_t found = dwal_history_highest(moments->history);
	struct timespec now;

	if (moments->sought.by_time) {
		(void)clock_gettime(CLOCK_REALTIME, &now); /* a valid clock */
		if (is_later(moments->sought.time, now)) {
			complain("%s: that moment is yet to come", dir);
			return WRONG_USE;
		}
		if (!moments->known)
			return no_time(moments, dir);
		found = moments->found;
	} else if (moments->sought.txid) {
		found = moments->sought.txid;
	}
	if (!found || dwal_history_has(moments->history, found))
		return no_state(moments, dir, found);
	*txid = found;
	return DONE;
}

static int by_txid(const void *a, const void *b)
{
	const struct named_moment *one = a, *two = b;

	if (one->txid != two->txid)
		return one->txid < two->txid ? -1 : 1;
	return strcmp(one->name, two->name);
}

void moments_sort(struct moments *moments)
{
	size_t kept = 0;

	for (size_t i = 0; i < moments->count; i++) {
		if (moments->named[i].txid)
			moments->named[kept++] = moments->named[i];
		else
			free(moments->named[i].name);
	}
	moments->count = kept;
	if (kept)
		qsort(moments->named, kept, sizeof(*moments->named), by_txid);
}
