/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * .log: names, inode numbers, texts and handles. Files of the log directory
 * are read as they are now, through no cache of ours. Must not touch the tree.
 */
#define FUSE_USE_VERSION 314
#include "log/logdir.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "log/logfile.h"
#include "log/lognumber.h"
#include "logname.h"
#include "log/logtext.h"

/* Inode numbers: the directory, the generated files, and those of lognumber.h. A
 * generated file has the second number in listings and stat(2); to the kernel
 * each of its texts is a node of its own, counted from NODE_INO. A node id is
 * such a number with one bit more. */
#define TEXT_INO (LOGDIR_INO + 1)
#define NODE_INO (LOGDIR_INO + ((fuse_ino_t)3 << 32))

/* What a lookup of a generated file made. Constant but for the links and
 * uses. */
struct text {
	struct text *prev, *next;
	uint64_t uses; /* the kernel's lookups, and our handles; protected by lock */
	fuse_ino_t node;
	enum logtext which;
	struct timespec made;
	size_t len;
	char *bytes;
};

/* An open file: of the log directory, or a text. */
struct open_file {
	struct open_file *prev, *next;
	fuse_ino_t ino;
	int fd; /* -1 for a text */
	struct text *text;
};

struct logdir {
	struct lognumbers numbers;
	pthread_mutex_t lock;
	fuse_ino_t next_node;      /* protected by lock */
	struct text *texts;        /* DL lists; protected by lock */
	struct open_file *handles; /* protected by lock */
};

struct logdir *logdir_new(void)
{
	struct logdir *logdir = calloc(1, sizeof(*logdir));

	if (!logdir)
		return NULL;
	pthread_mutex_init(&logdir->lock, NULL); /* cannot fail on Linux */
	lognumbers_init(&logdir->numbers);
	logdir->next_node = NODE_INO;
	return logdir;
}

static void free_text(struct text *text)
{
	free(text->bytes);
	free(text);
}

static void free_handle(struct open_file *handle)
{
	if (handle->fd >= 0)
		(void)close(handle->fd); /* it was only read */
	free(handle);
}

void logdir_free(struct logdir *logdir)
{
	struct open_file *handle, *next_handle;
	struct text *text, *next_text;

	if (!logdir)
		return;
	/* The kernel gives nothing back that it holds when a mount ends. */
	DL_FOREACH_SAFE(logdir->handles, handle, next_handle)
	{
		free_handle(handle);
	}
	DL_FOREACH_SAFE(logdir->texts, text, next_text)
	{
		free_text(text);
	}
	lognumbers_release(&logdir->numbers);
	pthread_mutex_destroy(&logdir->lock);
	free(logdir);
}

/* ---- attributes ---- */

static void own(const struct fs *fs, fuse_ino_t ino, mode_t mode, struct stat *st)
{
	st->st_ino = ino;
	st->st_mode = mode;
	st->st_uid = fs->opt.uid;
	st->st_gid = fs->opt.gid;
	st->st_nlink = S_ISDIR(mode) ? 2 : 1;
	st->st_dev = 0;
	st->st_rdev = 0;
}

static int stat_directory(const struct fs *fs, struct stat *out)
{
	struct stat st;

	if (fstat(fs->dir_fd, &st) != 0)
		return errno;
	own(fs, LOGDIR_INO, S_IFDIR | 0500, &st);
	st.st_size = 0;
	st.st_blocks = 0;
	*out = st;
	return 0;
}

/* Of a file that has lost its name: as long as it is open here. */
static int stat_open_file(struct logdir *logdir, fuse_ino_t ino, struct stat *st)
{
	struct open_file *handle;
	int err = ENOENT;

	pthread_mutex_lock(&logdir->lock);
	DL_SEARCH_SCALAR(logdir->handles, handle, ino, ino);
	if (handle)
		err = fstat(handle->fd, st) ? errno : 0;
	pthread_mutex_unlock(&logdir->lock);
	return err;
}

static int stat_file(struct fs *fs, fuse_ino_t ino, const char *name, struct stat *out)
{
	struct stat st;
	int err = logfile_stat(fs, name, &st);

	if (!err && !lognumber_is_of(ino, &st))
		err = stat_open_file(fs->logdir, ino, &st);
	if (err)
		return err;
	own(fs, ino, S_IFREG | 0400, &st);
	*out = st;
	return 0;
}

