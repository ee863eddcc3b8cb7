/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * floor MOUNTPOINT: a file system that does next to nothing, in memory. What a mount
 * by way of FUSE costs at least: contrib/bench compares others with it. Everybody may
 * do everything, links and attributes there are none, and what was in it is gone when
 * it is unmounted.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS       (1u << 18)
#define VALID_SECONDS 3600.0 /* nobody else changes anything */

/* Reached by its address, which is its number too. The lock is of the content and of
 * attr; all else is under that of the tree. */
struct node {
	struct node *parent, *in_bucket;
	struct node *before, *after; /* of the same directory, in the order they came */
	struct node *first, *last;   /* children */
	char *name;                  /* NULL: removed */
	uint64_t known;              /* to the kernel, so many times */
	off_t place;                 /* of a directory's listing: rising */
	unsigned removals;           /* of children */
	pthread_rwlock_t lock;
	struct stat attr;
	char *content;
	size_t room;
};

/* Where a listing goes on. */
struct listing {
	struct node *at; /* the next one, while nothing is removed from the directory */
	off_t place;
	unsigned removals;
};

static char root_name[] = "/";
static struct node root = {.name = root_name, .lock = PTHREAD_RWLOCK_INITIALIZER};
static struct node *buckets[BUCKETS];
static off_t last_place;
static pthread_mutex_t tree = PTHREAD_MUTEX_INITIALIZER;

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;
}

/* ---- the tree ---- */

static struct node **bucket_of(const struct node *parent, const char *name)
{
	uint64_t hash = (uintptr_t)parent * 0x9e3779b97f4a7c15;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
	return &buckets[(hash ^ (hash >> 32)) % BUCKETS];
}

/* What leads to the node, or to the end of where it would be. */
static struct node **find(const struct node *parent, const char *name)
{
	struct node **at = bucket_of(parent, name);

	while (*at && ((*at)->parent != parent || strcmp((*at)->name, name) != 0))
		at = &(*at)->in_bucket;
	return at;
}

static void insert(struct node *node, struct node *parent, char *name)
{
	struct node **bucket = bucket_of(parent, name);

	node->parent = parent;
	node->name = name;
	node->in_bucket = *bucket;
	*bucket = node;
	node->place = ++last_place;
	node->after = NULL;
	node->before = parent->last;
	*(parent->last ? &parent->last->after : &parent->first) = node;
	parent->last = node;
}

static void take_out(struct node *node)
{
	struct node *parent = node->parent, **at = find(parent, node->name);

	*at = node->in_bucket;
	*(node->before ? &node->before->after : &parent->first) = node->after;
	*(node->after ? &node->after->before : &parent->last) = node->before;
	parent->removals++;
	free(node->name);
	node->name = NULL;
}

static void free_if_unknown(struct node *node)
{
	if (node->name || node->known)
		return;
	(void)pthread_rwlock_destroy(&node->lock);
	free(node->content);
	free(node);
}

static struct node *make_node(struct node *parent, const char *name, mode_t mode)
{
	struct node *node = calloc(1, sizeof(*node));
	char *copy = strdup(name);

	if (!node || !copy)
		abort();
	(void)pthread_rwlock_init(&node->lock, NULL);
	node->attr = (struct stat){.st_ino = (uintptr_t)node,
				   .st_mode = mode,
				   .st_nlink = 1,
				   .st_uid = getuid(),
				   .st_gid = getgid()};
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &node->attr.st_mtim);
	insert(node, parent, copy);
	return node;
}

static struct fuse_entry_param entry_of(struct node *node)
{
	return (struct fuse_entry_param){.ino = (uintptr_t)node,
					 .attr = node->attr,
					 .attr_timeout = VALID_SECONDS,
					 .entry_timeout = VALID_SECONDS};
}

static void forget_some(fuse_ino_t ino, uint64_t times)
{
	struct node *node = node_of(ino);

	if (node == &root)
		return;
	pthread_mutex_lock(&tree);
	node->known -= times;
	free_if_unknown(node);
	pthread_mutex_unlock(&tree);
}

