/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Must not decide whether a directory will do as a log.
 */
#include "directory.h"
#include "cleanup.h"
#include "logname.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>

int directory_has_entries(int parent, const char *name)
{
	cleanup_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int count = 0;

	if (!dir)
		return -errno;
	(void)steal_fd(&fd); /* dir has it */
	while (count < 3 && readdir(dir))
		count++;
	return count > 2; /* "." and ".." */
}

/* mkfs makes it in the root of a volume, and closes it to users: what they may
 * not see is not theirs. */
static bool is_empty_lost_found(int parent, const char *name)
{
	int found = strcmp(name, "lost+found") == 0 ? directory_has_entries(parent, name) : 1;

	return found == 0 || found == -EACCES;
}

int directory_look(const char *path, struct directory_look *out)
{
	cleanup_dir DIR *dir = opendir(path);
	const struct dirent *entry;
	uint32_t id;

	if (!dir)
		return -errno;
	*out = (struct directory_look){.segment = false};
	while (!out->segment && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (logname_parse_segment(name, &id))
			out->segment = true;
		else if (strcmp(name, LOGNAME_LOCK) == 0)
			out->lock = true;
		else if (logname_is_temp_file(name))
			out->temp = true;
		else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
			 !is_empty_lost_found(dirfd(dir), name))
			out->other = true;
	}
	return 0;
}
