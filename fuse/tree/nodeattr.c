/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Attributes of nodes. The rules for what a record means are those of
 * ATTRIBUTES.md.
 */
#include "tree/nodeattr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

static unsigned present(const struct node *node)
{
	return node->extra ? node_extra(node)->attr.present : 0;
}

static mode_t default_mode(const struct tree *tree, mode_t type)
{
	if (S_ISLNK(type))
		return 0777; /* as everywhere: it is the target's that counts */
	return (S_ISDIR(type) ? 0755 : 0644) & ~tree->opt.umask;
}

static bool is_device(mode_t type)
{
	return S_ISCHR(type) || S_ISBLK(type);
}

/* As of a read: none, or what nodeattr_set_read() said. */
static int64_t read_at(const struct node *node)
{
	return node->use ? node_use(node)->read_at : 0;
}

void nodeattr_stat(const struct tree *tree, const struct node *node, struct stat *out)
{
	tree_wants_lock(tree);
	static const struct attr none;
	const struct attr *a = node->extra ? &node_extra(node)->attr : &none;
	mode_t type = node_type(node);

	memset(out, 0, sizeof(*out));
	out->st_ino = node->ino;
	out->st_mode = type | (a->present & ATTR_HAS_MODE ? a->mode : default_mode(tree, type));
	out->st_uid = a->present & ATTR_HAS_UID ? a->uid : tree->opt.uid;
	out->st_gid = a->present & ATTR_HAS_GID ? a->gid : tree->opt.gid;
	out->st_rdev = a->present & ATTR_HAS_RDEV && is_device(type) ? a->rdev : 0;
	out->st_nlink = !node_has_place(tree, node) ? 0
			: node_is_dir(node)         ? 2 + node_subdirs(node)
						    : 1;
	out->st_nlink += node == tree->root && tree->opt.shows_log; /* .log is in it as well */
	out->st_size = (off_t)node_size(node);
	out->st_blksize = 4096;
	out->st_blocks = (blkcnt_t)((out->st_size + 511) / 512);
	out->st_mtim = node_mtime(node);
	out->st_atim = out->st_mtim;
	if (a->present & ATTR_HAS_ATIME)
		out->st_atim = a->atime;
	else if (read_at(node))
		out->st_atim = shorttime_time(read_at(node));
	out->st_ctim = a->present & ATTR_HAS_CTIME ? a->ctime : out->st_mtim;
}

static void touch(struct node *node)
{
	struct extra *extra = node_extra(node);

	if (node->use)
		node_use(node)->time_set = false;
	if (!extra)
		return;
	extra->attr.present &= ~(unsigned)(ATTR_HAS_MTIME | ATTR_HAS_CTIME);
	/* A time of access that was set stays. The Put that is to come would end
	 * it at the next mount. */
	if (!node_is_dir(node) && extra->attr.present & ATTR_HAS_ATIME)
		extra->owed = true;
}

void nodeattr_touch(struct tree *tree, struct node *node, struct timespec when)
{
	struct use *use = node_make_use(tree, node);

	/* without memory the time of access is that of the change */
	if (use && !use->read_at && !(present(node) & ATTR_HAS_ATIME))
		use->read_at = shorttime_of(node_mtime(node));
	nodeattr_touched(tree, node, when);
}

void nodeattr_touched(struct tree *tree, struct node *node, struct timespec when)
{
	node_set_mtime(tree, node, when);
	touch(node);
}

void nodeattr_written_back(struct node *node)
{
	if (node->extra) /* it was made with the time */
		node_extra(node)->owed = true;
}

