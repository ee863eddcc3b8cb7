/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a store only passes on to its log, or to the reader that it has instead.
 * Must not know keys.
 */
#include "kv.h"

#include "log.h"
#include "reader.h"

#include <unistd.h>

int dwal_kv_sync(dwal_kv *kv)
{
	if (!kv->log)
		return DWAL_EREADONLY;
	if (kv->waiting.waits)
		kv->waiting.waits();
	return dwal_log_sync(kv->log);
}

int dwal_kv_check(dwal_kv *kv)
{
	return kv->log ? dwal_log_check(kv->log) : DWAL_EREADONLY;
}

int dwal_kv_rotate(dwal_kv *kv)
{
	return kv->log ? dwal_log_rotate(kv->log) : DWAL_EREADONLY;
}

uint32_t dwal_kv_active_segment(dwal_kv *kv)
{
	return kv->log ? dwal_log_active_segment(kv->log) : 0;
}

bool dwal_kv_is_poisoned(dwal_kv *kv)
{
	return kv->log && dwal_log_is_poisoned(kv->log);
}

const char *dwal_kv_refusal(dwal_kv *kv)
{
	return kv->log ? dwal_log_refusal(kv->log) : "the store was opened for reading only";
}

const struct dwal_report *dwal_kv_report(const dwal_kv *kv)
{
	return kv->log ? dwal_log_report(kv->log) : reader_report(kv->reader);
}

const char *kv_dir(const dwal_kv *kv)
{
	return kv->log ? dwal_log_dir(kv->log) : reader_dir(kv->reader);
}

const struct io *kv_io(const dwal_kv *kv)
{
	return kv->log ? log_io(kv->log) : reader_io(kv->reader);
}

int kv_dirfd(const dwal_kv *kv)
{
	return kv->log ? log_dirfd(kv->log) : reader_dirfd(kv->reader);
}

struct segment *kv_segment(dwal_kv *kv, uint32_t id)
{
	return kv->log ? log_segment(kv->log, id) : reader_segment(kv->reader, id);
}

int kv_view(dwal_kv *kv, struct segment_view **out, size_t *n)
{
	return kv->log ? log_view(kv->log, out, n) : reader_view(kv->reader, out, n);
}

int kv_like(dwal_kv *kv, struct file_like *out)
{
	struct segment_view *views;
	size_t n;
	int err = kv_view(kv, &views, &n), fd = -1;

	if (err)
		return err;
	*out = (struct file_like){.uid = geteuid(), .gid = getegid(), .mode = 0600, .fd = -1};
	if (n) {
		err = segment_dup(views[n - 1].segment, &fd);
		if (!err)
			err = file_like_fd(kv_io(kv), fd, out);
		if (err)
			(void)io_close(kv_io(kv), &fd); /* only looked at */
	}
	segment_views_free(views, n);
	return err;
}
