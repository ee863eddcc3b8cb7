/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A file's content becomes the value of another key: what rename(2) of a file
 * writes.
 */
#include <errno.h>
#include <stdlib.h>

#include "file/beside.h"
#include "tree/nodeattr.h"
#include "file/stage.h"

/* What must be said of the new name beside its Put: attributes, a time that
 * the Put would not give at the next mount, or that what the replaced file had
 * no longer holds. */
static int append_carried(struct append *append, struct fs *fs, const struct node *node,
			  const struct node *replaced, struct dwal_bytes key, bool *carried)
{
	struct attr attr;
	int r = 0;

	pthread_mutex_lock(&fs->lock);
	*carried = (replaced && replaced->recorded) ||
		   nodeattr_needs_record(fs, node, append_clock(append, fs));
	if (*carried) {
		attr = nodeattr_snapshot(fs, node);
		r = append_attr(append, key, &attr, nodeattr_xattrs(node));
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

static int write_rename(struct fs *fs, struct stage *stage, const struct stage_name *name,
			struct dwal_bytes content)
{
	struct node *node = stage->node;
	struct append append = {0};
	struct timespec mtime;
	bool carried, was_published;
	int r;

	pthread_mutex_lock(&fs->lock);
	mtime = stage->dirty ? stage->written : node->mtime;
	was_published = node->published;
	pthread_mutex_unlock(&fs->lock);
	r = beside_append(&append, fs, name->beside, name->new_key);
	append_put(&append, fs, name->new_key, content, mtime);
	if (!r)
		r = append_carried(&append, fs, node, name->replaced, name->new_key, &carried);
	if (r) {
		append_release(&append);
		return r;
	}
	if (was_published)
		append_delete(&append, name->old_key);
	r = append_write(&append, fs);
	if (!r)
		publish_told(fs, node, carried);
	if (!r && name->beside)
		publish_told(fs, name->beside, true);
	return r;
}

/* What is not in memory is read for this one write, and not kept. */
static int rename_content(struct fs *fs, struct stage *stage, const struct stage_name *name)
{
	void *buffer;
	int r;

	if (stage->loaded)
		return write_rename(fs, stage, name, (struct dwal_bytes){stage->data, stage->size});
	buffer = malloc(stage->size + 1); /* never of no size */
	r = buffer ? stage_read_base(stage, buffer, stage->size) : ENOMEM;
	if (!r)
		r = write_rename(fs, stage, name, (struct dwal_bytes){buffer, stage->size});
	free(buffer);
	return r;
}

int stage_publish_as(struct fs *fs, struct node *node, const struct stage_name *name)
{
	struct stage *stage;
	int r = stage_get(fs, node, true, &stage);

	if (r)
		return r;
	pthread_mutex_lock(&stage->lock);
	r = stage->failed;
	if (!r)
		r = rename_content(fs, stage, name);
	if (!r)
		stage_published(fs, stage, name->new_key);
	pthread_mutex_unlock(&stage->lock);
	stage_put(fs, stage);
	return r;
}
