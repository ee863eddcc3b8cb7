/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Must not know what the paths lead to.
 */
#include "path.h"
#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *path_parent(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	while (n && path[n - 1] != '/')
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	return n ? strndup(path, n) : strdup(".");
}

char *path_resolve(const char *path)
{
	cleanup_free char *copy = NULL, *parent = NULL;
	char *real = realpath(path, NULL), *slash, *base;
	size_t len = strlen(path);

	if (real || errno != ENOENT)
		return real;
	while (len > 1 && path[len - 1] == '/')
		len--;
	copy = strndup(path, len);
	if (!copy)
		return NULL;
	slash = strrchr(copy, '/');
	base = slash ? slash + 1 : copy;
	if (*base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
		errno = ENOENT;
		return NULL;
	}
	if (slash)
		*slash = '\0';
	parent = path_resolve(!slash ? "." : slash == copy ? "/" : copy);
	if (parent && asprintf(&real, "%s/%s", strcmp(parent, "/") ? parent : "", base) < 0)
		real = NULL;
	return real;
}

bool path_is_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}
