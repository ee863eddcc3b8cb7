/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * DIR and mounts: the log behind a mountpoint, and directories that lie in a
 * mount. It must not change anything in either.
 */
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cli.h"
#include "mounttable.h"
#include "path.h"

/* A mount shows the bytes of its log in .log to the user who made it. Others,
 * root among them, are kept out of it, and look at the directory that it says
 * it is of. */
static char *log_of(const char *source, const char *mountpoint)
{
	char *shown;

	if (asprintf(&shown, "%s/.log", mountpoint) < 0)
		return NULL;
	if (access(shown, R_OK | X_OK) == 0)
		return shown;
	free(shown);
	return strdup(source);
}

char *log_behind(const char *dir)
{
	cleanup_free char *path = path_resolve(dir), *source = NULL, *mountpoint = NULL;

	if (!path || !mounttable_around(path, &source, &mountpoint) || strcmp(path, mountpoint))
		return NULL;
	return log_of(source, mountpoint);
}

enum status refuse_mount(const char *dir)
{
	cleanup_free char *path = path_resolve(dir), *source = NULL, *mountpoint = NULL;

	if (!path || !mounttable_around(path, &source, &mountpoint))
		return DONE;
	if (!strcmp(path, mountpoint))
		complain("%s: the log %s is mounted there: change its files, or unmount it first",
			 dir, source);
	else
		complain("%s: lies in the mount of the log %s on %s: a log there would be "
			 "written into that log; name another directory",
			 dir, source, mountpoint);
	return WRONG_USE;
}
