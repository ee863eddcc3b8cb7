/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Looks over the whole store: the sorted snapshot of live keys, and the
 * segments with how much of each is live. Reads no value.
 */
#include "kv.h"

#include "hugepage.h"
#include "util.h"

#include <errno.h>
#include <stdalign.h>

#define SOON 8 /* items from which on their memory is fetched */

struct snapshot {
	struct keydir_value value;
	size_t key_len;
	unsigned char key[];
};

/* What is sorted: small, and moved about. */
struct ordered {
	uint64_t head; /* the first eight bytes of the key, as a number that is ordered like them */
	const struct snapshot *snapshot;
};

/* A segment of that moment. */
struct file {
	uint32_t segment;
	uint32_t generation;
};

struct dwal_cursor {
	struct ordered *items;
	unsigned char *snapshots; /* one behind the other */
	size_t n;
	size_t next;
	struct file *files; /* ascending */
	size_t file_count;
};

/* A key that is shorter goes on in zeros. */
static uint64_t head_of(struct dwal_bytes key)
{
	uint64_t head = 0;

	if (key.len)
		memcpy(&head, key.data, key.len < sizeof(head) ? key.len : sizeof(head));
	return be64toh(head);
}

/* Most are told apart without a look at the key, a miss each. */
static int compare(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	const struct snapshot *m, *n;
	int order;

	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	m = x->snapshot;
	n = y->snapshot;
	order = memcmp(m->key, n->key, m->key_len < n->key_len ? m->key_len : n->key_len);
	return order ? order : (m->key_len > n->key_len) - (m->key_len < n->key_len);
}

static size_t snapshot_size(struct dwal_bytes key)
{
	const size_t align = alignof(struct snapshot);

	return (sizeof(struct snapshot) + key.len + align - 1) / align * align;
}

/* Under the index lock. */
static int copy_keys(const struct keydir *keydir, dwal_cursor *cursor)
{
	struct keydir_value value;
	struct dwal_bytes key;
	size_t size = 0;
	unsigned char *end;

	for (uint32_t at = 0; keydir_next(keydir, &at, &key, &value);)
		size += snapshot_size(key);
	/* never of no bytes: NULL must mean out of memory */
	cursor->items = malloc(sizeof(*cursor->items) * keydir_len(keydir) + 1);
	end = cursor->snapshots = malloc(size + 1);
	if (!cursor->items || !cursor->snapshots)
		return -ENOMEM;
	hugepage_advise(cursor->snapshots, size);
	for (uint32_t at = 0; keydir_next(keydir, &at, &key, &value);) {
		struct snapshot *snapshot = (void *)end;

		snapshot->value = value;
		snapshot->key_len = key.len;
		put_bytes(snapshot->key, key);
		cursor->items[cursor->n++] = (struct ordered){head_of(key), snapshot};
		end += snapshot_size(key);
	}
	return 0;
}

/* Under the index lock: the places of the keys belong to these files. */
static int copy_files(dwal_kv *kv, dwal_cursor *cursor)
{
	struct segment_view *views;
	size_t n;
	int err = kv_view(kv, &views, &n);

	if (err)
		return err;
	cursor->files = calloc(n + 1, sizeof(*cursor->files));
	for (size_t i = 0; cursor->files && i < n; i++)
		cursor->files[i] =
			(struct file){views[i].segment->id, views[i].segment->generation};
	cursor->file_count = n;
	segment_views_free(views, n);
	return cursor->files ? 0 : -ENOMEM;
}

int dwal_kv_cursor(dwal_kv *kv, dwal_cursor **out)
{
	dwal_cursor *cursor = calloc(1, sizeof(*cursor));
	int err;

	if (!cursor)
		return -ENOMEM;
	kv_share_index(kv);
	err = copy_keys(&kv->keydir, cursor);
	if (!err)
		err = copy_files(kv, cursor);
	kv_unlock_index(kv);
	if (err) {
		dwal_cursor_close(cursor);
		return err;
	}
	qsort(cursor->items, cursor->n, sizeof(*cursor->items), compare);
	*out = cursor;
	return 0;
}

static int compare_segment(const void *id, const void *file)
{
	uint32_t a = *(const uint32_t *)id, b = ((const struct file *)file)->segment;

	return (a > b) - (a < b);
}

/* Of the file that the value's offset is one in: the segment's, or where that
 * was rewritten just then the one before. */
static uint32_t generation_of(const dwal_cursor *cursor, const struct keydir_value *value)
{
	const struct file *file = bsearch(&value->segment, cursor->files, cursor->file_count,
					  sizeof(*file), compare_segment);
	uint32_t generation = file ? file->generation : 0;

	return generation % 2 == value->odd ? generation : generation - 1;
}

int dwal_cursor_next(dwal_cursor *cursor, struct dwal_item *item)
{
	const struct snapshot *at;

	if (cursor->next == cursor->n)
		return DWAL_END;
	if (cursor->n - cursor->next > SOON)
		__builtin_prefetch(cursor->items[cursor->next + SOON].snapshot);
	at = cursor->items[cursor->next++].snapshot;
	*item = (struct dwal_item){
		.key = {at->key, at->key_len},
		.value_len = at->value.value_len,
		.place = kv_place(&at->value, at->key_len, generation_of(cursor, &at->value)),
	};
	return 0;
}

void dwal_cursor_close(dwal_cursor *cursor)
{
	if (!cursor)
		return;
	free(cursor->items);
	free(cursor->snapshots);
	free(cursor->files);
	free(cursor);
}

int dwal_kv_segments(dwal_kv *kv, uint32_t **out, size_t *n)
{
	struct segment_view *views;
	size_t count;
	uint32_t *ids;
	int err = kv_view(kv, &views, &count);

	if (err)
		return err;
	ids = calloc(count + 1, sizeof(*ids));
	for (size_t i = 0; ids && i < count; i++)
		ids[i] = views[i].segment->id;
	segment_views_free(views, count);
	if (!ids)
		return -ENOMEM;
	*out = ids;
	*n = count;
	return 0;
}

int dwal_kv_open_segment(dwal_kv *kv, uint32_t id, int *fd)
{
	struct segment *segment = kv_segment(kv, id);
	int err = segment ? segment_dup(segment, fd) : DWAL_ABSENT;

	(void)segment_unref(segment); /* only read from */
	return err;
}

static struct dwal_segment_stats stats_of(const struct segment_view *view, bool active,
					  const struct usage *usage)
{
	struct segment_usage live = usage_of(usage, view->segment->id);

	return (struct dwal_segment_stats){
		.id = live.segment,
		.active = active,
		.bytes = view->end,
		.records = view->records,
		.live_records = live.records,
		.live_bytes = live.bytes,
	};
}

int dwal_kv_stats(dwal_kv *kv, struct dwal_segment_stats **out, size_t *n)
{
	struct dwal_segment_stats *stats = NULL;
	struct segment_view *views;
	size_t count;
	int err;

	/* the index first: what it names is then in the view */
	kv_share_index(kv);
	err = kv_view(kv, &views, &count);
	if (!err) {
		stats = calloc(count + 1, sizeof(*stats));
		for (size_t i = 0; stats && i < count; i++)
			stats[i] = stats_of(&views[i], i + 1 == count, &kv->keydir.usage);
		segment_views_free(views, count);
	}
	kv_unlock_index(kv);
	if (err)
		return err;
	if (!stats)
		return -ENOMEM;
	*out = stats;
	*n = count;
	return 0;
}
