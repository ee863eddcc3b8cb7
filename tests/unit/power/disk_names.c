/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A disk in memory: the calls on names, descriptors and what a file is like,
 * and the table of all calls.
 */
#include "disk_calls.h"

#include <sys/file.h>
#include <unistd.h>

static unsigned look_up(const struct disk *disk, unsigned dir, const char *name)
{
	if (!*name || strcmp(name, ".") == 0)
		return dir;
	if (strcmp(name, "..") == 0)
		return disk->files[dir].parent;
	return disk_lookup(&disk->now, dir, name);
}

/* Where a path leads: the directory, the last component, and what bears that
 * name, 0 for nothing. */
struct found {
	unsigned dir, ino;
	char name[48];
};

static int walk(const struct disk *disk, const char *path, struct found *found)
{
	for (;;) {
		size_t len;

		while (*path == '/')
			path++;
		len = strcspn(path, "/");
		CHECK(len < sizeof(found->name));
		memcpy(found->name, path, len);
		found->name[len] = '\0';
		path += len;
		if (!path[strspn(path, "/")])
			return 0;
		found->dir = disk_lookup(&disk->now, found->dir, found->name);
		if (!found->dir || !disk->files[found->dir].is_dir)
			return -ENOENT;
	}
}

/* 0 or -ENOENT. */
static int resolve(struct disk *disk, int dirfd, const char *path, struct found *found)
{
	size_t root = strlen(disk->root);
	int rc;

	found->dir = DISK_ROOT;
	if (path[0] == '/') {
		if (strncmp(path, disk->root, root) != 0)
			return -ENOENT;
		path += root;
	} else {
		if (dirfd == AT_FDCWD)
			return -ENOENT;
		found->dir = open_of(disk, dirfd)->ino;
	}
	rc = walk(disk, path, found);
	if (!rc)
		found->ino = look_up(disk, found->dir, found->name);
	return rc;
}

static unsigned new_inode(struct disk *disk)
{
	unsigned ino = 1;

	while (ino < DISK_FILES && disk->files[ino].used)
		ino++;
	if (ino == DISK_FILES) {
		disk_drop_unnamed(disk);
		for (ino = 1; ino < DISK_FILES && disk->files[ino].used;)
			ino++;
	}
	CHECK(ino < DISK_FILES);
	return ino;
}

static unsigned create(struct disk *disk, unsigned dir, const char *name, bool is_dir, mode_t mode)
{
	unsigned ino;

	tell(disk, is_dir ? "mkdir" : "create", name);
	ino = new_inode(disk);
	disk->files[ino] = (struct disk_file){
		.used = true,
		.is_dir = is_dir,
		.parent = dir,
		.mode = mode,
		.mtime.tv_sec = ++disk->clock,
		.durable_mtime.tv_sec = disk->clock,
	};
	disk_set_name(disk, dir, name, ino);
	return ino;
}

static int take_fd(struct disk *disk, unsigned ino, unsigned description)
{
	for (int i = 0; i < DISK_FDS; i++) {
		if (disk->fds[i].used)
			continue;
		disk->fds[i] = (struct disk_open){true, ino, 0, description};
		return DISK_FD0 + i;
	}
	return -EMFILE;
}

int sim_open(const struct io *io, int dirfd, const char *path, int flags, mode_t mode)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, flags & O_CREAT ? "create" : "open");
	struct found at;
	unsigned ino;

	if (!rc)
		rc = resolve(disk, dirfd, path, &at);
	if (rc)
		return rc;
	ino = at.ino;
	if (!ino && !(flags & O_CREAT))
		return -ENOENT;
	if (ino && flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (ino && flags & O_DIRECTORY && !disk->files[ino].is_dir)
		return -ENOTDIR;
	if (ino && disk->files[ino].is_dir && (flags & O_ACCMODE) != O_RDONLY)
		return -EISDIR;
	if (!ino)
		ino = create(disk, at.dir, at.name, false, mode);
	if (flags & O_TRUNC && disk->files[ino].cache.len) {
		tell(disk, "truncate", at.name);
		disk_truncate(disk, &disk->files[ino], 0);
	}
	return take_fd(disk, ino, ++disk->descriptions);
}

int sim_dup(const struct io *io, int fd)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "dup");

	return rc ? rc : take_fd(disk, open_of(disk, fd)->ino, open_of(disk, fd)->description);
}

int sim_close(const struct io *io, int fd)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "close");

	*open_of(disk, fd) = (struct disk_open){0};
	return rc;
}

static void status_of(const struct disk *disk, unsigned ino, struct stat *st)
{
	const struct disk_file *file = &disk->files[ino];

	*st = (struct stat){
		.st_dev = 77,
		.st_ino = ino,
		.st_mode = (file->is_dir ? S_IFDIR : S_IFREG) | file->mode,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = (off_t)file->cache.len,
		.st_mtim = file->mtime,
		.st_ctim = file->mtime,
		.st_nlink = ino == DISK_ROOT,
	};
	for (size_t i = 0; i < disk->now.n; i++)
		st->st_nlink += disk->now.list[i].ino == ino;
}

int sim_fstat(const struct io *io, int fd, struct stat *st)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "fstat");

	if (!rc)
		status_of(disk, open_of(disk, fd)->ino, st);
	return rc;
}

