/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations: finding a name, forgetting it, attributes, df.
 */
#include "ops/ops_attr.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "clock.h"
#include "file/handle.h"
#include "file/publish.h"
#include "ops/ops.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"

static int lookup_do(struct fs *fs, fuse_ino_t parent, const char *name, const struct fuse_ctx *ctx,
		     struct fuse_entry_param *out)
{
	struct node *dir, *child;
	int r = ENOENT;

	if (strlen(name) > NAME_MAX)
		return ENAMETOOLONG;
	if (logdir_owns(parent))
		return logdir_lookup(fs, parent, name, out);
	if (parent == FUSE_ROOT_ID && strcmp(name, LOGDIR_NAME) == 0) {
		memset(out, 0, sizeof(*out));
		out->ino = LOGDIR_ID;
		out->generation = fs->tree.ids.mount;
		return logdir_getattr(fs, LOGDIR_ID, &out->attr);
	}
	tree_lock(&fs->tree);
	dir = tree_node(&fs->tree, parent);
	child = dir ? tree_lookup(&fs->tree, dir, name) : NULL;
	if (child && beside_is_hidden(child, ctx->pid))
		child = NULL;
	if (!dir)
		r = ESTALE;
	else if (child)
		r = ops_fill_entry(fs, child, out);
	tree_unlock(&fs->tree);
	return r;
}

/* The kernel may believe for a while that there is no such name. It will know
 * when there is one, unless that comes by itself, beside a value. */
static bool tell_absent(struct fs *fs, fuse_ino_t parent, const char *name)
{
	if (logdir_owns(parent) || strchr(name, '\\') || atomic_load(&fs->tree.values_seen))
		return false;
	atomic_store(&fs->absent_told, monotonic_ms());
	return true;
}

/* Who makes X\value looks it up before. With the first such name the kernel is
 * given the time, and some ticks of its clock, to forget what it was told of any X. */
static void see_value_name(struct fs *fs, const char *name)
{
	struct timespec pause;
	char base[NAME_SIZE];
	int64_t left;

	if (!tree_value_base(name, base) || atomic_exchange(&fs->tree.values_seen, true))
		return;
	left = atomic_load(&fs->absent_told) + CACHE_ABSENT_SECONDS * 1000 + 50 - monotonic_ms();
	pause = (struct timespec){left / 1000, left % 1000 * 1000000};
	if (left > 0)
		(void)nanosleep(&pause, NULL);
}

void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = req_fs(req);
	struct fuse_entry_param entry;
	int r = lookup_do(fs, parent, name, fuse_req_ctx(req), &entry);

	if (r == ENOENT && tell_absent(fs, parent, name)) {
		memset(&entry, 0, sizeof(entry));
		entry.entry_timeout = CACHE_ABSENT_SECONDS;
		r = 0;
	} else if (r == ENOENT && !fs->opt.read_only) {
		see_value_name(fs, name);
	}
	if (r)
		fuse_reply_err(req, r);
	else
		ops_reply_entry(req, &entry);
}

void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	ops_forget_node(req_fs(req), ino, lookups);
	fuse_reply_none(req);
}

void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		ops_forget_node(req_fs(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static int getattr_do(struct fs *fs, fuse_ino_t ino, struct fuse_file_info *fi, struct stat *out,
		      double *seconds)
{
	const struct node *node;
	int r = 0;

	*seconds = 0;
	if (logdir_owns(ino))
		return logdir_getattr(fs, ino, out);
	tree_lock(&fs->tree);
	node = ops_node(fs, ino);
	if (node)
		*seconds = ops_stat(fs, node, out);
	else
		r = ESTALE;
	tree_unlock(&fs->tree);
	return r;
}

void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	double seconds;
	int r = getattr_do(req_fs(req), ino, fi, &st, &seconds);

	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_attr(req, &st, seconds);
}

/* Of access(2) and chdir(2), where the kernel checks no permissions: of root alone
 * (session.c), who may do all but run what nobody can. */
static int access_do(struct fs *fs, fuse_ino_t ino, int mask)
{
	struct stat st;
	double seconds;
	int r = getattr_do(fs, ino, NULL, &st, &seconds);

	if (!r && mask & X_OK && !S_ISDIR(st.st_mode) && !(st.st_mode & 0111))
		r = EACCES;
	return r;
}

void ops_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	fuse_reply_err(req, access_do(req_fs(req), ino, mask));
}

