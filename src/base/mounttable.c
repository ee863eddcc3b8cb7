/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reading /proc/PID/mounts.
 */
#include "mounttable.h"
#include "cleanup.h"
#include "path.h"

#include <mntent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#define MOUNT_TYPE "fuse.datawalfs"

static unsigned long flags_of(const struct mntent *entry)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} names[] = {
		{"ro", MS_RDONLY},
		{"nosuid", MS_NOSUID},
		{"nodev", MS_NODEV},
		{"noexec", MS_NOEXEC},
		{"sync", MS_SYNCHRONOUS},
		{"noatime", MS_NOATIME},
		{"nodiratime", MS_NODIRATIME},
		{"relatime", MS_RELATIME},
		{"nosymfollow", MS_NOSYMFOLLOW},
	};
	unsigned long flags = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (hasmntopt(entry, names[i].name))
			flags |= names[i].flag;
	return flags;
}

bool mounttable_find(const char *path, struct mount_entry *out)
{
	cleanup_file FILE *table = setmntent(MOUNTTABLE_OF_SELF, "re");
	struct mntent *entry;
	bool ours = false;

	while (table && (entry = getmntent(table))) {
		if (strcmp(entry->mnt_dir, path) != 0)
			continue;
		ours = strcmp(entry->mnt_type, MOUNT_TYPE) == 0;
		out->flags = flags_of(entry);
		(void)snprintf(out->source, sizeof(out->source), "%s", entry->mnt_fsname);
	}
	return ours;
}

static void replace(char **text, const char *by)
{
	free(*text);
	*text = strdup(by);
}

bool mounttable_around(const char *path, char **source, char **mountpoint)
{
	cleanup_file FILE *table = setmntent(MOUNTTABLE_OF_SELF, "re");
	struct mntent *entry;
	size_t longest = 0;
	bool ours = false;

	*source = *mountpoint = NULL;
	while (table && (entry = getmntent(table))) {
		size_t len = strlen(entry->mnt_dir);

		if (len < longest || !path_is_within(path, entry->mnt_dir))
			continue;
		longest = len; /* among equal ones the last is on top */
		ours = strcmp(entry->mnt_type, MOUNT_TYPE) == 0;
		replace(source, entry->mnt_fsname);
		replace(mountpoint, entry->mnt_dir);
	}
	if (ours && *source && *mountpoint)
		return true;
	free(*source);
	free(*mountpoint);
	*source = *mountpoint = NULL;
	return false;
}

char *mounttable_mountpoint(const char *table, const char *source, bool read_only)
{
	cleanup_file FILE *file = setmntent(table, "re");
	struct mntent *entry;
	char *found = NULL;

	while (file && !found && (entry = getmntent(file)))
		if (strcmp(entry->mnt_type, MOUNT_TYPE) == 0 &&
		    strcmp(entry->mnt_fsname, source) == 0 && !hasmntopt(entry, "ro") == !read_only)
			found = strdup(entry->mnt_dir);
	return found;
}