static bool is_after(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

struct timespec nodeattr_ctime(const struct node *node)
{
	return present(node) & ATTR_HAS_CTIME ? node_extra(node)->attr.ctime : node_mtime(node);
}

int nodeattr_set_times(struct tree *tree, struct node *node, struct timespec mtime,
		       struct timespec ctime)
{
	bool differ = !timespec_equal(mtime, ctime);
	struct extra *extra = differ ? node_make_extra(tree, node) : node_extra(node);

	if (differ && !extra)
		return ENOMEM;
	node_set_mtime(tree, node, mtime);
	if (!extra)
		return 0;
	extra->attr.ctime = ctime;
	extra->attr.present &= ~(unsigned)(ATTR_HAS_MTIME | ATTR_HAS_CTIME);
	if (differ)
		extra->attr.present |= ATTR_HAS_CTIME;
	return 0;
}

int nodeattr_put(struct tree *tree, struct node *node, struct timespec mtime, struct timespec ctime)
{
	if (node->extra)
		node_extra(node)->attr.present &= ~(unsigned)ATTR_HAS_ATIME;
	return nodeattr_set_times(tree, node, mtime, ctime);
}

static int set_ctime(struct tree *tree, struct node *node, struct timespec when)
{
	struct extra *extra = node_make_extra(tree, node);

	if (!extra)
		return ENOMEM;
	extra->attr.ctime = when;
	extra->attr.present |= ATTR_HAS_CTIME;
	return 0;
}

int nodeattr_changed(struct tree *tree, struct node *node)
{
	int r = set_ctime(tree, node, tree_now());

	if (!r)
		node_extra(node)->owed = true;
	return r;
}

void nodeattr_renamed(struct tree *tree, struct node *node, struct timespec when)
{
	(void)set_ctime(tree, node, when); /* without memory it is not shown */
}

void nodeattr_drop_set_id(struct node *node)
{
	struct extra *extra = node_extra(node);
	mode_t mode, kept;

	if (!(present(node) & ATTR_HAS_MODE))
		return; /* the defaults have none */
	mode = extra->attr.mode;
	kept = mode & ~(mode_t)S_ISUID;
	if (mode & S_IXGRP)
		kept &= ~(mode_t)S_ISGID;
	extra->attr.mode = kept;
	extra->owed |= kept != mode;
}

void nodeattr_set_read(struct tree *tree, struct node *node, struct timespec when)
{
	struct use *use = node_make_use(tree, node);

	if (use)
		use->read_at = shorttime_of(when);
	if (node->extra)
		node_extra(node)->attr.present &= ~(unsigned)ATTR_HAS_ATIME;
}

bool nodeattr_read_is_due(const struct tree *tree, const struct node *node)
{
	const time_t day = 24 * 60 * 60;
	struct stat st;

	tree_wants_lock(tree);
	if (!tree->opt.counts_reads)
		return false;
	nodeattr_stat(tree, node, &st);
	return !is_after(st.st_atim, st.st_mtim) || !is_after(st.st_atim, st.st_ctim) ||
	       tree_now().tv_sec - st.st_atim.tv_sec >= day;
}

void nodeattr_read(struct tree *tree, struct node *node)
{
	tree_wants_lock(tree);
	if (nodeattr_read_is_due(tree, node))
		nodeattr_set_read(tree, node, tree_now());
}

int nodeattr_set_owner(struct tree *tree, const struct node *dir, struct node *node, mode_t mode,
		       uid_t uid, gid_t gid)
{
	struct extra *extra;
	struct attr attr = {.mode = mode & 07777, .uid = uid, .gid = gid};
	struct stat parent;

	tree_wants_lock(tree);
	nodeattr_stat(tree, dir, &parent);
	if (parent.st_mode & S_ISGID) {
		attr.gid = parent.st_gid;
		if (node_is_dir(node))
			attr.mode |= S_ISGID;
	}
	if (attr.mode != default_mode(tree, node_type(node)))
		attr.present |= ATTR_HAS_MODE;
	if (attr.uid != tree->opt.uid)
		attr.present |= ATTR_HAS_UID;
	if (attr.gid != tree->opt.gid)
		attr.present |= ATTR_HAS_GID;
	if (!attr.present && S_ISREG(node_type(node)))
		return 0;
	extra = node_make_extra(tree, node);
	if (!extra)
		return ENOMEM;
	extra->attr = attr;
	extra->owed = true; /* with any other type the record tells it */
	return 0;
}

static enum attr_type attr_type(mode_t type)
{
	switch (type) {
	case S_IFDIR:
		return ATTR_DIR;
	case S_IFLNK:
		return ATTR_SYMLINK;
	case S_IFIFO:
		return ATTR_FIFO;
	case S_IFSOCK:
		return ATTR_SOCKET;
	case S_IFCHR:
		return ATTR_CHAR;
	case S_IFBLK:
		return ATTR_BLOCK;
	}
	return ATTR_FILE;
}

static mode_t file_type(enum attr_type type)
{
	static const mode_t types[] = {
		[ATTR_DIR] = S_IFDIR,   [ATTR_FILE] = S_IFREG,    [ATTR_SYMLINK] = S_IFLNK,
		[ATTR_FIFO] = S_IFIFO,  [ATTR_SOCKET] = S_IFSOCK, [ATTR_CHAR] = S_IFCHR,
		[ATTR_BLOCK] = S_IFBLK,
	};
	return types[type];
}

struct attr nodeattr_snapshot(const struct node *node)
{
	struct attr attr = {0};

	if (node->extra)
		attr = node_extra(node)->attr;
	attr.type = attr_type(node_type(node));
	attr.mtime = node_mtime(node);
	attr.present |= ATTR_HAS_MTIME;
	attr.present &= ~(unsigned)ATTR_HAS_RDEV;
	if (is_device(node_type(node)))
		attr.present |= ATTR_HAS_RDEV;
	return attr;
}

const struct xattr *nodeattr_xattrs(const struct node *node)
{
	return node->extra ? node_extra(node)->xattrs : NULL;
}

bool nodeattr_owed(const struct node *node)
{
	return node->extra && node_extra(node)->owed;
}

void nodeattr_told(struct node *node, const struct record_place *record)
{
	struct extra *extra = node_extra(node);

	node->recorded = record;
	if (record)
		extra->record = *record;
	if (extra)
		extra->owed = false;
}

bool nodeattr_needs_record(const struct node *node)
{
	return !S_ISREG(node_type(node)) || nodeattr_xattrs(node) ||
	       present(node) & (ATTR_HAS_MODE | ATTR_HAS_UID | ATTR_HAS_GID | ATTR_HAS_ATIME);
}

static bool value_fits(const struct node *node, enum attr_type type)
{
	if (type == ATTR_SYMLINK)
		return node->can_be_target;
	return type == ATTR_FILE || type == ATTR_DIR || !node_size(node);
}

void nodeattr_settle_type(struct node *node)
{
	struct extra *extra = node_extra(node);
	bool fits;

	if (!extra || extra->attr.type == ATTR_NONE)
		return;
	fits = value_fits(node, extra->attr.type);
	if (!node_is_dir(node))
		node->kind = (uint8_t)((fits ? file_type(extra->attr.type) : S_IFREG) >> 12);
	extra->owed = !fits; /* what is written to such a file is a file's */
}

int nodeattr_load(struct tree *tree, struct node *node, const struct attr *attr,
		  struct xattr *xattrs, struct record_place record)
{
	struct timespec mtime = attr->present & ATTR_HAS_MTIME ? attr->mtime : node_mtime(node);
	struct extra *extra = node_make_extra(tree, node);

	if (!extra) {
		xattr_free(xattrs);
		return ENOMEM;
	}
	xattr_free(extra->xattrs);
	*extra = (struct extra){.attr = *attr, .xattrs = xattrs, .record = record};
	nodeattr_settle_type(node);
	node->recorded = true;
	node_set_mtime(tree, node, mtime);
	return 0;
}
