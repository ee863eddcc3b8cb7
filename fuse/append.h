/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * One write to the log on behalf of the mount: the records of one operation,
 * in order, with the clock record that a Put may need before it. Knows the
 * record formats of datawalfs, not the tree.
 */
#ifndef APPEND_H
#define APPEND_H

#include "tree/attr.h"
#include "tree/xattr.h"
#include "fs.h"

/* A list of records being put together. Start with all zero; key and content
 * are borrowed until append_write(). */
struct append {
	struct dwal_op ops[6]; /* a directory, clock, Put, attributes, its directory's, Delete */
	size_t count;
	int64_t clock; /* what the clock record among them says */
	bool has_clock;
	char clock_text[CLOCK_TEXT_SIZE];
	char *attr_texts[3];
	size_t attr_count;
};

/* A Put of content last written to at this moment, preceded by a clock record
 * when the one in force is older. Wants fs->write_lock. */
void append_put(struct append *a, const struct fs *fs, struct dwal_bytes key,
		struct dwal_bytes content, struct timespec written);

/* The clock, in whole seconds, that is in force behind what is in the list. */
int64_t append_clock(const struct append *a, const struct fs *fs);

/* At most three of these in a list. 0 or ENOMEM. */
int append_attr(struct append *a, struct dwal_bytes key, const struct attr *attr,
		const struct xattr *xattrs);

void append_delete(struct append *a, struct dwal_bytes key);

/* Appends the list in one write, all or nothing, and releases it. Wants
 * fs->write_lock. 0 or a positive errno. */
int append_write(struct append *a, struct fs *fs);

/* Behind an operation that had fs->write_lock and ended with r: true when it is
 * to be done again from its start. It met the end of a segment, which has been
 * synced by now. Wants no lock. */
bool append_put_off(struct fs *fs, int r);

/* Frees a list that is not to be written. */
void append_release(struct append *a);

/* Makes durable what was appended. Wants no lock. 0 or a positive errno. */
int append_sync(struct fs *fs);

#endif
