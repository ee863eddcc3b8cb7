/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the process may use, and what it keeps back for its end. Knows neither
 * the log nor the mount.
 */
#ifndef RESOURCES_H
#define RESOURCES_H

#include <stdint.h>

struct resources {
	int reserve[2]; /* the writing end of a pipe that nobody reads, twice; -1: given up */
};

/* Once, before any thread: raises the limit of descriptors, has what ends
 * threads loaded, and takes the reserve. A file that grows beyond the limit of
 * the process (ulimit -f) gives EFBIG from here on, and no signal; *segment_size
 * becomes no larger than that limit. 0 or -errno. */
int resources_prepare(struct resources *resources, uint64_t *segment_size);

/* Two descriptors are free again: the end needs some. */
void resources_give_up(struct resources *resources);

#endif