/* ---- texts ---- */

/* Takes one use. NULL: no such node. */
static struct text *use_text(struct logdir *logdir, fuse_ino_t node)
{
	struct text *text;

	pthread_mutex_lock(&logdir->lock);
	DL_SEARCH_SCALAR(logdir->texts, text, node, node);
	if (text)
		text->uses++;
	pthread_mutex_unlock(&logdir->lock);
	return text;
}

static void drop_text(struct logdir *logdir, struct text *text, uint64_t uses)
{
	pthread_mutex_lock(&logdir->lock);
	text->uses -= uses;
	if (text->uses)
		text = NULL;
	else
		DL_DELETE(logdir->texts, text);
	pthread_mutex_unlock(&logdir->lock);
	if (text)
		free_text(text);
}

/* With one use, the caller's. */
static int make_text(struct fs *fs, enum logtext which, struct text **out)
{
	struct text *text = calloc(1, sizeof(*text));
	int err = text ? logtext_make(fs, which, &text->bytes, &text->len) : ENOMEM;

	if (err) {
		free(text);
		return err;
	}
	text->which = which;
	text->uses = 1;
	text->made = tree_now();
	pthread_mutex_lock(&fs->logdir->lock);
	text->node = fs->logdir->next_node++;
	DL_APPEND(fs->logdir->texts, text);
	pthread_mutex_unlock(&fs->logdir->lock);
	*out = text;
	return 0;
}

static void stat_text(const struct fs *fs, const struct text *text, struct stat *out)
{
	struct stat st = {.st_size = (off_t)text->len, .st_blksize = 4096};

	own(fs, TEXT_INO + text->which, S_IFREG | 0400, &st);
	st.st_mtim = st.st_ctim = st.st_atim = text->made;
	*out = st;
}

static bool find_text(const char *name, enum logtext *which)
{
	for (unsigned int i = 0; i < LOGTEXT_COUNT; i++) {
		if (strcmp(name, logtext_name(i)) == 0) {
			*which = (enum logtext)i;
			return true;
		}
	}
	return false;
}

/* ---- nodes ---- */

static fuse_ino_t ino_of(fuse_ino_t id)
{
	return id & ~NODEID_FOREIGN;
}

/* Of what is known by its id, and was there. */
static int or_stale(int err)
{
	return err == ENOENT ? ESTALE : err;
}

int logdir_getattr(struct fs *fs, fuse_ino_t id, struct stat *out)
{
	char buffer[LOGNAME_SIZE];
	fuse_ino_t ino = ino_of(id);
	const char *name = lognumber_name(&fs->logdir->numbers, ino, buffer);
	struct text *text = use_text(fs->logdir, ino);

	if (ino == LOGDIR_INO)
		return stat_directory(fs, out);
	if (!text)
		return or_stale(name ? stat_file(fs, ino, name, out) : ENOENT);
	stat_text(fs, text, out);
	drop_text(fs->logdir, text, 1);
	return 0;
}

static int lookup_text(struct fs *fs, enum logtext which, struct fuse_entry_param *out)
{
	struct text *text;
	int err = make_text(fs, which, &text);

	if (err)
		return err;
	*out = (struct fuse_entry_param){.ino = text->node};
	stat_text(fs, text, &out->attr);
	return 0;
}

static int lookup_file(struct fs *fs, const char *name, struct fuse_entry_param *out)
{
	struct fuse_entry_param entry = {.ino = 0};
	struct stat st = {.st_ino = 0};
	int err = logfile_stat(fs, name, &st);

	if (!err)
		err = lognumber_of(&fs->logdir->numbers, name, &st, &entry.ino);
	if (err)
		return err;
	own(fs, entry.ino, S_IFREG | 0400, &st);
	entry.attr = st;
	*out = entry;
	return 0;
}

int logdir_lookup(struct fs *fs, fuse_ino_t parent, const char *name, struct fuse_entry_param *out)
{
	enum logtext which;
	int err;

	if (parent != LOGDIR_ID)
		return ENOTDIR;
	err = find_text(name, &which) ? lookup_text(fs, which, out) : lookup_file(fs, name, out);
	if (err)
		return err;
	out->ino |= NODEID_FOREIGN;
	out->generation = fs->tree.ids.mount;
	return 0;
}

