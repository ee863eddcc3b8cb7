/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Paths: their parts, and what they are without symbolic links.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>

/* realpath(3), also for a path whose last components are yet to be made. The
 * caller's; NULL with errno when it cannot be told. */
char *path_resolve(const char *path);

/* A copy of path up to its last component: "a/b" -> "a", "b" -> ".",
 * "/b" -> "/". Trailing slashes do not count. NULL: out of memory. */
char *path_parent(const char *path);

/* Whether a resolved path is dir or lies below it. */
bool path_is_within(const char *path, const char *dir);

#endif