int sim_fstatat(const struct io *io, int dirfd, const char *path, struct stat *st, int flags)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "stat");
	struct found at;

	if (!rc)
		rc = resolve(disk, dirfd, path, &at);
	if (rc)
		return rc;
	if (at.ino)
		status_of(disk, at.ino, st);
	return at.ino ? 0 : -ENOENT;
}

int sim_mkdirat(const struct io *io, int dirfd, const char *path, mode_t mode)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "mkdir");
	struct found at;

	if (!rc)
		rc = resolve(disk, dirfd, path, &at);
	if (!rc && at.ino)
		rc = -EEXIST;
	if (!rc)
		(void)create(disk, at.dir, at.name, true, mode);
	return rc;
}

static bool is_empty(const struct disk *disk, unsigned dir)
{
	for (size_t i = 0; i < disk->now.n; i++)
		if (disk->now.list[i].dir == dir)
			return false;
	return true;
}

int sim_unlinkat(const struct io *io, int dirfd, const char *path, int flags)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "unlink");
	struct found at;

	if (!rc)
		rc = resolve(disk, dirfd, path, &at);
	if (rc)
		return rc;
	if (!at.ino)
		return -ENOENT;
	if (disk->files[at.ino].is_dir != !!(flags & AT_REMOVEDIR))
		return disk->files[at.ino].is_dir ? -EISDIR : -ENOTDIR;
	if (disk->files[at.ino].is_dir && !is_empty(disk, at.ino))
		return -ENOTEMPTY;
	tell(disk, "unlink", at.name);
	disk_set_name(disk, at.dir, at.name, 0);
	return 0;
}

static int may_replace(const struct disk *disk, unsigned ino, unsigned other, unsigned flags)
{
	if (!ino)
		return -ENOENT;
	if (!other)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (disk->files[other].is_dir && !is_empty(disk, other))
		return -ENOTEMPTY;
	return disk->files[other].is_dir == disk->files[ino].is_dir ? 0 : -ENOTDIR;
}

int sim_renameat2(const struct io *io, int from_dirfd, const char *from, int to_dirfd,
		  const char *to, unsigned int flags)
{
	struct disk *disk = disk_of(io);
	int rc = enter(disk, "rename");
	struct found old, new;

	if (!rc)
		rc = resolve(disk, from_dirfd, from, &old);
	if (!rc)
		rc = resolve(disk, to_dirfd, to, &new);
	if (!rc)
		rc = may_replace(disk, old.ino, new.ino, flags);
	if (rc)
		return rc;
	tell(disk, "rename", new.name);
	disk_set_name(disk, new.dir, new.name, old.ino);
	disk_set_name(disk, old.dir, old.name, 0);
	return 0;
}

int sim_flock(const struct io *io, int fd, int operation)
{
	struct disk *disk = disk_of(io);
	struct disk_open *open = open_of(disk, fd);
	int rc = enter(disk, "flock");

	for (size_t i = 0; !rc && i < DISK_FDS; i++) {
		const struct disk_open *other = &disk->fds[i];

		if (other->used && other->ino == open->ino && other->lock &&
		    other->lock != open->description)
			rc = -EWOULDBLOCK;
	}
	if (!rc)
		open->lock = operation & LOCK_UN ? 0 : open->description;
	return rc;
}

int sim_list(const struct io *io, int dirfd, io_name_fn each, void *ctx)
{
	struct disk *disk = disk_of(io);
	unsigned dir = open_of(disk, dirfd)->ino;
	struct disk_names names = {.n = 0};
	int rc = enter(disk, "list");

	for (size_t i = 0; i < disk->now.n; i++)
		if (disk->now.list[i].dir == dir)
			names.list[names.n++] = disk->now.list[i];
	for (size_t i = 0; !rc && i < names.n; i++)
		rc = each(ctx, names.list[i].name);
	return rc;
}

int sim_fchown(const struct io *io, int fd, uid_t uid, gid_t gid)
{
	return enter(disk_of(io), "fchown");
}

int sim_fchmod(const struct io *io, int fd, mode_t mode)
{
	int rc = enter(disk_of(io), "fchmod");

	if (!rc)
		file_of(disk_of(io), fd)->mode = mode & 07777;
	return rc;
}

int sim_futimens(const struct io *io, int fd, const struct timespec times[2])
{
	int rc = enter(disk_of(io), "futimens");

	if (!rc && times[1].tv_nsec != UTIME_OMIT)
		file_of(disk_of(io), fd)->mtime = times[1];
	return rc;
}

int sim_copy_acl(const struct io *io, int from, int to)
{
	return enter(disk_of(io), "acl");
}

const struct io disk_io = {
	.open = sim_open,
	.dup = sim_dup,
	.close = sim_close,
	.pread = sim_pread,
	.pwritev = sim_pwritev,
	.write = sim_write,
	.fsync = sim_fsync,
	.fdatasync = sim_fdatasync,
	.begin_write = sim_begin_write,
	.ftruncate = sim_ftruncate,
	.allocate = sim_allocate,
	.fadvise = sim_fadvise,
	.fstat = sim_fstat,
	.fstatat = sim_fstatat,
	.mkdirat = sim_mkdirat,
	.unlinkat = sim_unlinkat,
	.renameat2 = sim_renameat2,
	.flock = sim_flock,
	.list = sim_list,
	.fchown = sim_fchown,
	.fchmod = sim_fchmod,
	.futimens = sim_futimens,
	.copy_acl = sim_copy_acl,
};
