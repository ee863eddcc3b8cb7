/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The standard descriptors of a program that may have been started without
 * them.
 */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

/* Call it before anything else is opened. Takes the place of descriptors 0, 1
 * and 2 where they are closed, so that no file gets such a number and takes
 * what is meant for standard output or error. To read from or write to a
 * replacement is an error (EBADF), as before. 0, or -errno. */
int standard_descriptors_hold(void);

#endif
