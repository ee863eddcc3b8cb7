/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *	tree_at SEGMENT SCRATCH FIRST LAST [writer]
 *
 * What a mount would show of a log of one segment that is cut at each length
 * from LAST down to FIRST: a line each, with the length and a digest of all
 * names, types, owners, modes, times, inode numbers, attributes and values. The
 * cut log is opened for reading, or for writing: as the next mount would.
 */
#include "replaying.h"
#include "tree/nodeattr.h"
#include "tree/treename.h"
#include "xattr.h"
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

static struct timespec no_segment_time(void *ctx, uint32_t segment)
{
	return (struct timespec){0};
}

static uint32_t add(uint32_t digest, const void *data, size_t len)
{
	return dwal_crc32c(digest, data, len);
}

static uint32_t add_value(uint32_t digest, dwal_kv *kv, const char *key, size_t len)
{
	size_t size;
	void *value;

	CHECK_INT(dwal_kv_get(kv, key, len, &value, &size, NULL), 0);
	digest = add(digest, value, size);
	free(value);
	return digest;
}

static uint32_t add_node(uint32_t digest, dwal_kv *kv, const struct tree *tree,
			 const struct node *node)
{
	char key[DWAL_MAX_KEY];
	struct stat st;
	size_t len;

	CHECK_INT(tree_key(tree, node, key, &len), 0);
	nodeattr_stat(tree, node, &st);
	digest = add(digest, key, len);
	digest = add(digest, &st.st_ino, sizeof(st.st_ino));
	digest = add(digest, &st.st_mode, sizeof(st.st_mode));
	digest = add(digest, &st.st_uid, sizeof(st.st_uid));
	digest = add(digest, &st.st_size, sizeof(st.st_size));
	digest = add(digest, &st.st_mtim, sizeof(st.st_mtim));
	digest = add(digest, &st.st_ctim, sizeof(st.st_ctim));
	for (const struct xattr *x = nodeattr_xattrs(node); x; x = x->next)
		digest = add(add(digest, x->name, strlen(x->name)), x->value, x->len);
	return node_is_dir(node) ? digest : add_value(digest, kv, key, len);
}

/* The order of names is that in which they came. */
static uint32_t digest_of(dwal_kv *kv, const struct tree *tree, struct node *node, uint32_t *sum)
{
	*sum += add_node(0, kv, tree, node);
	for (struct node *child = node_first(node); child; child = node_behind(child))
		(void)digest_of(kv, tree, child, sum);
	return *sum;
}

static uint32_t look(const char *dir, bool writer)
{
	const struct tree_options shown = {.umask = 022};
	struct replay replay = {.times = {.timed = false}};
	struct dwal_options options = {
		.read_only = !writer, .observe = observe, .observe_ctx = &replay};
	uint32_t sum = 0;
	dwal_kv *kv;

	CHECK_INT(tree_init(&replay.tree, &shown, (struct timespec){0}), 0);
	tree_lock(&replay.tree);
	CHECK_INT(dwal_kv_open(dir, &options, &kv, NULL), 0);
	CHECK_INT(tree_replay_end(&replay.tree, &replay.times, no_segment_time, NULL), 0);
	(void)digest_of(kv, &replay.tree, replay.tree.root, &sum);
	CHECK_INT(dwal_kv_close(kv), 0);
	logtime_release(&replay.times);
	tree_release(&replay.tree);
	return sum;
}

/* A directory with so much of the segment and nothing else. */
static void make_log(const char *dir, const char *bytes, size_t len)
{
	char path[4096];
	int fd;

	(void)nftw(dir, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	CHECK_INT(mkdir(dir, 0700), 0);
	snprintf(path, sizeof(path), "%s/00000001.dwal", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, bytes, len), (long long)len);
	CHECK_INT(close(fd), 0);
}

int main(int argc, char **argv)
{
	CHECK(argc >= 5);
	long first = atol(argv[3]), last = atol(argv[4]);
	char *bytes = malloc((size_t)last + 1);
	int fd = open(argv[1], O_RDONLY);

	CHECK(bytes && fd >= 0);
	CHECK_INT(pread(fd, bytes, (size_t)last, 0), last);
	for (long at = last; at >= first; at--) {
		make_log(argv[2], bytes, (size_t)at);
		printf("%ld %08x\n", at, look(argv[2], argc > 5));
	}
	free(bytes);
	return 0;
}
