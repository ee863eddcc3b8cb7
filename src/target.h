/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A fresh log in a directory that is absent or empty before, built under a
 * temporary name beside its place.
 */
#ifndef DWAL_TARGET_H
#define DWAL_TARGET_H

#include "datawal.h"
#include "file.h"

/* The directory being built. Held by a flock until it is released: whoever
 * finds the name without that finds what a crash has left. */
struct target {
	const struct io *io;
	const char *given; /* for messages */
	char *path;        /* absolute, without links */
	char *temp;        /* the same, with the temporary name */
	const char *name;  /* the last component of each */
	const char *temp_name;
	bool exists;           /* an empty directory is there already: */
	struct file_like like; /* what it is like */
	int parent;            /* descriptors; -1 while not open */
	int dir;               /* the one named temp */
};

/* Finds that given may be made, outside of the source, and makes the temporary
 * directory. To be released, also on failure. Names are borrowed. DWAL_ETARGET,
 * DWAL_ELOCKED, -errno. */
int target_begin(struct target *target, const struct io *io, const char *given, const char *source,
		 struct dwal_error *error);

/* The log in it; the caller's to close, before it is published. */
int target_log(const struct target *target, dwal_log **out, struct dwal_error *error);

/* What was written and synced gets its name, durably. */
int target_publish(struct target *target, struct dwal_error *error);

/* Removes what was not published. */
void target_release(struct target *target);

/* Says that writing failed; returns err. */
int target_fail(const struct target *target, int err, struct dwal_error *error);

#endif
