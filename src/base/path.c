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

/* What stands behind path_parent(). */
static const char *last_component(const char *path, size_t *len)
{
	size_t end = strlen(path), n;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (n = end; n > 0 && path[n - 1] != '/'; n--)
		;
	*len = end - n;
	return path + n;
}

char *path_resolve(const char *path)
{
	cleanup_free char *parent = NULL, *above = NULL;
	char *real = realpath(path, NULL);
	const char *name;
	size_t len;

	if (real || errno != ENOENT)
		return real;
	name = last_component(path, &len);
	if (len == 0 || (len <= 2 && strncmp(name, "..", len) == 0)) {
		errno = ENOENT;
		return NULL;
	}
	parent = path_parent(path);
	above = parent ? path_resolve(parent) : NULL;
	if (!above ||
	    asprintf(&real, "%s/%.*s", strcmp(above, "/") ? above : "", (int)len, name) < 0)
		return NULL;
	return real;
}

bool path_is_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}
