/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations on extended attributes. `user.*` is kept in attribute records;
 * `user.datawal.*` tells where in the log a file is: read-only, computed when
 * asked for by name and never listed, so that nobody copies it.
 */
#include "ops/ops_xattr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "file/publish.h"
#include "ops/ops.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"

#define USER_PREFIX    "user."
#define VIRTUAL_PREFIX "user.datawal."

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* 0 for a name that can be set or removed. */
static int check_name(struct fs *fs, fuse_ino_t ino, const char *name)
{
	if (logdir_owns(ino) || fs->opt.read_only)
		return EROFS;
	if (has_prefix(name, VIRTUAL_PREFIX))
		return EPERM;
	if (strcmp(name, USER_PREFIX) == 0)
		return EINVAL;
	return has_prefix(name, USER_PREFIX) ? fs_refuses(fs) : EOPNOTSUPP;
}

/* ----------------------------------------------------------- virtual ones */

static int virtual_number(const dwal_value *value, const char *field, char text[32])
{
	struct dwal_place place = dwal_value_place(value);
	uint32_t crc;

	if (strcmp(field, "txid") == 0)
		sprintf(text, "%" PRIu64, place.txid);
	else if (strcmp(field, "segment") == 0)
		sprintf(text, "%" PRIu32, place.segment);
	else if (strcmp(field, "offset") == 0)
		sprintf(text, "%" PRIu64, place.offset);
	else if (strcmp(field, "length") == 0)
		sprintf(text, "%" PRIu32, place.length);
	else if (strcmp(field, "crc32c") != 0)
		return ENODATA;
	else if (dwal_value_crc32c(value, &crc))
		return EIO;
	else
		sprintf(text, "%08" PRIx32, crc);
	return 0;
}

/* The value of user.datawal.FIELD into buffer, which has room for any key. */
static int virtual_value(struct fs *fs, const struct node *node, const char *field, char *buffer,
			 size_t *len)
{
	dwal_value *value = NULL;
	int r;

	tree_lock(&fs->tree);
	r = node_has_place(&fs->tree, node) ? tree_key(&fs->tree, node, buffer, len) : ENODATA;
	if (!r && strcmp(field, "key") != 0)
		r = node->published ? errno_of(dwal_kv_value(fs->kv, buffer, *len, &value))
				    : ENODATA;
	tree_unlock(&fs->tree);
	if (!r && value) {
		r = virtual_number(value, field, buffer);
		*len = strlen(buffer);
	}
	dwal_value_close(value);
	return r == ENOENT ? ENODATA : r;
}

/* --------------------------------------------------------------- requests */

static void reply_bytes(fuse_req_t req, int r, const void *bytes, size_t len, size_t size)
{
	if (!r && size && len > size)
		r = ERANGE;
	if (r)
		fuse_reply_err(req, r);
	else if (!size)
		fuse_reply_xattr(req, len);
	else
		fuse_reply_buf(req, bytes, len);
}

/* A copy, so that no reply is sent under a lock. */
static int copy_value(struct fs *fs, struct node *node, const char *name, char *buffer, size_t *len)
{
	const struct xattr *found;

	tree_lock(&fs->tree);
	found = xattr_find(nodeattr_xattrs(node), name);
	if (found) {
		*len = found->len;
		memcpy(buffer, found->value, found->len);
	}
	tree_unlock(&fs->tree);
	return found ? 0 : ENODATA;
}

void ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct fs *fs = req_fs(req);
	char buffer[DWAL_MAX_KEY];
	struct node *node;
	size_t len = 0;
	int r;

	if (logdir_owns(ino) || !has_prefix(name, USER_PREFIX))
		r = has_prefix(name, USER_PREFIX) ? ENODATA : EOPNOTSUPP;
	else
		r = ops_find(fs, ino, &node);
	if (!r && has_prefix(name, VIRTUAL_PREFIX))
		r = virtual_value(fs, node, name + strlen(VIRTUAL_PREFIX), buffer, &len);
	else if (!r)
		r = copy_value(fs, node, name, buffer, &len);
	reply_bytes(req, r, buffer, len, size);
}

