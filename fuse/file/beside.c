/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Making, taking back and telling of the directory beside a value.
 */
#include "file/beside.h"

#include "tree/nodeattr.h"

int beside_make(struct fs *fs, struct node *dir, const char *name, const struct fuse_ctx *ctx,
		struct node **made)
{
	mode_t mode = 0755 & ~(fs->opt.umask | ctx->umask);
	char base[NAME_SIZE];
	struct node *node;
	int r;

	*made = NULL;
	if (!tree_value_base(name, base) || tree_child(dir, base))
		return 0;
	r = tree_add(fs, dir, tree_name_place(fs, dir, base, true), S_IFDIR, &node);
	if (r)
		return r;
	r = nodeattr_set_owner(fs, dir, node, mode, ctx->uid, ctx->gid);
	if (r) {
		tree_detach(fs, node);
		return r;
	}
	node->maker = ctx->pid;
	node->implied = ctx->pid && dir->maker == ctx->pid;
	*made = node;
	return 0;
}

void beside_unmake(struct fs *fs, struct node *made)
{
	if (made && !made->recorded && !made->children)
		tree_detach(fs, made);
}

struct node *beside_untold(struct fs *fs, const struct node *file)
{
	struct node *beside;

	pthread_mutex_lock(&fs->lock);
	beside = file->value && file->parent ? tree_beside(file->parent, file->name) : NULL;
	if (beside && (beside->recorded || !nodeattr_owed(beside)))
		beside = NULL;
	pthread_mutex_unlock(&fs->lock);
	return beside;
}

int beside_append(struct append *append, struct fs *fs, const struct node *beside,
		  struct dwal_bytes key)
{
	struct attr attr;
	int r;

	if (!beside)
		return 0;
	pthread_mutex_lock(&fs->lock);
	attr = nodeattr_snapshot(fs, beside);
	r = append_attr(append, key, &attr, nodeattr_xattrs(beside));
	pthread_mutex_unlock(&fs->lock);
	return r;
}
