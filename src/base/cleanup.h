/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a local variable holds is let go when it goes out of scope:
 *
 *	cleanup_free char *name = NULL;
 *	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
 *
 * errno stays as it is. For descriptors and streams that were only read: of what
 * was written the result of close(2) counts, and it is closed by hand.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void free_pointer(void *p)
{
	free(*(void **)p); /* leaves errno as it is */
}
#define cleanup_free __attribute__((cleanup(free_pointer)))

/* None when it is negative. */
static inline void close_fd(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* only read */
	errno = saved;
}
#define cleanup_fd __attribute__((cleanup(close_fd)))

static inline void close_dir(DIR *const *dir)
{
	int saved = errno;

	if (*dir)
		(void)closedir(*dir); /* only read */
	errno = saved;
}
#define cleanup_dir __attribute__((cleanup(close_dir)))

static inline void close_file(FILE *const *file)
{
	int saved = errno;

	if (*file)
		(void)fclose(*file); /* only read */
	errno = saved;
}
#define cleanup_file __attribute__((cleanup(close_file)))

/* Takes the value out of a cleaned-up variable, so that it is kept. */
#define steal_pointer(p)                    \
	({                                  \
		__auto_type stolen_ = *(p); \
		*(p) = NULL;                \
		stolen_;                    \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