/* ---- names ---- */

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.entry_timeout = VALID_SECONDS}; /* there is none */
	struct node *node;

	pthread_mutex_lock(&tree);
	node = *find(node_of(parent), name);
	if (node) {
		node->known++;
		entry = entry_of(node);
	}
	pthread_mutex_unlock(&tree);
	fuse_reply_entry(req, &entry);
}

static struct fuse_entry_param make_entry(fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param entry;
	struct node *node;

	pthread_mutex_lock(&tree);
	node = make_node(node_of(parent), name, mode);
	node->known = 1;
	entry = entry_of(node);
	pthread_mutex_unlock(&tree);
	return entry;
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *file)
{
	struct fuse_entry_param entry = make_entry(parent, name, S_IFREG | (mode & 07777));

	fuse_reply_create(req, &entry, file);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param entry = make_entry(parent, name, S_IFDIR | (mode & 07777));

	fuse_reply_entry(req, &entry);
}

/* 0, or why it cannot be. */
static int remove_name(struct node *parent, const char *name)
{
	struct node *node = *find(parent, name);

	if (!node)
		return ENOENT;
	if (node->first)
		return ENOTEMPTY;
	take_out(node);
	free_if_unknown(node);
	return 0;
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	int err;

	pthread_mutex_lock(&tree);
	err = remove_name(node_of(parent), name);
	pthread_mutex_unlock(&tree);
	fuse_reply_err(req, err);
}

static int move(struct node *from, const char *old, struct node *to, const char *new)
{
	struct node *node = *find(from, old);
	char *copy;
	int err;

	if (!node)
		return ENOENT;
	err = remove_name(to, new);
	if (err && err != ENOENT)
		return err;
	copy = strdup(new);
	if (!copy)
		abort();
	take_out(node);
	insert(node, to, copy);
	return 0;
}

static void do_rename(fuse_req_t req, fuse_ino_t from, const char *old, fuse_ino_t to,
		      const char *new, unsigned flags)
{
	int err = flags ? EINVAL : 0;

	pthread_mutex_lock(&tree);
	if (!err)
		err = move(node_of(from), old, node_of(to), new);
	pthread_mutex_unlock(&tree);
	fuse_reply_err(req, err);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t times)
{
	forget_some(ino, times);
	fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
	for (size_t i = 0; i < count; i++)
		forget_some(all[i].ino, all[i].nlookup);
	fuse_reply_none(req);
}

/* ---- content and attributes ---- */

static void resize(struct node *node, size_t size)
{
	if (size > node->room) {
		node->room = size > 2 * node->room ? size : 2 * node->room;
		node->content = realloc(node->content, node->room);
		if (!node->content)
			abort();
	}
	if (size > (size_t)node->attr.st_size)
		memset(node->content + node->attr.st_size, 0, size - (size_t)node->attr.st_size);
	node->attr.st_size = (off_t)size;
	node->attr.st_blocks = (blkcnt_t)(size + 511) / 512;
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	fuse_reply_attr(req, &node_of(ino)->attr, VALID_SECONDS);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int which,
		       struct fuse_file_info *file)
{
	struct node *node = node_of(ino);

	pthread_rwlock_wrlock(&node->lock);
	if (which & FUSE_SET_ATTR_SIZE)
		resize(node, (size_t)attr->st_size);
	if (which & FUSE_SET_ATTR_MODE)
		node->attr.st_mode = (node->attr.st_mode & S_IFMT) | (attr->st_mode & 07777);
	if (which & FUSE_SET_ATTR_MTIME)
		node->attr.st_mtim = attr->st_mtim;
	pthread_rwlock_unlock(&node->lock);
	fuse_reply_attr(req, &node->attr, VALID_SECONDS);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct node *node = node_of(ino);

