/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Making, taking back and finding the directory beside a value.
 */
#include "tree/beside.h"

#include <errno.h>

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
	struct use *use;
	int r;

	*made = NULL;
	if (!tree_value_base(name, base) || node_child(tree, dir, base))
		return 0;
	r = tree_add(tree, dir, tree_name_place(tree, dir, base, true), S_IFDIR, &node);
	if (r)
		return r;
	r = nodeattr_set_owner(tree, dir, node, mode, maker->uid, maker->gid);
	use = node_make_use(tree, node);
	if (r || !use) {
		tree_detach(tree, node);
		return ENOMEM;
	}
	use->maker = maker->pid;
	node->implied = maker->pid && node_maker(dir) == maker->pid;
	*made = node;
	return 0;
}

void beside_unmake(struct tree *tree, struct node *made)
{
	if (made && !made->recorded && !node_first(made))
		tree_detach(tree, made);
}

struct node *beside_untold(const struct tree *tree, const struct node *file)
{
	struct node *dir = node_parent(file);
	struct node *beside = file->value && dir ? tree_beside(tree, dir, node_name(file)) : NULL;

	return beside && !beside->recorded && nodeattr_owed(beside) ? beside : NULL;
}
