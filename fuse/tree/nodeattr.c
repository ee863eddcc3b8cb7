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
#define SECOND_NS 1000000000LL

static unsigned present(const struct node *node)
{
	return node->extra ? node->extra->attr.present : 0;
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

/* Nanoseconds count forward, also before 1970. */
static struct timespec time_of_ns(int64_t ns)
{
	int64_t fraction = ns % SECOND_NS;

	if (fraction < 0)
		fraction += SECOND_NS;
	return (struct timespec){(ns - fraction) / SECOND_NS, fraction};
}

void nodeattr_stat(const struct tree *tree, const struct node *node, struct stat *out)
{
	tree_wants_lock(tree);
	static const struct attr none;
	const struct attr *a = node->extra ? &node->extra->attr : &none;

	memset(out, 0, sizeof(*out));
	out->st_ino = node->ino;
	out->st_mode = node->type |
		       (a->present & ATTR_HAS_MODE ? a->mode : default_mode(tree, node->type));
	out->st_uid = a->present & ATTR_HAS_UID ? a->uid : tree->opt.uid;
	out->st_gid = a->present & ATTR_HAS_GID ? a->gid : tree->opt.gid;
	out->st_rdev = a->present & ATTR_HAS_RDEV && is_device(node->type) ? a->rdev : 0;
	out->st_nlink = !node_has_place(tree, node) ? 0 : node_is_dir(node) ? 2 + node->subdirs : 1;
	out->st_nlink += node == tree->root && tree->opt.shows_log; /* .log is in it as well */
	out->st_size = (off_t)node->size;
	out->st_blksize = 4096;
	out->st_blocks = (blkcnt_t)((node->size + 511) / 512);
	out->st_mtim = node->mtime;
	out->st_atim = node->mtime;
	if (a->present & ATTR_HAS_ATIME)
		out->st_atim = a->atime;
	else if (node->read_at)
		out->st_atim = time_of_ns(node->read_at);
	out->st_ctim = a->present & ATTR_HAS_CTIME ? a->ctime : node->mtime;
}

void nodeattr_touch(struct node *node, struct timespec when)
{
	if (!node->read_at && !(present(node) & ATTR_HAS_ATIME))
		node->read_at = node->mtime.tv_sec * SECOND_NS + node->mtime.tv_nsec;
	nodeattr_touched(node, when);
}

void nodeattr_written_back(struct node *node)
{
	if (node->extra) /* it was made with the time */
		node->extra->owed = true;
}

void nodeattr_touched(struct node *node, struct timespec when)
{
	node->mtime = when;
	node->time_set = false;
	if (!node->extra)
		return;
	node->extra->attr.present &= ~(unsigned)(ATTR_HAS_MTIME | ATTR_HAS_CTIME);
	/* A time of access that was set stays. The Put that is to come would end
	 * it at the next mount. */
	if (!node_is_dir(node) && node->extra->attr.present & ATTR_HAS_ATIME)
		node->extra->owed = true;
}

static bool is_after(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

struct timespec nodeattr_ctime(const struct node *node)
{
	return present(node) & ATTR_HAS_CTIME ? node->extra->attr.ctime : node->mtime;
}

int nodeattr_set_times(struct node *node, struct timespec mtime, struct timespec ctime)
{
	bool differ = !timespec_equal(mtime, ctime);

	if (differ && !node_extra(node))
		return ENOMEM;
	node->mtime = mtime;
	if (!node->extra)
		return 0;
	node->extra->attr.ctime = ctime;
	node->extra->attr.present &= ~(unsigned)(ATTR_HAS_MTIME | ATTR_HAS_CTIME);
	if (differ)
		node->extra->attr.present |= ATTR_HAS_CTIME;
	return 0;
}

int nodeattr_put(struct node *node, struct timespec mtime, struct timespec ctime)
{
	if (node->extra)
		node->extra->attr.present &= ~(unsigned)ATTR_HAS_ATIME;
	return nodeattr_set_times(node, mtime, ctime);
}

int nodeattr_changed(struct node *node)
{
	struct extra *extra = node_extra(node);

	if (!extra)
		return ENOMEM;
	extra->attr.ctime = tree_now();
	extra->attr.present |= ATTR_HAS_CTIME;
	extra->owed = true;
	return 0;
}

void nodeattr_drop_set_id(struct node *node)
{
	mode_t mode, kept;

	if (!(present(node) & ATTR_HAS_MODE))
		return; /* the defaults have none */
	mode = node->extra->attr.mode;
	kept = mode & ~(mode_t)S_ISUID;
	if (mode & S_IXGRP)
		kept &= ~(mode_t)S_ISGID;
	node->extra->attr.mode = kept;
	node->extra->owed |= kept != mode;
}

void nodeattr_renamed(struct node *node, struct timespec when)
{
	if (!node_extra(node))
		return;
	node->extra->attr.ctime = when;
	node->extra->attr.present |= ATTR_HAS_CTIME;
}

void nodeattr_set_read(struct node *node, struct timespec when)
{
	node->read_at = when.tv_sec * SECOND_NS + when.tv_nsec;
	if (node->extra)
		node->extra->attr.present &= ~(unsigned)ATTR_HAS_ATIME;
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

void nodeattr_read(const struct tree *tree, struct node *node)
{
	tree_wants_lock(tree);
	if (nodeattr_read_is_due(tree, node))
		nodeattr_set_read(node, tree_now());
}

int nodeattr_set_owner(const struct tree *tree, const struct node *dir, struct node *node,
		       mode_t mode, uid_t uid, gid_t gid)
{
	struct attr attr = {.mode = mode & 07777, .uid = uid, .gid = gid};
	struct stat parent;

	tree_wants_lock(tree);
	nodeattr_stat(tree, dir, &parent);
	if (parent.st_mode & S_ISGID) {
		attr.gid = parent.st_gid;
		if (node_is_dir(node))
			attr.mode |= S_ISGID;
	}
	if (attr.mode != default_mode(tree, node->type))
		attr.present |= ATTR_HAS_MODE;
	if (attr.uid != tree->opt.uid)
		attr.present |= ATTR_HAS_UID;
	if (attr.gid != tree->opt.gid)
		attr.present |= ATTR_HAS_GID;
	if (!attr.present && S_ISREG(node->type))
		return 0;
	if (!node_extra(node))
		return ENOMEM;
	node->extra->attr = attr;
	node->extra->owed = true; /* with any other type the record tells it */
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
		attr = node->extra->attr;
	attr.type = attr_type(node->type);
	attr.mtime = node->mtime;
	attr.present |= ATTR_HAS_MTIME;
	attr.present &= ~(unsigned)ATTR_HAS_RDEV;
	if (is_device(node->type))
		attr.present |= ATTR_HAS_RDEV;
	return attr;
}

const struct xattr *nodeattr_xattrs(const struct node *node)
{
	return node->extra ? node->extra->xattrs : NULL;
}

bool nodeattr_owed(const struct node *node)
{
	return node->extra && node->extra->owed;
}

void nodeattr_told(struct node *node, const struct record_place *record)
{
	node->recorded = record;
	if (record)
		node->extra->record = *record;
	if (node->extra)
		node->extra->owed = false;
}

bool nodeattr_needs_record(const struct node *node)
{
	return !S_ISREG(node->type) || nodeattr_xattrs(node) ||
	       present(node) & (ATTR_HAS_MODE | ATTR_HAS_UID | ATTR_HAS_GID | ATTR_HAS_ATIME);
}

static bool value_fits(const struct node *node, enum attr_type type)
{
	if (type == ATTR_SYMLINK)
		return node->can_be_target;
	return type == ATTR_FILE || type == ATTR_DIR || !node->size;
}

void nodeattr_settle_type(struct node *node)
{
	bool fits;

	if (!node->extra || node->extra->attr.type == ATTR_NONE)
		return;
	fits = value_fits(node, node->extra->attr.type);
	node->type = fits ? file_type(node->extra->attr.type) : S_IFREG;
	node->extra->owed = !fits; /* what is written to such a file is a file's */
}

int nodeattr_load(struct node *node, const struct attr *attr, struct xattr *xattrs,
		  struct record_place record)
{
	struct extra *extra = node_extra(node);

	if (!extra) {
		xattr_free(xattrs);
		return ENOMEM;
	}
	xattr_free(extra->xattrs);
	*extra = (struct extra){.attr = *attr, .xattrs = xattrs, .record = record};
	nodeattr_settle_type(node);
	node->recorded = true;
	if (attr->present & ATTR_HAS_MTIME)
		node->mtime = attr->mtime;
	return 0;
}
