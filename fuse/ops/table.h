/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * All operations of the mount, for libfuse.
 */
#ifndef OPS_TABLE_H
#define OPS_TABLE_H

#include <fuse_lowlevel.h>

struct fs_options;

/* For a mount with these options. The session's userdata is the struct fs. */
struct fuse_lowlevel_ops ops_of(const struct fs_options *options);

#endif
