/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From the library's errors to what a program sees.
 */
#ifndef ERRMAP_H
#define ERRMAP_H

#include <errno.h>

/* An append that must wait for a sync, which is not done under a lock: nothing
 * has happened. Never answered to a program: who asked syncs and tries again. */
#define FS_PUT_OFF ERESTART

/* The same of what is done without the lock before it is tried again. */
#define FS_AGAIN EBADE

/* The errno (positive) for a return code of the library; 0 for 0. */
int errno_of(int code);

#endif
