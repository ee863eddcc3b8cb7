/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Making, taking back and finding the directory beside a value.
 */
#include "tree/beside.h"

#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/tree.h"
#include "tree/treename.h"

int beside_make(struct tree *tree, struct node *dir, const char *name, const struct maker *maker,
		struct node **made)
{
	mode_t mode = 0755 & ~(tree->opt.umask | maker->umask);
	char base[NAME_SIZE];
	struct node *node;
	int r;

	*made = NULL;
	if (!tree_value_base(name, base) || node_child(tree, dir, base))
		return 0;
	r = tree_add(tree, dir, tree_name_place(tree, dir, base, true), S_IFDIR, &node);
	if (r)
		return r;
	r = nodeattr_set_owner(tree, dir, node, mode, maker->uid, maker->gid);
	if (r) {
		tree_detach(tree, node);
		return r;
	}
	node->maker = maker->pid;
	node->implied = maker->pid && dir->maker == maker->pid;
	*made = node;
	return 0;
}

void beside_unmake(struct tree *tree, struct node *made)
{
	if (made && !made->recorded && !made->children)
		tree_detach(tree, made);
}

struct node *beside_untold(const struct tree *tree, const struct node *file)
{
	struct node *beside =
		file->value && file->parent ? tree_beside(tree, file->parent, file->name) : NULL;

	return beside && !beside->recorded && nodeattr_owed(beside) ? beside : NULL;
}
