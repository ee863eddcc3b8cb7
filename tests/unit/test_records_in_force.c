/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the mount believes to stand in the log about each node is what a replay
 * of that log finds: its times, to the nanosecond, whether an attribute record
 * is in force, and which one.
 * The mount's files without libfuse, on a real log; after each step the log is
 * read again into a second tree.
 */
#include "file/handle.h"
#include "file/pending.h"
#include "file/publish.h"
#include "file/rename_dir.h"
#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/replay.h"
#include "tree/tree.h"
#include "tree/treename.h"
#include "txn.h"
#include "unit.h"

static struct unit_dir dir;
static struct fs *fs;

/* ----------------------------------------------------------------- the check */

struct replay {
	struct tree *tree;
	struct logtime times;
};

static int observe(void *ctx, const struct dwal_record *record)
{
	struct replay *replay = ctx;
	struct record_time when;
	int r = logtime_next(&replay->times, record, &when);

	return r ? r : tree_replay(replay->tree, record, &when);
}

static struct timespec no_segment_time(void *ctx, uint32_t segment)
{
	CHECK(!"every record has a time");
	return (struct timespec){0};
}

static dwal_kv *open_log(struct replay *replay, bool read_only)
{
	struct dwal_options options = {
		.read_only = read_only, .observe = observe, .observe_ctx = replay};
	dwal_kv *kv = NULL;

	CHECK_INT(dwal_kv_open(dir.path, &options, &kv, NULL), 0);
	CHECK_INT(tree_replay_end(replay->tree, &replay->times, no_segment_time, NULL), 0);
	logtime_release(&replay->times);
	return kv;
}

static void compare_times(struct timespec live, struct timespec replayed)
{
	CHECK_INT(live.tv_sec, replayed.tv_sec);
	CHECK_INT(live.tv_nsec, replayed.tv_nsec);
}

static void compare(const struct tree *tree, const struct node *live, const struct node *replayed)
{
	unsigned count = 0;

	CHECK_INT(live->ino, replayed->ino);
	compare_times(node_mtime(live), node_mtime(replayed));
	compare_times(nodeattr_ctime(live), nodeattr_ctime(replayed));
	CHECK_INT(live->recorded, replayed->recorded);
	if (live->recorded) {
		CHECK_INT(node_extra(live)->record.segment, node_extra(replayed)->record.segment);
		CHECK_INT(node_extra(live)->record.offset, node_extra(replayed)->record.offset);
	}
	for (const struct node *child = node_first(live); child; child = node_behind(child)) {
		const struct node *other = node_child(tree, replayed, node_name(child));

		if (!node_is_dir(child) && !child->published)
			continue;
		CHECK(other);
		compare(tree, child, other);
		count++;
	}
	for (const struct node *child = node_first(replayed); child; child = node_behind(child))
		count--;
	CHECK_INT(count, 0);
}

static void check(void)
{
	struct tree tree;
	struct replay replay = {.tree = &tree};

	CHECK_INT(pending_retry(fs), 0);
	CHECK_INT(tree_init(&tree, &fs->tree.opt, fs->started), 0);
	dwal_kv *kv = open_log(&replay, true);

	tree_lock(&tree);
	compare(&tree, fs->tree.root, tree.root);
	tree_unlock(&tree);
	CHECK_INT(dwal_kv_close(kv), 0);
	tree_release(&tree);
}

static void begin(void)
{
	struct fs_options options;
	struct tree_options shown = {.uid = 1000, .gid = 1000, .umask = 022};
	struct replay replay;

	dir = unit_dir_make();
	fs_options_init(&options);
	fs = fs_new(&options);
	CHECK(fs);
	CHECK_INT(tree_init(&fs->tree, &shown, fs->started), 0);
	replay = (struct replay){.tree = &fs->tree};
	fs->kv = open_log(&replay, false);
}

static void end(void)
{
	check();
	handle_free_all(fs);
	stage_free_all(fs);
	CHECK_INT(dwal_kv_close(fs->kv), 0);
	tree_release(&fs->tree);
	fs_free(fs);
	unit_dir_remove(&dir);
}

/* ----------------------------------------------------------------- the steps */

static struct node *make(struct node *parent, const char *name, mode_t mode)
{
	struct tree *tree = &fs->tree;
	struct node *node;

	tree_lock(tree);
	CHECK_INT(tree_add(tree, parent, tree_name_place(tree, parent, name, S_ISDIR(mode)), mode,
			   &node),
		  0);
	CHECK_INT(nodeattr_set_owner(tree, parent, node, mode, 1000, 1000), 0);
	CHECK_INT(tree_give_id(tree, node), 0);
	node_use(node)->lookups = 1; /* as if the kernel knew it */
	nodeattr_touch(tree, parent, node_mtime(node));
	tree_unlock(tree);
	return node;
}

static struct node *make_dir(struct node *parent, const char *name)
{
	struct node *node = make(parent, name, S_IFDIR | 0750);
	int r;

	txn_lock(fs);
	r = publish_dir(fs, node, false);
	CHECK(!txn_unlock(fs, r));
	CHECK_INT(r, 0);
	return node;
}

static void write_file(struct node *node, const char *text)
{
	struct handle *handle;
	size_t put;

	CHECK_INT(handle_open(fs, node, true, true, &handle), 0);
	CHECK_INT(handle_write(fs, handle, text, strlen(text), 0, CONTENT_WRITE, &put), 0);
	CHECK_INT(handle_flush(fs, handle), 0);
	handle_close(fs, handle);
}

