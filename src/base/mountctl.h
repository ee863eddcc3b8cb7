/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the command line can ask of a live mount: ioctl(2) on its root directory,
 * by the user who mounted it or by root. Fails with errno: EPERM, EROFS, EIO ...
 */
#ifndef BASE_MOUNTCTL_H
#define BASE_MOUNTCTL_H

#include <stdint.h>
#include <sys/ioctl.h>

/* Rotates; gives the id of the segment that is appended to now. */
#define MOUNTCTL_ROTATE _IOR('D', 1, uint32_t)

#endif
