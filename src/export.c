/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The live keys and values as JSON lines. Changes nothing in the store.
 */
#include "atomic.h"
#include "base64.h"
#include "file.h"
#include "gather.h"
#include "path.h"
#include "util.h"

#include <errno.h>

#define BUFFER_SIZE 65536 /* bytes; a multiple of 4 */

struct output {
	const struct io *io;
	int fd;
	size_t used;
	char buffer[BUFFER_SIZE];
};

static int flush(struct output *out)
{
	int err = io_write_full(out->io, out->fd, out->buffer, out->used);

	out->used = 0;
	return err;
}

static int put_text(struct output *out, const char *text)
{
	size_t len = strlen(text);
	int err = len > BUFFER_SIZE - out->used ? flush(out) : 0;

	memcpy(out->buffer + out->used, text, len);
	out->used += len;
	return err;
}

static int put_base64(struct output *out, struct dwal_bytes bytes)
{
	const unsigned char *from = bytes.data;
	size_t left = bytes.len;
	int err = 0;

	while (left > 0 && !err) {
		size_t room = (BUFFER_SIZE - out->used) / 4 * 3;
		size_t n = left < room ? left : room;

		base64_encode(from, n, out->buffer + out->used);
		out->used += BASE64_SIZE(n);
		from += n;
		left -= n;
		if (left > 0)
			err = flush(out);
	}
	return err;
}

static int put_line(struct output *out, struct dwal_bytes key, struct dwal_bytes value)
{
	int err = put_text(out, "{\"key_b64\":\"");

	if (!err)
		err = put_base64(out, key);
	if (!err)
		err = put_text(out, "\",\"value_b64\":\"");
	if (!err)
		err = put_base64(out, value);
	return err ? err : put_text(out, "\"}\n");
}

static int output_failed(int err, const char *name, struct dwal_error *error)
{
	return error_set(error, err, "cannot write the export to %s: %s", name, dwal_strerror(err));
}

static int put_item(const dwal_kv *kv, const struct gathered *gathered, struct output *out,
		    const char *name, struct dwal_error *error)
{
	int err = kv_progress(kv, &gathered->item, error);

	if (err)
		return err;
	err = put_line(out, gathered->item.key, gathered->value);
	return err ? output_failed(err, name, error) : 0;
}

static int put_all(const dwal_kv *kv, struct gather *gather, struct output *out, const char *name,
		   struct dwal_error *error)
{
	const struct gathered *gathered;
	size_t n;
	int err;

	while ((err = gather_next(gather, &gathered, &n, error)) == 0) {
		for (size_t i = 0; !err && i < n; i++)
			err = put_item(kv, &gathered[i], out, name, error);
		if (err)
			return err;
	}
	if (err != DWAL_END)
		return err;
	err = flush(out);
	return err ? output_failed(err, name, error) : 0;
}

static int export_to(dwal_kv *kv, int fd, const char *name, struct dwal_error *error)
{
	cleanup_free struct output *out = malloc(sizeof(*out));
	struct gather *gather;
	int err = out ? gather_open(kv, &gather) : -ENOMEM;

	if (err)
		return error_set(error, err, "%s: %s", kv_dir(kv), dwal_strerror(err));
	out->io = kv_io(kv);
	out->fd = fd;
	out->used = 0;
	err = put_all(kv, gather, out, name, error);
	gather_close(gather);
	return err;
}

int dwal_kv_export_jsonl_fd(dwal_kv *kv, int fd, struct dwal_error *error)
{
	return export_to(kv, fd, "the descriptor", error);
}

/* A file that is replaced stays as readable as it was. A new one is as readable
 * as the log. */
static int find_like(dwal_kv *kv, const struct atomic_file *file, struct file_like *out)
{
	const struct io *io = file->io;
	struct stat st;
	int fd = file_open(io, file->dirfd, file->name, O_RDONLY, &st);

	if (fd < 0 &&
	    (fd == -ENOENT || io->fstatat(io, file->dirfd, file->name, &st, AT_SYMLINK_NOFOLLOW) ||
	     !S_ISREG(st.st_mode)))
		return kv_like(kv, out);
	*out = file_like(&st, fd < 0 ? -1 : fd);
	out->mode = st.st_mode & 0777;
	return 0;
}

static int commit(dwal_kv *kv, struct atomic_file *file)
{
	struct file_like like;
	int err = find_like(kv, file, &like);

	if (err)
		return err;
	err = file_make_like(file->io, file->fd, &like);
	file_like_release(file->io, &like);
	return err ? err : atomic_commit(file, true);
}

int dwal_kv_export_jsonl(dwal_kv *kv, const char *path, struct dwal_error *error)
{
	cleanup_free char *parent = path_parent(path);
	struct atomic_file file;
	int err = parent ? io_make_dirs(kv_io(kv), parent, 0777) : -ENOMEM;

	if (!err)
		err = atomic_begin(kv_io(kv), path, 0600, &file);
	if (err)
		return output_failed(err, path, error);
	atomic_sweep(&file);
	err = export_to(kv, file.fd, path, error);
	if (!err) {
		err = commit(kv, &file);
		if (err)
			(void)output_failed(err, path, error);
	}
	atomic_release(&file);
	return err;
}
