/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a mount would show of a log beside names and values: times, attributes,
 * directories. Gathered while the log is read, by the rules of ATTRIBUTES.md.
 * What is done with it is the business of others.
 */
#ifndef MOUNTED_H
#define MOUNTED_H

#include "attr.h"
#include "datawal.h"
#include "logtime.h"

#include <uthash.h>

/* What an attribute record says. */
struct mounted_record {
	struct attr attr; /* but for its mtime and ctime, which are the entry's */
	struct xattr *xattrs;
};

/* A value or a directory, by its component; or, while it waits for its value, by
 * the whole key. */
struct mounted_entry {
	UT_hash_handle hh;
	struct mounted_entry *dir;           /* where it is; NULL: the root, or it waits */
	struct mounted_entry *dirs, *values; /* what is in a directory */

	struct timespec mtime, ctime; /* as shown, where any are known; or of a segment */
	bool timed;
	struct timespec time; /* of the operation of its Put, or of a directory's record */
	char *lines;          /* of that operation's header; NULL: none */

	struct mounted_record *record; /* in force; NULL: none */

	/* kept.c's: what a copy of the log shows up to where it has come */
	bool copied;
	struct timespec copied_time;

	size_t len;
	char name[];
};

/* A part of unfinished content, which a mount tells of. */
struct mounted_unfinished {
	struct mounted_unfinished *prev, *next;
	uint32_t segment;
	uint64_t offset; /* of the record */
	struct timespec time;
	size_t key_len;
	unsigned char key[]; /* whose content it is */
};

/* All zero is what there is before the first record. */
struct mounted {
	bool any; /* a record of a mount has come */
	struct logtime times;
	char *lines; /* of the header that came last; NULL: none */
	uint64_t lines_txid;
	struct mounted_entry *root, *waiting;
	struct mounted_unfinished *unfinished;
};

/* The next record of the log. 0 or -ENOMEM. */
int mounted_observe(struct mounted *mounted, const struct dwal_record *record);

/* The value of a key, or NULL. */
struct mounted_entry *mounted_value(const struct mounted *mounted, struct dwal_bytes key);

/* Frees what it points to. */
void mounted_release(struct mounted *mounted);

#endif
