/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * mount(2) with MS_REMOUNT. It replaces all flags, so those that stay are read
 * first. Must not look into the mount: its daemon may hang.
 */
#include "mount/remount.h"

#include "cleanup.h"
#include "complain.h"
#include "mounttable.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

/* As for any file system: read-only and noexec are what the options say now.
 * The rest stays as it is but for what is named. */
static unsigned long new_flags(const struct request *request, unsigned long old)
{
	unsigned long flags = old & ~(unsigned long)(MS_RDONLY | MS_NOEXEC);

	if (request->setid)
		flags &= ~(unsigned long)MS_NOSUID;
	if (request->devices)
		flags &= ~(unsigned long)MS_NODEV;
	return flags | (request->fs.read_only ? MS_RDONLY : 0) | (request->noexec ? MS_NOEXEC : 0) |
	       (request->nosuid ? MS_NOSUID : 0) | (request->nodev ? MS_NODEV : 0);
}

static const char *reason(int error)
{
	return error == EBUSY   ? "files are open for writing"
	       : error == EPERM ? "only root may do that"
				: strerror(error);
}

int remount(const struct request *request)
{
	cleanup_free char *path = realpath(request->fs.mountpoint, NULL);
	struct mount_entry found;

	if (!path)
		complain("%s: %s", request->fs.mountpoint, strerror(errno));
	else if (!mounttable_find(path, &found))
		complain("nothing of datawalfs is mounted on %s", path);
	else if (mount(NULL, path, NULL, MS_REMOUNT | new_flags(request, found.flags), NULL) != 0)
		complain("the mount on %s cannot be changed: %s", path, reason(errno));
	else
		return 0;
	return -1;
}
