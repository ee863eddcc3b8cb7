/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Inode numbers of what .log shows of the log directory: side files in the order
 * in which they were first seen; segments by their ids and their files' own
 * numbers, as a compaction puts another file, of other bytes, in one's place.
 */
#ifndef LOGNUMBER_H
#define LOGNUMBER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "logname.h"

struct lognumbers {
	pthread_mutex_t lock;
	char **side_names; /* protected by lock; the names themselves never change */
	size_t side_count;
};

void lognumbers_init(struct lognumbers *numbers);
void lognumbers_release(struct lognumbers *numbers);

/* Of the file of this name, with st of it. 0, ENOENT for any other file, ENOMEM. */
int lognumber_of(struct lognumbers *numbers, const char *name, const struct stat *st,
		 uint64_t *ino);

/* The name that the number was given to: in buffer, or one that stays. NULL: none. */
const char *lognumber_name(struct lognumbers *numbers, uint64_t ino, char buffer[LOGNAME_SIZE]);

/* False: the number is that of a segment, and this is another file. */
bool lognumber_is_of(uint64_t ino, const struct stat *st);

#endif