static struct node *make_file(struct node *parent, const char *name, mode_t mode)
{
	struct node *node = make(parent, name, S_IFREG | mode);

	write_file(node, "content");
	return node;
}

static void change_mode(struct node *node, mode_t mode)
{
	tree_lock(&fs->tree);
	CHECK_INT(nodeattr_changed(&fs->tree, node), 0);
	node_extra(node)->attr.mode = mode;
	node_extra(node)->attr.present |= ATTR_HAS_MODE;
	tree_unlock(&fs->tree);
	CHECK_INT(publish_attributes_now(fs, node, true), 0);
}

/* rename(2) within one directory, onto nothing or onto a file. */
static void rename_to(struct node *node, const char *name, struct node *replaced)
{
	struct tree *tree = &fs->tree;
	struct node *parent = node_parent(node);
	char old_key[DWAL_MAX_KEY], new_key[DWAL_MAX_KEY];
	struct timespec when = tree_now();
	struct publish_name to = {.replaced = replaced, .when = when};
	struct place place;
	int r;

	tree_lock(tree);
	place = tree_name_place(tree, parent, name, node_is_dir(node));
	CHECK_INT(tree_key(tree, node, old_key, &to.old_key.len), 0);
	CHECK_INT(tree_name_key(tree, parent, name, node_is_dir(node), new_key, &to.new_key.len),
		  0);
	tree_unlock(tree);
	to.old_key.data = old_key;
	to.new_key.data = new_key;
	txn_lock(fs);
	r = node_is_dir(node) ? rename_dir_keys(fs,
						&(struct rename_dir){node, to.new_key, to.old_key,
								     replaced, when},
						NULL)
			      : publish_as(fs, node, &to);
	CHECK(!txn_unlock(fs, r));
	CHECK_INT(r, 0);
	tree_lock(tree);
	tree_move(tree, node, parent, place, replaced);
	if (replaced) {
		tree_detach(tree, replaced);
		tree_forget(tree, replaced, 1);
	}
	nodeattr_renamed(tree, node, when);
	nodeattr_touch(tree, parent, when);
	tree_unlock(tree);
}

static void records_of_files(void)
{
	begin();
	struct node *file = make_file(fs->tree.root, "plain", 0644);
	struct node *owned = make_file(fs->tree.root, "owned", 0600);
	check();
	write_file(owned, "again"); /* the record stays in force */
	check();
	change_mode(file, 0640);
	check();
	change_mode(file, 0644);
	check();
	rename_to(file, "renamed", NULL);
	check();
	rename_to(file, "owned", owned);
	end();
}

static void records_of_directories(void)
{
	begin();
	struct node *top = make_dir(fs->tree.root, "top");
	struct node *below = make_dir(top, "below");

	make_file(top, "plain", 0644);
	make_file(below, "owned", 0600);
	check();
	change_mode(below, 0700);
	check();
	rename_to(top, "moved", NULL);
	check();
	change_mode(top, 0711);
	rename_to(below, "deeper", NULL);
	end();
}

static void set_time(struct node *node)
{
	tree_lock(&fs->tree);
	CHECK_INT(nodeattr_changed(&fs->tree, node), 0);
	node_set_mtime(&fs->tree, node, (struct timespec){1000, 5});
	node_extra(node)->attr.present |= ATTR_HAS_MTIME;
	tree_unlock(&fs->tree);
	CHECK_INT(publish_attributes_now(fs, node, true), 0);
}

/* A time that was set for a directory holds, also behind the Put of a name that
 * came before it was. */
static void a_set_time_of_a_directory_holds(void)
{
	begin();
	struct node *top = make_dir(fs->tree.root, "top");
	struct node *file = make(top, "new", S_IFREG | 0644);

	set_time(top);
	check();
	write_file(file, "content");
	check();
	set_time(file);
	check();
	write_file(file, "again");
	end();
}

static void remove_file(struct node *node)
{
	struct timespec when = tree_now();
	struct node *parent = node_parent(node);
	int r = 0;

	txn_lock(fs);
	if (node->published)
		r = publish_gone(fs, node, when);
	CHECK(!txn_unlock(fs, r));
	CHECK_INT(r, 0);
	tree_lock(&fs->tree);
	nodeattr_touch(&fs->tree, parent, when);
	if (!node->published)
		tree_owe_times(&fs->tree, parent);
	node_use(node)->lookups = 0;
	tree_detach(&fs->tree, node);
	tree_unlock(&fs->tree);
}

/* A name that goes changes the time of its directory, whether the log knew it or
 * not. */
static void times_of_removal(void)
{
	begin();
	struct node *top = make_dir(fs->tree.root, "top");
	struct node *one = make_file(top, "one", 0644);

	make_file(top, "other", 0644);
	check();
	remove_file(one);
	check();
	remove_file(make(top, "never published", S_IFREG | 0644));
	end();
}

/* Two names that come in one order are published in the other. */
static void times_out_of_order(void)
{
	begin();
	struct node *top = make_dir(fs->tree.root, "top");
	struct node *first = make(top, "first", S_IFREG | 0644);
	struct node *second = make(top, "second", S_IFREG | 0644);

	write_file(second, "2");
	write_file(first, "1");
	end();
}

UNIT_MAIN(UNIT(records_of_files), UNIT(records_of_directories),
	  UNIT(a_set_time_of_a_directory_holds), UNIT(times_of_removal), UNIT(times_out_of_order))
