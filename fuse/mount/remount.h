/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A change of what the kernel keeps of a mount that is there. Its daemon takes
 * no part.
 */
#ifndef REMOUNT_H
#define REMOUNT_H

#include "mount/options.h"

/* Makes the mount on request's mountpoint read-only or
 * writable, and noexec, nosuid and nodev as the options say; set-id bits and
 * devices get no effect by an option that is missing. 0, or -1 when one line on
 * stderr has said what is wrong. */
int remount(const struct request *request);

#endif
