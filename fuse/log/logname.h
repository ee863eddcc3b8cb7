/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Names in a log directory: which file is what. Looks at no file.
 */
#ifndef LOGNAME_H
#define LOGNAME_H

#include <stdbool.h>
#include <stdint.h>

/* True for exactly eight decimal digits and ".dwal". */
bool logname_parse_segment(const char *name, uint32_t *id);

/* True for a segment's torn bytes, once they are whole. */
bool logname_is_side_file(const char *name);

#endif