	if (file->flags & O_TRUNC) {
		pthread_rwlock_wrlock(&node->lock);
		resize(node, 0);
		pthread_rwlock_unlock(&node->lock);
	}
	fuse_reply_open(req, file);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at,
		    struct fuse_file_info *file)
{
	struct node *node = node_of(ino);
	size_t left;

	pthread_rwlock_rdlock(&node->lock);
	left = at < node->attr.st_size ? (size_t)(node->attr.st_size - at) : 0;
	fuse_reply_buf(req, left ? node->content + at : NULL, left < size ? left : size);
	pthread_rwlock_unlock(&node->lock);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t at,
		     struct fuse_file_info *file)
{
	struct node *node = node_of(ino);

	pthread_rwlock_wrlock(&node->lock);
	if ((size_t)at + size > (size_t)node->attr.st_size)
		resize(node, (size_t)at + size);
	memcpy(node->content + at, bytes, size);
	pthread_rwlock_unlock(&node->lock);
	fuse_reply_write(req, size);
}

static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	fuse_reply_err(req, 0);
}

/* ---- listings ---- */

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing)
		abort();
	file->fh = (uintptr_t)listing;
	fuse_reply_open(req, file);
}

static struct node *where_it_goes_on(const struct node *dir, const struct listing *listing,
				     off_t after)
{
	struct node *node = dir->first;

	if (after == listing->place && listing->at && listing->removals == dir->removals)
		return listing->at;
	while (node && node->place <= after)
		node = node->after;
	return node;
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t after,
			   struct fuse_file_info *file)
{
	struct listing *listing = (struct listing *)(uintptr_t)file->fh;
	char *buffer = malloc(size);
	size_t used = 0;

	if (!buffer)
		abort();
	pthread_mutex_lock(&tree);
	listing->at = where_it_goes_on(node_of(ino), listing, after);
	for (; listing->at; listing->at = listing->at->after) {
		struct fuse_entry_param entry = entry_of(listing->at);
		size_t length =
			fuse_add_direntry_plus(req, buffer + used, size - used, listing->at->name,
					       &entry, listing->at->place);

		if (length > size - used)
			break;
		used += length;
		listing->at->known++;
		listing->place = listing->at->place;
	}
	listing->removals = node_of(ino)->removals;
	pthread_mutex_unlock(&tree);
	fuse_reply_buf(req, buffer, used);
	free(buffer);
}

static void do_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	free((struct listing *)(uintptr_t)file->fh);
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = do_lookup,
	.forget = do_forget,
	.forget_multi = do_forget_multi,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.create = do_create,
	.mkdir = do_mkdir,
	.unlink = do_unlink,
	.rmdir = do_unlink,
	.rename = do_rename,
	.open = do_open,
	.read = do_read,
	.write = do_write,
	.flush = do_flush,
	.release = do_flush,
	.opendir = do_opendir,
	.readdirplus = do_readdirplus,
	.releasedir = do_releasedir,
};

static int serve(struct fuse_session *session, const struct fuse_cmdline_opts *options)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int err;

	if (!config || fuse_daemonize(options->foreground) != 0)
		return 1;
	err = options->singlethread ? fuse_session_loop(session)
				    : fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return err != 0;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts options;
	struct fuse_session *session = NULL;
	int status = 1;

	if (fuse_parse_cmdline(&args, &options) == 0 && options.mountpoint)
		session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	root.attr = (struct stat){.st_ino = FUSE_ROOT_ID,
				  .st_mode = S_IFDIR | 0755,
				  .st_nlink = 2,
				  .st_uid = getuid(),
				  .st_gid = getgid()};
	if (session && fuse_set_signal_handlers(session) == 0 &&
	    fuse_session_mount(session, options.mountpoint) == 0) {
		status = serve(session, &options);
		fuse_session_unmount(session);
		fuse_remove_signal_handlers(session);
	}
	if (session)
		fuse_session_destroy(session);
	free(options.mountpoint);
	fuse_opt_free_args(&args);
	return status;
}
