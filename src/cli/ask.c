/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is asked of the daemon of a live mount. It must not know what for.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "cleanup.h"
#include "cli.h"

int ask_mount(const char *dir, unsigned long request, void *answer)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* only asked */

	if (fd < 0)
		return DWAL_ABSENT; /* whoever opens it as a log says why not */
	if (ioctl(fd, request, answer) == 0)
		return 0;
	if (errno == ENOTTY || errno == EINVAL || errno == ENOSYS)
		return DWAL_ABSENT;
	return -errno;
}
