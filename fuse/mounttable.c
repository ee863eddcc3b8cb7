/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reading /proc/self/mounts.
 */
#include "mounttable.h"

#include <mntent.h>
#include <stddef.h>
#include <stdio.h>
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
	FILE *table = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;
	bool ours = false;

	while (table && (entry = getmntent(table))) {
		if (strcmp(entry->mnt_dir, path) != 0)
			continue;
		ours = strcmp(entry->mnt_type, MOUNT_TYPE) == 0;
		out->flags = flags_of(entry);
		(void)snprintf(out->source, sizeof(out->source), "%s", entry->mnt_fsname);
	}
	if (table)
		(void)endmntent(table); /* it always returns 1 */
	return ours;
}
