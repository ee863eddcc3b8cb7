/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the mount believes to stand in the log about each node is what a replay
 * of that log finds: whether an attribute record is in force, and which one.
 * The mount's files without libfuse, on a real log; after each step the log is
 * read again into a second tree.
 */
#include "file/handle.h"
#include "file/publish.h"
#include "file/rename_dir.h"
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
	int64_t clock;
};

static int observe(void *ctx, const struct dwal_record *record)
{
	struct replay *replay = ctx;

	if (record->type == DWAL_RAW &&
	    clock_parse(record->key.data, record->key.len, record->payload.data,
			record->payload.len, &replay->clock))
		return 0;
	return tree_replay(replay->tree, record, replay->clock);
}

static dwal_kv *open_log(struct replay *replay, bool read_only)
{
	struct dwal_options options = {
		.read_only = read_only, .observe = observe, .observe_ctx = replay};
	dwal_kv *kv = NULL;

	CHECK_INT(dwal_kv_open(dir.path, &options, &kv, NULL), 0);
	CHECK_INT(tree_replay_end(replay->tree), 0);
	return kv;
}

static void compare(const struct node *live, const struct node *replayed)
{
	CHECK_INT(live->ino, replayed->ino);
	CHECK_INT(live->recorded, replayed->recorded);
	if (live->recorded) {
		CHECK_INT(live->extra->record.segment, replayed->extra->record.segment);
		CHECK_INT(live->extra->record.offset, replayed->extra->record.offset);
	}
	CHECK_INT(HASH_COUNT(live->children), HASH_COUNT(replayed->children));
	for (const struct node *child = live->children; child; child = child->hh.next) {
		const struct node *other = node_child(replayed, child->name);

		CHECK(other);
		compare(child, other);
	}
}

static void check(void)
{
	struct tree tree;
	struct replay replay = {&tree, 0};

	CHECK_INT(tree_init(&tree, &fs->tree.opt, fs->started), 0);
	dwal_kv *kv = open_log(&replay, true);

	compare(fs->tree.root, tree.root);
	CHECK_INT(dwal_kv_close(kv), 0);
	tree_release(&tree);
}

static void begin(void)
{
	struct fs_options options;
	struct tree_options shown = {.uid = 1000, .gid = 1000, .umask = 022, .has_clock = true};
	struct replay replay;

	dir = unit_dir_make();
	fs_options_init(&options);
	fs = fs_new(&options);
	CHECK(fs);
	CHECK_INT(tree_init(&fs->tree, &shown, fs->started), 0);
	replay = (struct replay){&fs->tree, 0};
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

	CHECK_INT(tree_add(tree, parent, tree_name_place(tree, parent, name, S_ISDIR(mode)), mode,
			   &node),
		  0);
	CHECK_INT(nodeattr_set_owner(tree, parent, node, mode, 1000, 1000), 0);
	node->lookups = 1; /* as if the kernel knew it */
	return node;
}

static struct node *make_dir(struct node *parent, const char *name)
{
	struct node *node = make(parent, name, S_IFDIR | 0750);

	CHECK_INT(publish_attributes_now(fs, node), 0);
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
	CHECK_INT(nodeattr_changed(node), 0);
	node->extra->attr.mode = mode;
	node->extra->attr.present |= ATTR_HAS_MODE;
	CHECK_INT(publish_attributes_now(fs, node), 0);
}

/* rename(2) within one directory, onto nothing or onto a file. */
static void rename_to(struct node *node, const char *name, struct node *replaced)
{
	struct tree *tree = &fs->tree;
	struct node *parent = node->parent;
	char old_key[DWAL_MAX_KEY], new_key[DWAL_MAX_KEY];
	struct publish_name to = {.replaced = replaced};
	struct place place = tree_name_place(tree, parent, name, node_is_dir(node));
	int r;

	CHECK_INT(tree_key(tree, node, old_key, &to.old_key.len), 0);
	CHECK_INT(tree_name_key(tree, parent, name, node_is_dir(node), new_key, &to.new_key.len),
		  0);
	to.old_key.data = old_key;
	to.new_key.data = new_key;
	txn_lock(fs);
	r = node_is_dir(node) ? rename_dir_keys(fs, node, to.new_key, to.old_key)
			      : publish_as(fs, node, &to);
	CHECK(!txn_unlock(fs, r));
	CHECK_INT(r, 0);
	if (replaced)
		tree_detach(tree, replaced);
	CHECK_INT(tree_move(tree, node, parent, place), 0);
}

static void test_files(void)
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

static void test_directories(void)
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

/* A time that was set for the directory is said again with each new name. */
static void test_set_time_of_a_directory(void)
{
	begin();
	struct node *top = make_dir(fs->tree.root, "top");

	CHECK_INT(nodeattr_changed(top), 0);
	top->mtime = (struct timespec){1000, 5};
	top->extra->attr.present |= ATTR_HAS_MTIME;
	CHECK_INT(publish_attributes_now(fs, top), 0);
	check();
	make_file(top, "new", 0644);
	end();
}

int main(int argc, char **argv)
{
	static const struct unit_test tests[] = {
		{"files", test_files},
		{"directories", test_directories},
		{"set_time_of_a_directory", test_set_time_of_a_directory},
	};

	return unit_main(argc, argv, tests, sizeof(tests) / sizeof(*tests));
}
