/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Files of the log directory. Must not follow a link, nor wait for anybody.
 */
#include "log/logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "logname.h"

static int open_on_disk(struct fs *fs, const char *name, int *out)
{
	uint32_t id;
	int refused = logname_parse_segment(name, &id) ? EIO : ENOENT;
	struct stat st;
	/* Non-blocking: it could be a fifo, which is refused below. */
	int fd = openat(fs->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? refused : errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd); /* nothing was done with it */
		return refused;
	}
	*out = fd;
	return 0;
}

int logfile_open(struct fs *fs, const char *name, int *fd)
{
	uint32_t id;
	int err = DWAL_ABSENT;

	if (logname_parse_segment(name, &id))
		err = dwal_kv_open_segment(fs->kv, id, fd);
	return err == DWAL_ABSENT ? open_on_disk(fs, name, fd) : errno_of(err);
}

int logfile_stat(struct fs *fs, const char *name, struct stat *st)
{
	int fd, err = logfile_open(fs, name, &fd);

	if (err)
		return err;
	err = fstat(fd, st) ? errno : 0;
	(void)close(fd); /* only looked at */
	return err;
}

/* The segments of the open log, and then what else is in the directory. */
struct names {
	uint32_t *ids; /* ascending */
	size_t n;
	int (*fn)(void *ctx, const char *name);
	void *ctx;
};

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int each_of_the_log(const struct names *names)
{
	int err = 0;

	for (size_t i = 0; !err && i < names->n; i++) {
		char name[LOGNAME_SIZE];

		logname_segment(names->ids[i], name);
		err = names->fn(names->ctx, name);
	}
	return err;
}

static int each_on_disk(const struct names *names, DIR *dir)
{
	struct dirent *entry;
	uint32_t id;
	int err = 0;

	while (!err && (errno = 0, entry = readdir(dir))) {
		bool known = logname_parse_segment(entry->d_name, &id)
				     ? bsearch(&id, names->ids, names->n, sizeof(id),
					       compare_ids) != NULL
				     : !logname_is_side_file(entry->d_name);

		if (!known)
			err = names->fn(names->ctx, entry->d_name);
	}
	if (!err && errno != ENOENT) /* that is a directory which was removed */
		err = errno;
	return err;
}

int logfile_each(struct fs *fs, int (*fn)(void *ctx, const char *name), void *ctx)
{
	struct names names = {.fn = fn, .ctx = ctx};
	int err = errno_of(dwal_kv_segments(fs->kv, &names.ids, &names.n)), fd;
	DIR *dir;

	if (!err)
		err = each_of_the_log(&names);
	if (err)
		goto end;
	/* A description of its own: the position in dir_fd is shared. */
	fd = openat(fs->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		err = errno == ENOENT ? 0 : errno;
		if (fd >= 0)
			(void)close(fd); /* nothing was done with it */
		goto end;
	}
	err = each_on_disk(&names, dir);
	(void)closedir(dir); /* it was only read */
end:
	free(names.ids);
	return err;
}
