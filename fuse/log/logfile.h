/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The files that .log shows: the segments of the open log by what it has open,
 * whatever has become of their names, and everything else of the directory as
 * it is on disk now. Functions return 0 or a positive errno.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include <sys/stat.h>

#include "fs.h"

/* For reading only; *fd is the caller's. ENOENT: no such file. EIO: a segment's
 * name that leads to something else. */
int logfile_open(struct fs *fs, const char *name, int *fd);
int logfile_stat(struct fs *fs, const char *name, struct stat *st);

/* Calls fn for the name of each segment and side file, once, until it returns
 * something else than 0, which is returned. */
int logfile_each(struct fs *fs, int (*fn)(void *ctx, const char *name), void *ctx);

#endif
