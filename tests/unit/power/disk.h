/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A disk in memory behind the library's table of system calls. It knows what
 * the page cache shows, what is there for good, and everything in between that
 * a crash may leave; it calls back before each change, and can fail any call.
 * Knows nothing of logs.
 */
#ifndef POWER_DISK_H
#define POWER_DISK_H

#include "io.h"

#define DISK_SECTOR  512
#define DISK_FILES   64
#define DISK_NAMES   64
#define DISK_CHANGES 128
#define DISK_FDS     64
#define DISK_FD0     1000 /* the first descriptor: none of the system's */
#define DISK_ROOT    1    /* the inodes that are always there */
#define DISK_LOG     2

/* What is told before a change that is a part of a write. */
#define DISK_WITHIN_WRITE "write on"

struct disk_bytes {
	unsigned char *data;
	size_t len;
};

/* One write or truncation that is not synced: whole sectors as the cache shows
 * them since, and the size since. */
struct disk_write {
	unsigned refs;
	bool cuts; /* the size does not grow */
	size_t size_before, size;
	size_t first, count;   /* sectors */
	unsigned char bytes[]; /* of them, zeros behind the end */
};

struct disk_file {
	bool used, is_dir;
	unsigned parent; /* of a directory */
	mode_t mode;
	struct timespec mtime, durable_mtime;
	struct disk_bytes cache, durable;
	struct disk_write **pending; /* oldest first */
	size_t pending_count;
	/* A write that was cut short, and goes on there: still one version. */
	size_t short_start, short_end, short_before;
};

struct disk_name {
	char name[48];
	unsigned dir, ino; /* ino 0, of a change: gone */
};

struct disk_names {
	struct disk_name list[DISK_CHANGES];
	size_t n;
};

struct disk_open {
	bool used;
	unsigned ino;
	unsigned lock; /* an open file's: 0 none held, else its own number */
	unsigned description;
};

/* How the n-th call fails. */
enum disk_fault {
	DISK_SOUND,
	DISK_FAILS, /* with an error; a sync then leaves any part undone, and clean in the cache */
	DISK_PART,  /* as the last, and a write is done in part all the same */
	DISK_SHORT, /* reads or writes less than it was asked to */
};

struct disk {
	struct io io; /* first: a struct io * is cast back */
	const char *root;
	struct disk_file files[DISK_FILES]; /* by inode number */
	struct disk_names now, durable, changes;
	struct disk_open fds[DISK_FDS];
	unsigned descriptions;
	int64_t clock; /* so many changes */

	/* before each change, or part of one */
	void (*before)(struct disk *disk, const char *what, const char *name);
	void *ctx;

	uint64_t calls;   /* of any kind */
	uint64_t fail_at; /* the call of this number; 0: none */
	enum disk_fault fault;
	int fail_with;
	bool goes_on;       /* and all later ones of that name */
	bool dies;          /* and all later ones that change or sync anything */
	const char *failed; /* what failed; NULL while nothing did */
	uint64_t seed;      /* of what a failed sync leaves */
};

/* With the directories root and root/log, both durable. root must stay. */
void disk_init(struct disk *disk, const char *root);

/* The same once more; without open files, that is as after the death of all
 * processes. */
void disk_copy(struct disk *out, const struct disk *disk);
void disk_release(struct disk *disk);

/* As a failed sync of the file leaves it. keep: a sector of what was pending is
 * on the disk. */
void disk_fail_sync(struct disk *disk, unsigned ino, bool (*keep)(void *ctx), void *ctx);

/* Open descriptors. */
unsigned disk_open_count(const struct disk *disk);

/* The inode that a name in a directory leads to; 0: none. */
unsigned disk_lookup(const struct disk_names *names, unsigned dir, const char *name);

/* Equal for disks that no reader can tell apart, now or after a crash. */
uint64_t disk_hash(const struct disk *disk);

void disk_bytes_copy(struct disk_bytes *out, const struct disk_bytes *bytes);
void disk_bytes_resize(struct disk_bytes *bytes, size_t len);

/* Drops all that is pending for a file, or the last of it. */
void disk_forget_pending(struct disk_file *file);
void disk_forget_last(struct disk_file *file);

/* What names nobody and nothing leads to is gone. */
void disk_drop_unnamed(struct disk *disk);

/* Shows its names and sizes on stderr. */
void disk_show(const struct disk *disk);

/* disk_names.c */
extern const struct io disk_io;

/* Changes what the cache shows of a name; ino 0 takes it away. */
void disk_set_name(struct disk *disk, unsigned dir, const char *name, unsigned ino);
/* All that is pending of a directory is durable. */
void disk_sync_names(struct disk *disk, unsigned dir);

#endif
