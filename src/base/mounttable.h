/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The kernel's table of mounts. Asks no file system, so it never waits for a
 * daemon.
 */
#ifndef BASE_MOUNTTABLE_H
#define BASE_MOUNTTABLE_H

#include <stdbool.h>

#define MOUNTTABLE_OF_SELF "/proc/self/mounts"

struct mount_entry {
	char source[512];    /* cut if longer */
	unsigned long flags; /* MS_*, as far as mount(2) can change them */
};

/* The topmost mount on path, which is absolute and free of symbolic links.
 * False, with *out undefined, when there is none or it is not of datawalfs. */
bool mounttable_find(const char *path, struct mount_entry *out);

/* The datawalfs mount that a resolved path lies in, or is the root of. False
 * when there is none, and both NULL. Both are the caller's, to be freed. */
bool mounttable_around(const char *path, char **source, char **mountpoint);

/* Where the log directory source is mounted by a datawalfs, as this table
 * shows it; mountpoints of read-only mounts only if read_only. The caller's;
 * NULL: nowhere. */
char *mounttable_mountpoint(const char *table, const char *source, bool read_only);

#endif
