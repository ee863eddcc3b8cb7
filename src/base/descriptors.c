/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Must not write anywhere: there may be nobody to read it.
 */
#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int standard_descriptors_hold(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number is this one. O_PATH: neither to be read
		 * nor written, and there is a root also where /dev/null is not.
		 * Without O_CLOEXEC: it is for children as well. */
		if (open("/", O_PATH | O_DIRECTORY) != fd)
			return -errno;
	}
	return 0;
}
