/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Names in a log directory: which file is what. Looks at no file.
 */
#ifndef BASE_LOGNAME_H
#define BASE_LOGNAME_H

#include <stdbool.h>
#include <stdint.h>

#define LOGNAME_SIZE 16 /* "00000001.dwal" and its NUL, with room */

/* What the writer locks. */
#define LOGNAME_LOCK ".lock"

/* Room on a full disk, for a writer; no record is in it. */
#define LOGNAME_RESERVE ".reserve"

/* The one pattern of names that an open for writing deletes: *.dwal-tmp.
 * No segment and no side file matches it. Anything half-made in a log
 * directory bears such a name. */
#define LOGNAME_TEMP_SUFFIX ".dwal-tmp"

void logname_segment(uint32_t id, char out[LOGNAME_SIZE]);

/* What a segment is called while it is being rewritten: a temporary file. */
#define LOGNAME_TEMP_SIZE 32
void logname_rewritten(uint32_t id, char out[LOGNAME_TEMP_SIZE]);

/* The index file of a segment, and what it is called while it is being written: a
 * temporary file. */
void logname_index(uint32_t id, char out[LOGNAME_TEMP_SIZE]);
void logname_index_temp(uint32_t id, char out[LOGNAME_TEMP_SIZE]);

/* What the nth piece is called that is written ahead of its place in the log. */
void logname_ahead(unsigned n, char out[LOGNAME_TEMP_SIZE]);

/* True for exactly eight decimal digits and ".dwal". */
bool logname_parse_segment(const char *name, uint32_t *id);

/* The same for a name that only begins so: what follows, or NULL. */
const char *logname_parse_stem(const char *name, uint32_t *id);

/* The nth choice, from 1, for the side file of what a segment holds from
 * offset on. Newly allocated; NULL: out of memory. */
char *logname_side_file(uint32_t id, uint64_t offset, unsigned n);

/* True for the name of a side file that holds a segment's torn bytes, once
 * they are whole: NNNNNNNN.dwal.torn-*, and not a temporary file. */
bool logname_is_side_file(const char *name);
bool logname_is_temp_file(const char *name);

#endif
