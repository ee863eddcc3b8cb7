/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The records of one operation, in one write.
 */
#include "append.h"

#include <stdlib.h>

static void add(struct append *a, enum dwal_type type, struct dwal_bytes key,
		struct dwal_bytes payload)
{
	a->ops[a->count++] = (struct dwal_op){.type = type, .key = key, .payload = payload};
}

void append_put(struct append *a, const struct fs *fs, struct dwal_bytes key,
		struct dwal_bytes content, struct timespec written)
{
	struct timespec now = fs_now();

	if (!fs->opt.noclock && clock_is_due(fs->clock, written.tv_sec, now.tv_sec)) {
		a->has_clock = true;
		a->clock = written.tv_sec;
		size_t len = clock_format(a->clock, a->clock_text, sizeof(a->clock_text));
		add(a, DWAL_RAW, (struct dwal_bytes){CLOCK_KEY, CLOCK_KEY_LEN},
		    (struct dwal_bytes){a->clock_text, len});
	}
	add(a, DWAL_PUT, key, content);
}

int64_t append_clock(const struct append *a, const struct fs *fs)
{
	return a->has_clock ? a->clock : fs->clock;
}

int append_attr(struct append *a, struct dwal_bytes key, const struct attr *attr,
		const struct xattr *xattrs)
{
	char **text = &a->attr_texts[a->attr_count];
	size_t len;
	int r = attr_format_full(attr, xattrs, text, &len);

	if (r)
		return r;
	a->attr_count++;
	add(a, DWAL_RAW, key, (struct dwal_bytes){*text, len});
	return 0;
}

void append_delete(struct append *a, struct dwal_bytes key)
{
	add(a, DWAL_DELETE, key, (struct dwal_bytes){0});
}

int append_write(struct append *a, struct fs *fs)
{
	int r = errno_of(dwal_kv_batch(fs->kv, a->ops, a->count, NULL));

	append_release(a);
	if (r)
		return r;
	if (a->has_clock)
		fs->clock = a->clock;
	fs->unsynced = true;
	return 0;
}

bool append_put_off(struct fs *fs, int r)
{
	if (r != FS_PUT_OFF)
		return false;
	(void)append_sync(fs); /* a failure poisons the log: so the next try ends */
	return true;
}

void append_release(struct append *a)
{
	while (a->attr_count)
		free(a->attr_texts[--a->attr_count]);
}

int append_sync(struct fs *fs)
{
	/* Before the sync: what is appended during it is not in it. */
	bool had = atomic_exchange(&fs->unsynced, false);
	int r = errno_of(dwal_kv_sync(fs->kv));

	if (r && had)
		fs->unsynced = true;
	return r;
}
