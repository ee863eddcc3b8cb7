/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reads that first try what is in memory (RWF_NOWAIT, preadv2(2)): no call more
 * where all of it is.
 */
#include "io_waiting.h"

#include <errno.h>
#include <sys/uio.h>

static ssize_t pread_waiting(const struct io *io, int fd, void *buffer, size_t n, off_t offset)
{
	/* as it was made: it changes nothing of the table */
	struct io_waiting *waiting = (struct io_waiting *)(uintptr_t)io;
	const struct iovec iov = {buffer, n};
	ssize_t got;

	if (!atomic_load_explicit(&waiting->cannot_tell, memory_order_relaxed)) {
		got = preadv2(fd, &iov, 1, offset, RWF_NOWAIT);
		if (got >= 0)
			return got;
		if (errno == EAGAIN)
			waiting->waits();
		else
			atomic_store(&waiting->cannot_tell, errno == EOPNOTSUPP || errno == ENOSYS);
	}
	return io_system.pread(io, fd, buffer, n, offset);
}

void io_waiting_init(struct io_waiting *waiting, void (*waits)(void))
{
	waiting->io = io_system;
	waiting->io.pread = pread_waiting;
	waiting->waits = waits;
	atomic_init(&waiting->cannot_tell, false);
}
