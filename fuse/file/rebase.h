/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What open files hold of the log, when a compaction has rewritten segments: an
 * old file of a segment takes its space, and a descriptor, for as long as
 * somebody reads from it.
 */
#ifndef FILE_REBASE_H
#define FILE_REBASE_H

#include "fs.h"

/* Has every file that is there read its content from the segment as it is now.
 * Returns how many old files of segments are held still, by files that were
 * removed or replaced while open. Wants no lock; other threads go on. */
size_t rebase_all(struct fs *fs);

#endif
