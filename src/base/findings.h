/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What was found in a log, said in the same words by all programs.
 */
#ifndef BASE_FINDINGS_H
#define BASE_FINDINGS_H

#include "datawal.h"
#include "json.h"

/* A recovery report but for its side files: members of the open object. */
void findings_report_json(struct json *json, const struct dwal_report *report);

/* What is lost: members of the open object. */
void findings_lost_json(struct json *json, const struct dwal_lost *lost);

/* Where it is and what, in a line without a newline: "00000001.dwal, offset 33: 12
 * bytes, CRC mismatch: Put of ...". */
void findings_lost_text(FILE *to, const struct dwal_lost *lost);

/* Missing txids: two members of the open object. */
void findings_missing_json(struct json *json, const struct dwal_txids *txids);

/* How much there is in a segment, or in all: members of the open object. */
void findings_sizes_json(struct json *json, const struct dwal_segment_stats *stats);

/* Missing txids as a line behind its label. */
void findings_missing_text(FILE *to, const char *label, const struct dwal_txids *txids);

#endif