/* Files of the log directory are not counted: their numbers tell all. */
void logdir_forget(struct fs *fs, fuse_ino_t id, uint64_t lookups)
{
	struct text *text = use_text(fs->logdir, ino_of(id));

	if (text)
		drop_text(fs->logdir, text, lookups + 1);
}

/* ---- handles ---- */

static int open_file(struct fs *fs, fuse_ino_t ino, int *fd)
{
	char buffer[LOGNAME_SIZE];
	const char *name = lognumber_name(&fs->logdir->numbers, ino, buffer);
	struct stat st;
	int err = name ? logfile_open(fs, name, fd) : ENOENT;

	if (err)
		return err;
	if (fstat(*fd, &st) == 0 && lognumber_is_of(ino, &st))
		return 0;
	(void)close(*fd); /* nothing was done with it */
	return ENOENT;
}

int logdir_open(struct fs *fs, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct open_file *handle;
	int err = 0;

	if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC))
		return EROFS;
	handle = calloc(1, sizeof(*handle));
	if (!handle)
		return ENOMEM;
	handle->fd = -1;
	handle->ino = ino_of(id);
	handle->text = use_text(fs->logdir, ino_of(id));
	if (!handle->text)
		err = or_stale(open_file(fs, ino_of(id), &handle->fd));
	if (err) {
		free(handle);
		return err;
	}
	pthread_mutex_lock(&fs->logdir->lock);
	DL_APPEND(fs->logdir->handles, handle);
	pthread_mutex_unlock(&fs->logdir->lock);
	fi->fh = (uintptr_t)handle;
	fi->noflush = 1;
	return 0;
}

static int read_disk(int fd, off_t offset, char *buffer, size_t size, size_t *got)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, buffer + done, size - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*got = done;
	return 0;
}

static struct open_file *handle_of(const struct fuse_file_info *fi)
{
	return (struct open_file *)(uintptr_t)fi->fh;
}

int logdir_read(struct fs *fs, struct fuse_file_info *fi, off_t offset, char *buffer, size_t size,
		size_t *got)
{
	const struct open_file *handle = handle_of(fi);
	const struct text *text = handle->text;
	size_t start = (size_t)offset;

	if (!text)
		return read_disk(handle->fd, offset, buffer, size, got);
	if (start >= text->len)
		size = 0;
	else if (size > text->len - start)
		size = text->len - start;
	if (size)
		memcpy(buffer, text->bytes + start, size);
	*got = size;
	return 0;
}

void logdir_release(struct fs *fs, struct fuse_file_info *fi)
{
	struct open_file *handle = handle_of(fi);

	pthread_mutex_lock(&fs->logdir->lock);
	DL_DELETE(fs->logdir->handles, handle);
	pthread_mutex_unlock(&fs->logdir->lock);
	if (handle->text)
		drop_text(fs->logdir, handle->text, 1);
	free_handle(handle);
}

/* ---- listing ---- */

struct list {
	struct fs *fs;
	struct listing *listing;
};

/* A segment is listed whatever it is: it must not seem to be missing. */
static int list_one(void *ctx, const char *name)
{
	struct list *list = ctx;
	struct stat st = {.st_ino = 0};
	uint32_t id;
	uint64_t ino;
	int err = logfile_stat(list->fs, name, &st);

	if (err && logname_parse_segment(name, &id))
		err = 0;
	if (!err)
		err = lognumber_of(&list->fs->logdir->numbers, name, &st, &ino);
	if (err)
		return err == ENOENT ? 0 : err;
	return listing_add(list->listing, name, ino, S_IFREG);
}

int logdir_list(struct fs *fs, fuse_ino_t id, struct listing *listing)
{
	struct list list = {fs, listing};
	int err = 0;

	if (id != LOGDIR_ID)
		return ENOTDIR;
	for (unsigned int i = 0; !err && i < LOGTEXT_COUNT; i++)
		err = listing_add(listing, logtext_name(i), TEXT_INO + i, S_IFREG);
	return err ? err : logfile_each(fs, list_one, &list);
}
