/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Who keeps a log locked, for people: a program, or a mount, and then what
 * has become of it.
 */
#ifndef BASE_HOLDER_H
#define BASE_HOLDER_H

#include <stddef.h>

/* Writes one line about the writer that holds the lock of the log in dir into
 * out. pid is what the library has said of it; 0: nothing. */
void holder_describe(const char *dir, int pid, char *out, size_t size);

#endif
