/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Filling in a recovery report. Must not know how damage is found or what is
 * done about it.
 */
#include "report.h"
#include "logname.h"
#include "segment.h"
#include "util.h"

#include <errno.h>

static void free_names(char **names, size_t n)
{
	while (n)
		free(names[--n]);
	free(names);
}

static void free_lost(struct report *report)
{
	for (size_t i = 0; i < report->pub.lost_count; i++) {
		free((void *)(uintptr_t)report->lost[i].record.key.data); /* a copy */
		free((void *)(uintptr_t)report->lost[i].file);
	}
	free(report->lost);
}

void report_release(struct report *report)
{
	free_lost(report);
	free(report->damage);
	free(report->ignored);
	free_names(report->side_files, report->pub.side_file_count);
	free(report->made_side_file);
	*report = (struct report){0};
}

void intact_add(struct dwal_intact *intact, const struct dwal_record *record)
{
	const struct dwal_intact one = {1, record->length, record->txid, record->txid, false};

	intact_join(intact, &one);
}

void intact_join(struct dwal_intact *intact, const struct dwal_intact *more)
{
	if (more->records && (!intact->records || more->lowest_txid < intact->lowest_txid))
		intact->lowest_txid = more->lowest_txid;
	if (more->highest_txid > intact->highest_txid)
		intact->highest_txid = more->highest_txid;
	intact->records += more->records;
	intact->bytes += more->bytes;
	intact->at_least |= more->at_least;
}

/* A txid above all before it leaves a gap below it, or none. One that falls
 * behind a gap may be one of those that were missing: then it is, so that no
 * log is called holed for its order. The records of an operation share the one
 * that their header has. */
void dwal_txids_add(struct dwal_txids *txids, const struct dwal_record *record)
{
	const uint64_t highest = txids->highest, txid = record->txid;
	struct dwal_header header;
	bool is_header = dwal_header_parse(record, &header);

	if (!is_header && txids->in_operation && txid == txids->previous)
		return;
	txids->in_operation = is_header;
	if (txids->begun && txid <= txids->previous)
		txids->out_of_order++;
	txids->begun = true;
	txids->previous = txid;
	if (txid <= highest) {
		if (txids->missing && txid > txids->first_gap.after_txid && txid < highest)
			txids->missing--;
		return;
	}
	if (!txids->missing && txid > highest + 1)
		txids->first_gap = (struct dwal_gap){
			.after_txid = highest,
			.after_segment = txids->highest_segment,
			.before_txid = txid,
			.before_segment = record->segment,
		};
	txids->missing += txid - highest - 1;
	txids->highest = txid;
	txids->highest_segment = record->segment;
}

void report_record(struct report *report, const struct dwal_record *record)
{
	struct dwal_report *pub = &report->pub;

	if (pub->damage_count) {
		intact_add(&pub->intact, record);
		return;
	}
	dwal_txids_add(&pub->txids, record);
	pub->last_txid_seen = pub->txids.highest;
	if (record->type == DWAL_RAW)
		pub->raw_records++;
	pub->records_replayed++;
}

int report_damage(struct report *report, const struct dwal_damage *damage)
{
	struct dwal_report *pub = &report->pub;
	struct dwal_damage *grown =
		reallocarray(report->damage, pub->damage_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	grown[pub->damage_count++] = *damage;
	pub->damage = report->damage = grown;
	intact_join(&pub->intact, &damage->intact);
	if (damage->torn_tail) {
		pub->tail_truncated++;
		pub->tail_bytes_discarded += damage->bytes;
	} else if (damage->reason == DWAL_BAD_VERSION) {
		pub->unsupported_versions++;
	} else {
		pub->mid_stream_errors++;
	}
	return 0;
}

static int copy_lost(const struct dwal_lost *lost, struct dwal_lost *out)
{
	struct dwal_bytes *key = &out->record.key;
	void *bytes = NULL;

	*out = *lost;
	out->key_known = lost->key_known && key->len <= LOST_KEY_MOST;
	key->data = NULL;
	out->file = strdup(lost->file);
	if (out->key_known)
		key->data = bytes = malloc(key->len + 1);
	if (!out->file || (out->key_known && !bytes)) {
		free((void *)(uintptr_t)out->file);
		free(bytes);
		return -ENOMEM;
	}
	if (bytes)
		put_bytes(bytes, lost->record.key);
	return 0;
}

static bool is_power_of_two(size_t n)
{
	return (n & (n - 1)) == 0;
}

int report_lost(struct report *report, const struct dwal_lost *lost)
{
	struct dwal_report *pub = &report->pub;
	const size_t n = pub->lost_count;
	int rc;

	pub->lost_ranges++;
	pub->lost_bytes += lost->bytes;
	if (n == DWAL_LOST_LISTED)
		return 0;
	if (is_power_of_two(n)) { /* its room is the next one */
		struct dwal_lost *grown = reallocarray(report->lost, n ? 2 * n : 1, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		pub->lost = report->lost = grown;
	}
	rc = copy_lost(lost, &report->lost[n]);
	if (!rc)
		pub->lost_count++;
	return rc;
}

int report_index_ignored(struct report *report, uint32_t segment, const char *why)
{
	struct dwal_report *pub = &report->pub;
	struct dwal_index_ignored *grown =
		reallocarray(report->ignored, pub->indexes_ignored + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	pub->ignored = report->ignored = grown;
	grown[pub->indexes_ignored++] = (struct dwal_index_ignored){segment, why};
	return 0;
}

struct names {
	char **names;
	size_t n;
};

static int add_side_file(void *ctx, const char *name)
{
	struct names *list = ctx;
	char **grown;

	if (!logname_is_side_file(name))
		return 0;
	grown = reallocarray(list->names, list->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->names = grown;
	grown[list->n] = strdup(name);
	if (!grown[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int report_side_files(struct report *report, const struct io *io, int dirfd)
{
	struct names list = {0};
	int rc = io->list(io, dirfd, add_side_file, &list);

	if (rc) {
		free_names(list.names, list.n);
		return rc;
	}
	if (list.n)
		qsort(list.names, list.n, sizeof(*list.names), compare_names);
	free_names(report->side_files, report->pub.side_file_count);
	report->side_files = list.names;
	report->pub.side_files = (const char *const *)list.names;
	report->pub.side_file_count = list.n;
	return 0;
}
