/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Looks at /proc only: it must neither touch the lock nor wait for a mount.
 */
#include "holder.h"
#include "cleanup.h"
#include "mounttable.h"
#include "process.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct holder_mount {
	char *mountpoint; /* NULL: the log is mounted nowhere */
	int pid;          /* a process that still has it mounted; 0: this one */
};

/* Every process has the table of its mount namespace. */
static void find_elsewhere(const char *source, bool read_only, struct holder_mount *out)
{
	cleanup_dir DIR *processes = opendir("/proc");
	const struct dirent *entry;
	char table[64];

	while (processes && !out->mountpoint && (entry = readdir(processes))) {
		out->pid = atoi(entry->d_name);
		if (out->pid <= 0)
			continue;
		(void)snprintf(table, sizeof(table), "/proc/%d/mounts", out->pid); /* fits */
		out->mountpoint = mounttable_mountpoint(table, source, read_only);
	}
}

/* A mount that writes has the lock; one that was made read-only later, too. */
static struct holder_mount find_mount(const char *source)
{
	struct holder_mount found = {NULL, 0};

	for (int read_only = 0; read_only < 2 && !found.mountpoint; read_only++) {
		found.pid = 0;
		found.mountpoint = mounttable_mountpoint(MOUNTTABLE_OF_SELF, source, read_only);
		if (!found.mountpoint)
			find_elsewhere(source, read_only, &found);
	}
	return found;
}

static void describe_mount(const char *dir, char *out, size_t size)
{
	cleanup_free char *source = realpath(dir, NULL);
	struct holder_mount mount = find_mount(source ? source : dir);
	char name[PROCESS_NAME_SIZE];

	if (!mount.mountpoint) {
		(void)snprintf(out, size,
			       ", whose mount was unmounted: it is still ending, or files in it "
			       "are still open");
	} else if (!mount.pid) {
		(void)snprintf(out, size, ", mounted on %s: work there, or unmount it first",
			       mount.mountpoint);
	} else {
		process_name(mount.pid, name);
		(void)snprintf(out, size,
			       ", still mounted on %s in another mount namespace, that of pid %d "
			       "(%s): it ends when nobody has it mounted any more",
			       mount.mountpoint, mount.pid, name);
	}
	free(mount.mountpoint);
}

void holder_explain(const char *dir, int pid, char *line, size_t size)
{
	size_t len = strlen(line);
	char name[PROCESS_NAME_SIZE];

	if (pid <= 0) {
		(void)snprintf(line + len, size - len, /* cut if long */
			       ", one that this system does not name (in a container, or on "
			       "another machine?)");
		return;
	}
	process_name(pid, name);
	if (strcmp(name, "datawalfs") == 0)
		describe_mount(dir, line + len, size - len);
}