/* A time that is "now" is not worth more than that of a read or a write. */
static void set_times(struct tree *tree, struct node *node, const struct stat *attr, int to_set)
{
	struct attr *a = &node_extra(node)->attr;
	struct timespec now = tree_now();
	struct stat before;

	nodeattr_stat(tree, node, &before);
	if (to_set & FUSE_SET_ATTR_ATIME_NOW) {
		nodeattr_set_read(tree, node, now);
	} else if (to_set & FUSE_SET_ATTR_ATIME) {
		a->atime = attr->st_atim;
		a->present |= ATTR_HAS_ATIME;
	}
	if (!(to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)))
		return;
	node_use(node)->time_set = true;
	if (!(to_set & FUSE_SET_ATTR_ATIME)) { /* does not follow mtime here */
		a->atime = before.st_atim;
		a->present |= ATTR_HAS_ATIME;
	}
	if (to_set & FUSE_SET_ATTR_MTIME_NOW) {
		node_set_mtime(tree, node, now);
		a->present &= ~(unsigned)ATTR_HAS_MTIME;
	} else {
		node_set_mtime(tree, node, attr->st_mtim);
		a->present |= ATTR_HAS_MTIME;
	}
}

static void set_attributes(struct fs *fs, struct node *node, const struct stat *attr, int to_set)
{
	struct attr *a = &node_extra(node)->attr;

	if (to_set & FUSE_SET_ATTR_MODE) {
		a->mode = attr->st_mode & 07777;
		a->present |= ATTR_HAS_MODE;
	}
	if (to_set & FUSE_SET_ATTR_UID) {
		a->uid = attr->st_uid;
		a->present |= ATTR_HAS_UID;
	}
	if (to_set & FUSE_SET_ATTR_GID) {
		a->gid = attr->st_gid;
		a->present |= ATTR_HAS_GID;
	}
	set_times(&fs->tree, node, attr, to_set);
}

/* Everything but the size. What cannot be written to the log is undone. Wants
 * the write lock. */
static int change_attributes(struct fs *fs, struct node *node, const struct stat *attr, int to_set)
{
	struct extra before = {0};
	struct timespec mtime;
	int r;

	tree_lock(&fs->tree);
	if (node->extra)
		before = *node_extra(node);
	mtime = node_mtime(node);
	r = node_vanished(node) ? ESTALE : nodeattr_changed(&fs->tree, node);
	if (!r)
		set_attributes(fs, node, attr, to_set);
	tree_unlock(&fs->tree);
	if (!r)
		r = publish_attributes(fs, node);
	if (r && r != ESTALE) {
		tree_lock(&fs->tree);
		if (node->extra)
			*node_extra(node) = before;
		node_set_mtime(&fs->tree, node, mtime);
		tree_unlock(&fs->tree);
	}
	return r;
}

static int setattr_do(struct fs *fs, fuse_ino_t ino, const struct stat *attr, int to_set,
		      struct fuse_file_info *fi)
{
	struct handle *handle = fi ? (struct handle *)(uintptr_t)fi->fh : NULL;
	struct node *node;
	int others = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID |
		     FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME |
		     FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME;
	int r = logdir_owns(ino) ? EROFS : fs_refuses(fs);

	if (!r)
		r = ops_find(fs, ino, &node);
	if (!r && to_set & FUSE_SET_ATTR_SIZE)
		r = node_is_dir(node) ? EISDIR : handle_truncate(fs, node, handle, attr->st_size);
	/* Also when nothing is to be set, as by chown(-1, -1): that is a change. */
	if (!r && (to_set & others || !(to_set & FUSE_SET_ATTR_SIZE)))
		do {
			txn_lock(fs);
			r = change_attributes(fs, node, attr, to_set);
		} while (txn_unlock(fs, r));
	return ops_synced(fs, r);
}

void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		 struct fuse_file_info *fi)
{
	int r = setattr_do(req_fs(req), ino, attr, to_set, fi);

	if (!r) {
		ops_getattr(req, ino, fi);
		return;
	}
	if (to_set & FUSE_SET_ATTR_SIZE)
		ops_forget_attr(req_fs(req), ino);
	fuse_reply_err(req, r);
}

static int readlink_do(struct fs *fs, fuse_ino_t ino, char target[PATH_MAX])
{
	struct handle *handle;
	struct node *node;
	struct piece piece = {.buffer = target, .n = PATH_MAX};
	int r = ops_find(fs, ino, &node);

	if (!r)
		r = handle_open(fs, node, false, false, &handle);
	if (r)
		return r;
	r = handle_read(fs, handle, 0, &piece);
	handle_close(fs, handle);
	if (r)
		return r;
	memmove(target, piece.bytes, piece.n);
	whole_unref(piece.whole);
	if (piece.n == PATH_MAX)
		return ENAMETOOLONG; /* put there by other means */
	target[piece.n] = '\0';
	return 0;
}

void ops_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = req_fs(req);
	char target[PATH_MAX];
	int r = readlink_do(fs, ino, target);

	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_readlink(req, target);
}

void ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	if (fstatvfs(req_fs(req)->dir_fd, &st)) {
		fuse_reply_err(req, errno);
		return;
	}
	st.f_namemax = NAME_MAX;
	fuse_reply_statfs(req, &st);
}
