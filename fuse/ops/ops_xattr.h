/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations on extended attributes. See ops.h.
 */
#ifndef OPS_XATTR_H
#define OPS_XATTR_H

#include <fuse_lowlevel.h>

void ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		  int flags);
void ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
