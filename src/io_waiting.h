/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The system's calls, for somebody who wants to know when a read is going to
 * wait for the disk. Knows nothing of records or segments.
 */
#ifndef DWAL_IO_WAITING_H
#define DWAL_IO_WAITING_H

#include <stdatomic.h>

#include "io.h"

struct io_waiting {
	struct io io; /* to be used as any table, from any thread */
	void (*waits)(void);
	atomic_bool cannot_tell;
};

/* waits is called by the thread that is going to wait, whatever locks its caller
 * has. Not where the file system cannot tell. */
void io_waiting_init(struct io_waiting *waiting, void (*waits)(void));

#endif
