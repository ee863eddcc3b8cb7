/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Operations on open directories. See ops.h.
 */
#ifndef OPS_DIR_H
#define OPS_DIR_H

#include <fuse_lowlevel.h>

struct fs;

void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     struct fuse_file_info *fi);
void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* Those that the kernel never released: it is gone. */
void ops_free_dirs(struct fs *fs);

#endif
