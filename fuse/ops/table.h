/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * All operations of the mount, for libfuse.
 */
#ifndef OPS_TABLE_H
#define OPS_TABLE_H

#include <fuse_lowlevel.h>

/* The session's userdata is the struct fs. */
extern const struct fuse_lowlevel_ops fs_ops;

#endif
