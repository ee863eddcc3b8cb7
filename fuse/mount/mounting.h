/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * May this log be mounted in this place? Everything that can be told before
 * the log is opened, and nothing is created meanwhile.
 */
#ifndef MOUNTING_H
#define MOUNTING_H

#include "mount/options.h"

/* Goes where mount(8) has been told to mount; before any thread is started.
 * 0, or -1 as below. */
int mounting_enter(const char *mount_namespace);

/* Checks DIR and MOUNTPOINT and makes both absolute and free of symbolic
 * links; clears a stale mount (whose daemon was killed) off MOUNTPOINT.
 * 0, or -1 when one line on stderr has said what is wrong. */
int mounting_check(struct request *request);

#endif
