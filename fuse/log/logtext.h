/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The generated files of .log: what they say. Knows nothing of inodes or
 * handles.
 */
#ifndef LOGTEXT_H
#define LOGTEXT_H

#include <stddef.h>

#include "fs.h"

enum logtext { LOGTEXT_README, LOGTEXT_RECOVERY, LOGTEXT_RECOVERY_JSON, LOGTEXT_STATS_JSON };
#define LOGTEXT_COUNT 4

/* The file's name. Static. */
const char *logtext_name(enum logtext which);

/* The text as of now, newly allocated. 0 or a positive errno. */
int logtext_make(struct fs *fs, enum logtext which, char **text, size_t *len);

#endif
