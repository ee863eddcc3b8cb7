/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is in a directory: nothing, a log, something else. Follows no link in
 * it, opens no file.
 */
#ifndef BASE_DIRECTORY_H
#define BASE_DIRECTORY_H

#include <stdbool.h>

/* 0 when nothing is in that directory, 1 when something is, or -errno. */
int directory_has_entries(int parent, const char *name);

/* By names alone. An empty lost+found does not count. */
struct directory_look {
	bool segment; /* when it is true, the others need not be */
	bool lock;
	bool temp; /* a temporary file of a log */
	bool other;
};

/* 0 or -errno. */
int directory_look(const char *path, struct directory_look *out);

#endif