/* A record can hold names that nobody can set here: these stay unseen. */
static size_t list_names(const struct xattr *list, char *out)
{
	size_t len = 0;

	for (; list; list = list->next) {
		size_t n = strlen(list->name) + 1;
		if (!has_prefix(list->name, USER_PREFIX) || has_prefix(list->name, VIRTUAL_PREFIX))
			continue;
		memcpy(out + len, list->name, n);
		len += n;
	}
	return len;
}

void ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct fs *fs = req_fs(req);
	char names[XATTR_TOTAL_BYTES]; /* the values are counted in that as well */
	const struct node *node;
	size_t len = 0;
	int r = 0;

	if (!logdir_owns(ino)) {
		tree_lock(&fs->tree);
		node = ops_node(fs, ino);
		if (node)
			len = list_names(nodeattr_xattrs(node), names);
		else
			r = ESTALE;
		tree_unlock(&fs->tree);
	}
	reply_bytes(req, r, names, len, size);
}

struct change {
	const char *name;
	const char *value; /* NULL: to be removed */
	size_t size;
	int flags;
};

/* Wants the tree's lock. */
static int apply(struct tree *tree, struct node *node, const struct change *change)
{
	struct extra *extra;
	bool there = xattr_find(nodeattr_xattrs(node), change->name);

	if (!there && (!change->value || change->flags & XATTR_REPLACE))
		return ENODATA;
	if (there && change->flags & XATTR_CREATE)
		return EEXIST;
	extra = node_make_extra(tree, node);
	if (!extra)
		return ENOMEM;
	if (change->value)
		return xattr_set(&extra->xattrs, change->name, change->value, change->size);
	(void)xattr_remove(&extra->xattrs, change->name); /* it is there */
	return 0;
}

static bool is_same(const struct node *node, const struct change *change)
{
	const struct xattr *now = xattr_find(nodeattr_xattrs(node), change->name);

	return now && change->value && !change->flags && now->len == change->size &&
	       memcmp(now->value, change->value, now->len) == 0;
}

/* With what there was before, should the log not take it. */
static int change_locked(struct fs *fs, struct node *node, const struct change *change)
{
	struct xattr *before;
	int r;

	tree_lock(&fs->tree);
	bool same = is_same(node, change);
	r = node_vanished(node) ? ESTALE : same ? 0 : xattr_copy(nodeattr_xattrs(node), &before);
	if (r || same) {
		tree_unlock(&fs->tree);
		return r;
	}
	r = apply(&fs->tree, node, change);
	if (!r)
		r = nodeattr_changed(&fs->tree, node);
	tree_unlock(&fs->tree);
	if (!r)
		r = publish_attributes(fs, node);
	tree_lock(&fs->tree);
	if (r && node->extra) {
		struct xattr *now = node_extra(node)->xattrs;
		node_extra(node)->xattrs = before;
		before = now;
	}
	xattr_free(before);
	tree_unlock(&fs->tree);
	return r;
}

static void change_xattr(fuse_req_t req, fuse_ino_t ino, const struct change *change)
{
	struct fs *fs = req_fs(req);
	struct node *node;
	int r = check_name(fs, ino, change->name);

	if (!r)
		r = ops_find(fs, ino, &node);
	if (!r) {
		do {
			txn_lock(fs);
			r = change_locked(fs, node, change);
		} while (txn_unlock(fs, r));
		r = ops_synced(fs, r);
		ops_forget_attr(fs, ino);
	}
	fuse_reply_err(req, r);
}

void ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		  int flags)
{
	change_xattr(req, ino, &(struct change){name, value ? value : "", size, flags});
}

void ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	change_xattr(req, ino, &(struct change){.name = name});
}
