/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A log of any content, replayed into the tree that a mount shows: each live
 * key is one file with the size of its value and leads to its key again, names
 * are such as a directory can hold, no two nodes have one number, and what is
 * shown is the same however often it is replayed.
 */
#include "../unit/replaying.h"
#include "model.h"
#include "tree/children.h"
#include "tree/nodeattr.h"
#include "tree/number.h"
#include "tree/treename.h"

static struct timespec segment_time(void *ctx, uint32_t segment)
{
	return (struct timespec){segment, 1};
}

static void check_name(const struct tree *tree, const struct node *node)
{
	const char *name = node_name(node);
	bool in_root = node_parent(node) == tree->root;

	CHECK(name[0] && strlen(name) <= NAME_MAX && !strchr(name, '/'));
	CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	CHECK(!in_root || strcmp(name, ".log") != 0);
	CHECK(node_child(tree, node_parent(node), name) == node);
	CHECK(tree_lookup(tree, node_parent(node), name) == node);
}

/* The key of a file with its value's length in the store; of a directory, that
 * no empty component leads to it. */
static void check_key(const struct replay *replay, const struct node *node, dwal_kv *kv)
{
	static char key[DWAL_MAX_KEY], again[DWAL_MAX_KEY];
	struct dwal_place place;
	uint32_t value_len;
	size_t len, len_again;

	CHECK_INT(tree_key(&replay->tree, node, key, &len), 0);
	CHECK_INT(tree_name_key(&replay->tree, node_parent(node), node_name(node),
				node_is_dir(node), again, &len_again),
		  0);
	CHECK(same_bytes((struct dwal_bytes){key, len}, (struct dwal_bytes){again, len_again}));
	if (node_is_dir(node)) {
		CHECK(len && key[len - 1] != '/');
		return;
	}
	CHECK(node->published);
	CHECK_INT(dwal_kv_ref_of(kv, key, len, &place, &value_len), 0);
	CHECK_INT(node_size(node), value_len);
}

static int compare_numbers(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return a < b ? -1 : a > b;
}

struct look {
	uint64_t *numbers;
	size_t nodes, files;
	uint32_t digest; /* of what stat(2) shows */
};

static void look_at(const struct replay *replay, const struct node *node, struct look *look)
{
	struct stat st;

	nodeattr_stat(&replay->tree, node, &st);
	look->digest = dwal_crc32c(look->digest, &st.st_ino, sizeof(st.st_ino));
	look->digest = dwal_crc32c(look->digest, &st.st_mode, sizeof(st.st_mode));
	look->digest = dwal_crc32c(look->digest, &st.st_size, sizeof(st.st_size));
	look->digest = dwal_crc32c(look->digest, &st.st_mtim, sizeof(st.st_mtim));
	look->digest = dwal_crc32c(look->digest, &st.st_ctim, sizeof(st.st_ctim));
	look->digest = dwal_crc32c(look->digest, node_name(node), strlen(node_name(node)));
	look->numbers = realloc(look->numbers, (look->nodes + 1) * sizeof(*look->numbers));
	CHECK(look->numbers);
	look->numbers[look->nodes++] = st.st_ino;
	look->files += !node_is_dir(node);
	CHECK(S_ISDIR(st.st_mode) == node_is_dir(node) && st.st_nlink);
	CHECK(st.st_mtim.tv_nsec >= 0 && st.st_mtim.tv_nsec < 1000000000);
}

static uint32_t check_tree(const struct replay *replay, dwal_kv *kv)
{
	struct node *root = replay->tree.root;
	struct look look = {0};
	uint32_t digest;

	for (struct node *node = root; node; node = node_next(root, node)) {
		look_at(replay, node, &look);
		if (node == root)
			continue;
		check_name(&replay->tree, node);
		check_key(replay, node, kv);
	}
	CHECK_INT(look.files, (long long)dwal_kv_len(kv));
	qsort(look.numbers, look.nodes, sizeof(*look.numbers), compare_numbers);
	for (size_t i = 1; i < look.nodes; i++)
		CHECK(look.numbers[i] != look.numbers[i - 1]);
	digest = look.digest;
	free(look.numbers);
	return digest;
}

static uint32_t look_into(const char *dir, bool writer)
{
	const struct tree_options shown = {.umask = 022};
	struct replay replay = {.times = {.timed = false}};
	const struct dwal_options options = {
		.read_only = !writer, .observe = observe, .observe_ctx = &replay};
	uint32_t digest = 0;
	dwal_kv *kv;
	int rc;

	CHECK_INT(tree_init(&replay.tree, &shown, (struct timespec){0}), 0);
	tree_lock(&replay.tree);
	rc = dwal_kv_open(dir, &options, &kv, NULL);
	CHECK_INT(tree_replay_end(&replay.tree, &replay.times, segment_time, NULL), 0);
	if (rc == 0) {
		digest = check_tree(&replay, kv);
		CHECK_INT(dwal_kv_close(kv), 0);
	}
	logtime_release(&replay.times);
	tree_release(&replay.tree);
	return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct log_files files = log_make(&input);
	const char *dir = scratch_dir("log");
	uint32_t digest;

	log_write(&files, dir);
	digest = look_into(dir, false);
	CHECK(look_into(dir, true) == digest);
	/* what made an earlier header void can be what was cut off now */
	if (model_of(&files)->damage.reason != DWAL_PARTIAL)
		CHECK(look_into(dir, false) == digest);
	log_release(&files);
	return 0;
}
