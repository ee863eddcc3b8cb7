/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations on open directories. A handle has the place where it is in the list
 * of children, and no names: so many can be open of a large directory.
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
	struct node *node;              /* held; NULL: .log */
	struct cursor cursor;           /* of a node */
	struct listing listing;         /* of .log */
	uint64_t ino, parent_ino;       /* for "." and ".." */
	bool noatime;                   /* O_NOATIME */
};

/* Offsets are those of the next entry: "." is 0, ".." 1. Of a directory of the
 * tree a name has that of its seat, and .log where it is shown the one before the
 * first; of .log a name has the one behind the name before it. */
#define DOTS      2
#define SHOWN_LOG DOTS

static struct dir_handle *dir_of(const struct fuse_file_info *fi)
{
	return (struct dir_handle *)(uintptr_t)fi->fh;
}

static int start_logdir(struct fs *fs, fuse_ino_t ino, struct dir_handle *dh)
{
	struct stat st;
	int r = logdir_getattr(fs, ino, &st);

	if (r)
		return r;
	dh->ino = st.st_ino;
	dh->parent_ino = fs->tree.root->ino;
	listing_clear(&dh->listing);
	return logdir_list(fs, ino, &dh->listing);
}

static void start_node(struct fs *fs, struct dir_handle *dh)
{
	struct node *node = dh->node;

	tree_lock(&fs->tree);
	dh->ino = node->ino;
	dh->parent_ino = node->parent ? node_parent(node)->ino : node->ino;
	cursor_start(&fs->tree, &dh->cursor, node);
	if (!dh->noatime && !fs->opt.nodiratime)
		nodeattr_read(&fs->tree, node);
	tree_unlock(&fs->tree);
}

/* The first read, or a rewind. */
static int start(struct fs *fs, fuse_ino_t ino, struct dir_handle *dh)
{
	if (!dh->node)
		return start_logdir(fs, ino, dh);
	start_node(fs, dh);
	return 0;
}

static void free_dir(struct fs *fs, struct dir_handle *dh)
{
	tree_lock(&fs->tree);
	DL_DELETE(fs->dirs, dh);
	cursor_stop(&fs->tree, &dh->cursor);
	if (dh->node)
		tree_drop(&fs->tree, dh->node);
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
	int r = dh ? 0 : ENOMEM;

	if (!r && !logdir_owns(ino))
		r = ops_find(fs, ino, &dh->node);
	if (r) {
		free(dh);
		fuse_reply_err(req, r);
		return;
	}
	tree_lock(&fs->tree);
	DL_APPEND(fs->dirs, dh);
	if (dh->node)
		tree_hold(dh->node);
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

struct entry {
	const char *name;
	struct node *node; /* NULL: nothing that can be looked up */
	struct stat st;    /* number and type */
	off_t next;        /* the offset behind it */
};

static void set_entry(struct entry *entry, const char *name, uint64_t ino, mode_t type, off_t next)
{
	*entry = (struct entry){.name = name, .next = next};
	entry->st.st_ino = ino;
	entry->st.st_mode = type;
}

/* The entry at offset, in .log. */
static bool listed_at(const struct dir_handle *dh, off_t offset, struct entry *out)
{
	const struct listing_entry *entry;
	size_t i = (size_t)offset - DOTS;

	if (i >= dh->listing.count)
		return false;
	entry = &dh->listing.entries[i];
	set_entry(out, listing_name(&dh->listing, i), entry->ino, entry->type, offset + 1);
	return true;
}

/* The entry at offset or behind it. Wants the tree's lock. */
static bool entry_at(struct fs *fs, struct dir_handle *dh, off_t offset, struct entry *out)
{
	struct node *node;

	if (offset < DOTS) {
		set_entry(out, offset ? ".." : ".", offset ? dh->parent_ino : dh->ino, S_IFDIR,
			  offset + 1);
		return true;
	}
	if (!dh->node)
		return listed_at(dh, offset, out);
	if (offset == SHOWN_LOG && dh->node == fs->tree.root && fs->opt.showlog) {
		set_entry(out, LOGDIR_NAME, LOGDIR_INO, S_IFDIR, SEAT_FIRST);
		return true;
	}
	node = cursor_seek(&dh->cursor, (uint64_t)offset);
	if (!node)
		return false;
	set_entry(out, node_name(node), node->ino, node_type(node), (off_t)node->seat + 1);
	out->node = node;
	return true;
}

/* Adds one entry; false when it does not fit. */
typedef bool add_fn(fuse_req_t req, struct page *page, const struct entry *entry);

static bool add_plain(fuse_req_t req, struct page *page, const struct entry *entry)
{
	size_t room = page->size - page->used;
	size_t need = fuse_add_direntry(req, page->buffer + page->used, room, entry->name,
					&entry->st, entry->next);
	if (need > room)
		return false;
	page->used += need;
	return true;
}

/* What fits counts as looked up. */
static bool add_plus(fuse_req_t req, struct page *page, const struct entry *entry)
{
	struct fs *fs = req_fs(req);
	size_t room = page->size - page->used;
	struct fuse_entry_param found = {.attr = entry->st}; /* ino 0: only a name */
	bool counted = entry->node && ops_fill_entry(fs, entry->node, &found) == 0;
	size_t need = fuse_add_direntry_plus(req, page->buffer + page->used, room, entry->name,
					     &found, entry->next);
	if (need <= room) {
		page->used += need;
		return true;
	}
	if (counted)
		tree_forget(&fs->tree, entry->node, 1);
	return false;
}

static int fill_page(fuse_req_t req, fuse_ino_t ino, off_t offset, struct dir_handle *dh,
		     struct page *page, add_fn *add)
{
	struct fs *fs = req_fs(req);
	int r = !offset || !dh->ino ? start(fs, ino, dh) : 0;
	struct entry entry;

	if (r)
		return r;
	tree_lock(&fs->tree);
	for (; entry_at(fs, dh, offset, &entry) && add(req, page, &entry); offset = entry.next)
		;
	tree_unlock(&fs->tree);
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
	struct node *dir;
	int r = 0;

	if (!logdir_owns(ino) && !fs->opt.read_only) {
		r = ops_find(fs, ino, &dir);
		if (!r)
			r = pending_commit_names(fs, dir);
		if (!r)
			r = txn_sync(fs);
	}
	fuse_reply_err(req, r);
}
