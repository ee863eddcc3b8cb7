/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a program has to say to who started it.
 */
#ifndef BASE_COMPLAIN_H
#define BASE_COMPLAIN_H

/* The program's name, before anything is said; the text must stay. */
void complain_as(const char *program);

/* One line on stderr, "PROGRAM: ...", behind what was written to stdout before.
 * Control characters become '?'; what is longer than 1023 bytes is cut. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
