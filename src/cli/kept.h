/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a copy of a log must hold beside values, so that a mount shows the same of
 * it.
 */
#ifndef KEPT_H
#define KEPT_H

#include "mounted.h"

/* All zero but the first two is the start. */
struct kept {
	struct mounted *mounted; /* of the whole log */
	const char *dir;         /* where the log is */

	bool at_dirs;                          /* the values are written; next are */
	struct mounted_entry *entry;           /* this directory, NULL: no more of them, */
	struct mounted_unfinished *unfinished; /* and this content */

	struct segment_time known; /* the one last asked for */

	/* what was given last */
	dwal_reader *reader;
	dwal_iter *iter;
	struct dwal_op ops[2];
	char *attributes;
	struct dwal_line *lines;
	size_t n_lines, lines_room;
	char *text; /* of the lines */
	size_t text_len, text_room;
	unsigned char key[DWAL_MAX_KEY];
};

/* A dwal_keep_fn; ctx is a struct kept. -ENOMEM, or why the log cannot be read. */
int kept_next(void *ctx, const struct dwal_item *item, struct dwal_kept *out);

/* Frees what it holds; what it was given stays the caller's. */
void kept_release(struct kept *kept);

#endif
