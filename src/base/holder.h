/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Who keeps a log locked, for people: a program, or a mount, and then what
 * has become of it.
 */
#ifndef BASE_HOLDER_H
#define BASE_HOLDER_H

#include <stddef.h>

/* Adds to the line of the library, which says that the log in dir is locked, what
 * its process is to this system. pid is what the library has said of it; 0:
 * nothing. size is that of the line's buffer. */
void holder_explain(const char *dir, int pid, char *line, size_t size);

#endif
