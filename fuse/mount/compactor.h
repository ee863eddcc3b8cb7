/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The thread that compacts the mounted log, when it is told to and when
 * history= says so, beside reading and writing and at low priority. It holds no
 * lock of the daemon while it does.
 */
#ifndef COMPACTOR_H
#define COMPACTOR_H

#include "fs.h"

struct compactor;

/* Once fs is mounted, for writing. 0 or a positive errno. */
int compactor_start(struct fs *fs, struct compactor **out);

/* Ends what it does, which leaves each segment as it was or rewritten, and the
 * thread. Takes NULL. */
void compactor_stop(struct compactor *compactor);

#endif
