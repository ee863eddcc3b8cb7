/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What .log tells of the history that stays and of the last compaction, for
 * people and as JSON. Must not look at the log.
 */
#ifndef COMPACTTEXT_H
#define COMPACTTEXT_H

#include <stdio.h>

#include "fs.h"
#include "json.h"

void compacttext_write(FILE *out, struct fs *fs);

/* The members history and compaction. */
void compacttext_json(struct json *json, struct fs *fs);

#endif
