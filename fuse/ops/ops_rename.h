/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * rename(2). See ops.h.
 */
#ifndef OPS_RENAME_H
#define OPS_RENAME_H

#include <fuse_lowlevel.h>

void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		const char *newname, unsigned int flags);

#endif
