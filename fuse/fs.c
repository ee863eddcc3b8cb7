/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What all parts share, made and taken apart, without what they put into it.
 */
#include "fs.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attr.h"

void fs_options_init(struct fs_options *options)
{
	mode_t mask = umask(0);

	umask(mask);
	*options = (struct fs_options){
		.verify = DWAL_VERIFY_INDEX,
		.commit_seconds = FS_COMMIT_SECONDS,
		.lock_wait_ms = FS_LOCK_WAIT_MS,
		.segment_size = FS_SEGMENT_SIZE,
		.rename_limit = FS_RENAME_LIMIT,
		.stage_limit = FS_STAGE_LIMIT,
		.uid = getuid(),
		.gid = getgid(),
		.umask = mask,
	};
}

void fs_options_release(struct fs_options *options)
{
	free(options->log_dir);
	free(options->mountpoint);
	*options = (struct fs_options){.log_dir = NULL};
}

struct fs *fs_new(struct fs_options *options)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs) {
		fs_options_release(options);
		return NULL;
	}
	fs->opt = *options;
	*options = (struct fs_options){.log_dir = NULL};
	fs->dir_fd = -1;
	fs->started = tree_now();
	pthread_mutex_init(&fs->write_lock, NULL);
	errands_init(&fs->errands);
	compaction_init(&fs->compaction);
	return fs;
}

void fs_free(struct fs *fs)
{
	compaction_release(&fs->compaction);
	errands_release(&fs->errands);
	pthread_mutex_destroy(&fs->write_lock);
	fs_options_release(&fs->opt);
	free(fs);
}

int fs_refuses(const struct fs *fs)
{
	if (fs->opt.read_only)
		return EROFS;
	if (dwal_kv_is_poisoned(fs->kv))
		return errno_of(DWAL_EPOISONED);
	return dwal_kv_refusal(fs->kv) ? EROFS : 0;
}
