/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Must not look for anything itself.
 */
#include "findings.h"

#include <inttypes.h>

void findings_missing_json(struct json *json, const struct dwal_txids *txids)
{
	json_number(json, "txids_missing", txids->missing);
	if (!txids->missing) {
		json_text(json, "first_gap", NULL);
		return;
	}
	json_open(json, "first_gap", '{');
	json_number(json, "after_txid", txids->first_gap.after_txid);
	json_number(json, "after_segment", txids->first_gap.after_segment);
	json_number(json, "before_txid", txids->first_gap.before_txid);
	json_number(json, "before_segment", txids->first_gap.before_segment);
	json_close(json, '}');
}

void findings_missing_text(FILE *to, const char *label, const struct dwal_txids *txids)
{
	char where[128] = "";

	if (txids->missing)
		dwal_gap_text(&txids->first_gap, where, sizeof(where));
	(void)fprintf(to, "%s%" PRIu64 "%s%s\n", label, txids->missing,
		      txids->missing ? ", the first " : "", where); /* to remembers a failure */
}

static void damage_json(struct json *json, const struct dwal_damage *damage)
{
	json_open(json, NULL, '{');
	json_number(json, "segment", damage->segment);
	json_number(json, "offset", damage->offset);
	json_number(json, "bytes", damage->bytes);
	json_text(json, "reason", dwal_frame_status_text(damage->reason));
	json_bool(json, "torn_tail", damage->torn_tail);
	json_number(json, "intact_records", damage->intact.records);
	json_number(json, "intact_lowest_txid", damage->intact.lowest_txid);
	json_number(json, "intact_highest_txid", damage->intact.highest_txid);
	json_close(json, '}');
}

void findings_lost_json(struct json *json, const struct dwal_lost *lost)
{
	json_text(json, "file", lost->file);
	json_number(json, "segment", lost->segment);
	json_number(json, "offset", lost->offset);
	json_number(json, "bytes", lost->bytes);
	json_text(json, "reason", dwal_frame_status_text(lost->reason));
	if (!lost->key_known) {
		json_text(json, "record_type", NULL);
		return;
	}
	json_text(json, "record_type", dwal_type_name(lost->record.type));
	json_number(json, "txid", lost->record.txid);
	json_bytes(json, "key_base64", lost->record.key.data, lost->record.key.len);
	json_number(json, "payload_len", lost->record.payload.len);
}

void findings_lost_text(FILE *to, const struct dwal_lost *lost)
{
	char text[512];

	dwal_lost_text(lost, text, sizeof(text));
	(void)fprintf(to, "%s, offset %" PRIu64 ": %" PRIu64 " bytes, %s: %s", lost->file,
		      lost->offset, lost->bytes, dwal_frame_status_text(lost->reason),
		      text); /* to remembers a failure */
}

void findings_report_json(struct json *json, const struct dwal_report *report)
{
	json_number(json, "files_scanned", report->files_scanned);
	json_number(json, "records_replayed", report->records_replayed);
	json_number(json, "tail_truncated", report->tail_truncated);
	json_number(json, "tail_bytes_discarded", report->tail_bytes_discarded);
	json_number(json, "mid_stream_errors", report->mid_stream_errors);
	json_number(json, "unsupported_versions", report->unsupported_versions);
	json_number(json, "last_txid_seen", report->last_txid_seen);
	json_number(json, "raw_records", report->raw_records);
	json_number(json, "txids_out_of_order", report->txids.out_of_order);
	json_number(json, "intact_records_behind", report->intact.records);
	json_number(json, "intact_bytes_behind", report->intact.bytes);
	json_number(json, "intact_lowest_txid", report->intact.lowest_txid);
	json_number(json, "intact_highest_txid", report->intact.highest_txid);
	findings_missing_json(json, &report->txids);
	json_open(json, "damage", '[');
	for (size_t i = 0; i < report->damage_count; i++)
		damage_json(json, &report->damage[i]);
	json_close(json, ']');
}

void findings_sizes_json(struct json *json, const struct dwal_segment_stats *stats)
{
	json_number(json, "bytes", stats->bytes);
	json_number(json, "records", stats->records);
	json_number(json, "live_records", stats->live_records);
	json_number(json, "live_bytes", stats->live_bytes);
	json_number(json, "dead_bytes", stats->bytes - stats->live_bytes);
}
