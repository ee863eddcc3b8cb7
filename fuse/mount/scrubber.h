/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The thread that reads sealed segments in the background: it writes the index files
 * that are missing, and compares the others with what they are of. It holds no lock of
 * the daemon while it does.
 */
#ifndef SCRUBBER_H
#define SCRUBBER_H

#include "fs.h"

struct scrubber;

/* Once fs is mounted, for writing. 0 or a positive errno. */
int scrubber_start(struct fs *fs, struct scrubber **out);

/* Ends what it does at once, and the thread. Takes NULL. */
void scrubber_stop(struct scrubber *scrubber);

#endif
