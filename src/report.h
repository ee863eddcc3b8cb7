/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A recovery report while it is being filled in.
 */
#ifndef DWAL_REPORT_H
#define DWAL_REPORT_H

#include "datawal.h"
#include "io.h"

/* pub is what users see; its pointers lead to what the others own. Zero is an
 * empty report. */
struct report {
	struct dwal_report pub;
	struct dwal_damage *damage;
	struct dwal_lost *lost;
	struct dwal_index_ignored *ignored;
	char **side_files;
	char *made_side_file;
};

/* Counts one more frame, or what *more counts, into *intact. */
void intact_add(struct dwal_intact *intact, const struct dwal_record *record);
void intact_join(struct dwal_intact *intact, const struct dwal_intact *more);

void report_release(struct report *report);

/* Counts a replayed record. */
void report_record(struct report *report, const struct dwal_record *record);

/* Adds a damage and counts it, with what is intact behind it. 0 or -ENOMEM. */
int report_damage(struct report *report, const struct dwal_damage *damage);

/* Counts a range that holds no record, and lists a copy of it. A key longer than
 * LOST_KEY_MOST is not kept. 0 or -ENOMEM. */
#define LOST_KEY_MOST 4096
int report_lost(struct report *report, const struct dwal_lost *lost);

/* An index file that is not used. 0 or -ENOMEM. */
int report_index_ignored(struct report *report, uint32_t segment, const char *why);

/* Lists the side files in the directory, in byte order. 0 or -errno. */
int report_side_files(struct report *report, const struct io *io, int dirfd);

#endif
