/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Which names moments may be given. Pure.
 */
#ifndef BASE_TAGNAME_H
#define BASE_TAGNAME_H

#define TAGNAME_MOST 255 /* bytes */

/* NULL for a name that may be given: one line of up to TAGNAME_MOST bytes of UTF-8
 * that a terminal shows, without a blank at either end, which is no moment itself
 * (when.h) and begins with neither - nor @. Else why not, static. */
const char *tagname_wrong(const char *name);

#endif
