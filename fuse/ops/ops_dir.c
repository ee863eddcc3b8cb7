/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations on open directories. Each handle has a snapshot of the names.
 */
#include "ops/ops_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "file/pending.h"
#include "ops/ops.h"
#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "txn.h"

struct dir_handle {
	struct dir_handle *prev, *next; /* fs->dirs */
	struct listing listing;
	uint64_t ino, parent_ino; /* for "." and ".." */
	bool noatime;             /* O_NOATIME */
};

/* Offsets are those of the next entry: "." is 0, ".." 1, the first name 2. */
#define DOTS 2

static struct dir_handle *dir_of(const struct fuse_file_info *fi)
{
	return (struct dir_handle *)(uintptr_t)fi->fh;
}

static int list_logdir(struct fs *fs, fuse_ino_t ino, struct dir_handle *dh)
{
	struct stat st;
	int r = logdir_getattr(fs, ino, &st);

	if (r)
		return r;
	dh->ino = st.st_ino;
	dh->parent_ino = fs->tree.root->ino;
	return logdir_list(fs, ino, &dh->listing);
}

static int list_node(struct fs *fs, fuse_ino_t ino, struct dir_handle *dh)
{
	struct node *node;
	int r = ops_find(fs, ino, &node);

	if (r)
		return r;
	tree_lock(&fs->tree);
	dh->ino = node->ino;
	dh->parent_ino = node->parent ? node->parent->ino : node->ino;
	if (node == fs->tree.root && fs->opt.showlog)
		r = listing_add(&dh->listing, LOGDIR_NAME, LOGDIR_INO, S_IFDIR);
	if (!r)
		r = tree_list(node, &dh->listing);
	if (!dh->noatime && !fs->opt.nodiratime)
		nodeattr_read(&fs->tree, node);
	tree_unlock(&fs->tree);
	return r;
}

static int snapshot(struct fs *fs, fuse_ino_t ino, struct dir_handle *dh)
{
	listing_clear(&dh->listing);
	return logdir_owns(ino) ? list_logdir(fs, ino, dh) : list_node(fs, ino, dh);
}

static void free_dir(struct fs *fs, struct dir_handle *dh)
{
	tree_lock(&fs->tree);
	DL_DELETE(fs->dirs, dh);
	tree_unlock(&fs->tree);
	listing_release(&dh->listing);
	free(dh);
}

/* Those that the kernel never released: it is gone. */
void ops_free_dirs(struct fs *fs)
{
	while (fs->dirs)
		free_dir(fs, fs->dirs);
}

void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	struct dir_handle *dh = calloc(1, sizeof(*dh));
	struct node *node;
	int r = dh ? 0 : ENOMEM;

	if (!r && !logdir_owns(ino))
		r = ops_find(fs, ino, &node);
	if (r) {
		free(dh);
		fuse_reply_err(req, r);
		return;
	}
	tree_lock(&fs->tree);
	DL_APPEND(fs->dirs, dh);
	tree_unlock(&fs->tree);
	dh->noatime = fi->flags & O_NOATIME;
	fi->fh = (uintptr_t)dh;
	if (fuse_reply_open(req, fi))
		free_dir(fs, dh);
}

/* A reply being filled. */
struct page {
	char *buffer;
	size_t size, used;
};

/* The entry at offset, which is "." or "..", or a name. */
static const char *entry_at(const struct dir_handle *dh, size_t offset, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFDIR;
	if (offset < DOTS) {
		st->st_ino = offset ? dh->parent_ino : dh->ino;
		return offset ? ".." : ".";
	}
	st->st_ino = dh->listing.entries[offset - DOTS].ino;
	st->st_mode = dh->listing.entries[offset - DOTS].type;
	return listing_name(&dh->listing, offset - DOTS);
}

/* Adds one entry; false when it does not fit. */
typedef bool add_fn(fuse_req_t req, fuse_ino_t dir, struct page *page, const char *name,
		    const struct stat *st, size_t offset);

static bool add_plain(fuse_req_t req, fuse_ino_t dir, struct page *page, const char *name,
		      const struct stat *st, size_t offset)
{
	size_t room = page->size - page->used;
	size_t need = fuse_add_direntry(req, page->buffer + page->used, room, name, st,
					(off_t)offset + 1);
	if (need > room)
		return false;
	page->used += need;
	return true;
}

/* The node behind a name of the snapshot, if it is still there; counts as
 * looked up. */
static bool look_up(struct fs *fs, fuse_ino_t dir, const char *name, const struct stat *st,
		    struct fuse_entry_param *out)
{
	struct node *parent, *child;

	if (logdir_owns(dir) || st->st_ino >= LOGDIR_INO || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return false;
	tree_lock(&fs->tree);
	parent = tree_node(&fs->tree, dir);
	child = parent ? node_child(&fs->tree, parent, name) : NULL;
	bool found = child && child->ino == st->st_ino && ops_fill_entry(fs, child, out) == 0;
	tree_unlock(&fs->tree);
	return found;
}

static bool add_plus(fuse_req_t req, fuse_ino_t dir, struct page *page, const char *name,
		     const struct stat *st, size_t offset)
{
	struct fs *fs = req_fs(req);
	size_t room = page->size - page->used;
	struct fuse_entry_param entry = {.attr = *st}; /* ino 0: only a name */
	bool counted = look_up(fs, dir, name, st, &entry);
	size_t need = fuse_add_direntry_plus(req, page->buffer + page->used, room, name, &entry,
					     (off_t)offset + 1);
	if (need <= room) {
		page->used += need;
		return true;
	}
	if (counted)
		ops_forget_node(fs, entry.ino, 1);
	return false;
}

static int fill_page(fuse_req_t req, fuse_ino_t ino, off_t offset, struct dir_handle *dh,
		     struct page *page, add_fn *add)
{
	size_t count;

	if (!offset) { /* the first read, or a rewind */
		int r = snapshot(req_fs(req), ino, dh);
		if (r)
			return r;
	}
	count = dh->listing.count + DOTS;
	for (size_t at = (size_t)offset; at < count; at++) {
		struct stat st;
		const char *name = entry_at(dh, at, &st);
		if (!add(req, ino, page, name, &st, at))
			break;
	}
	return 0;
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     struct fuse_file_info *fi, add_fn *add)
{
	struct page page = {.buffer = malloc(size), .size = size};
	int r = page.buffer ? fill_page(req, ino, offset, dir_of(fi), &page, add) : ENOMEM;

	if (r)
		fuse_reply_err(req, r);
	else
		fuse_reply_buf(req, page.buffer, page.used);
	free(page.buffer);
}

void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi)
{
	read_dir(req, ino, size, offset, fi, add_plain);
}

void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	read_dir(req, ino, size, offset, fi, add_plus);
}

void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	free_dir(req_fs(req), dir_of(fi));
	fuse_reply_err(req, 0);
}

void ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs *fs = req_fs(req);
	int r = 0;

	if (!logdir_owns(ino) && !fs->opt.read_only) {
		r = pending_commit_names(fs, tree_node(&fs->tree, ino));
		if (!r)
			r = txn_sync(fs);
	}
	fuse_reply_err(req, r);
}
