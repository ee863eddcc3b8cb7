/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The kernel's table of mounts. Asks no file system, so it never waits for a
 * daemon.
 */
#ifndef MOUNTTABLE_H
#define MOUNTTABLE_H

#include <stdbool.h>

struct mount_entry {
	char source[512];    /* cut if longer */
	unsigned long flags; /* MS_*, as far as mount(2) can change them */
};

/* The topmost mount on path, which is absolute and free of symbolic links.
 * False, with *out undefined, when there is none or it is not of datawalfs. */
bool mounttable_find(const char *path, struct mount_entry *out);

#endif
