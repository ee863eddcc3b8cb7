/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Another opinion of what a log directory holds: FORMAT.md 4 and 9, slow and
 * plain. Of the library it uses the decoding of one frame (held to FORMAT.md by
 * fuzz_frame), of a header (fuzz_header) and the torn header (fuzz_frame).
 */
#ifndef MODEL_H
#define MODEL_H

#include "frame.h"
#include "logs.h"

#define MODEL_RECORDS 2400 /* LOG_BYTES of the shortest frames are fewer */

struct model {
	size_t segments;
	bool damaged;
	struct dwal_damage damage; /* the first */
	uint64_t hard, versions;   /* hard errors of other reasons than DWAL_BAD_VERSION; of this */
	uint64_t tails, tail_bytes, intact, highest, raw;
	size_t records; /* those that are replayed: */
	struct dwal_record record[MODEL_RECORDS];
};

/* The frames of one segment. */
struct model_segment {
	const uint8_t *data;
	size_t len;
	uint32_t id;
	enum dwal_frame_status status; /* DWAL_FRAME_OK: nothing is behind the records */
	uint64_t end;
	uint64_t cut_txid; /* of a partial operation: status DWAL_PARTIAL */
	uint64_t behind;   /* where the search for intact frames begins */
	size_t records;
	struct dwal_record record[MODEL_RECORDS];
};

static inline enum dwal_frame_status model_decode(const struct model_segment *segment, uint64_t at,
						  struct dwal_record *out)
{
	size_t left = segment->len - (size_t)at;
	enum dwal_frame_status status = dwal_frame_decode(segment->data + at, left, out);

	out->offset = at;
	out->segment = segment->id;
	if (status >= DWAL_BAD_MAGIC && frame_header_is_torn(segment->data + at, at))
		return DWAL_ZEROED_HEADER;
	return status;
}

static inline void model_frames(struct model_segment *segment)
{
	while (segment->end < segment->len) {
		struct dwal_record *record = &segment->record[segment->records];

		CHECK(segment->records < MODEL_RECORDS);
		segment->status = model_decode(segment, segment->end, record);
		if (segment->status != DWAL_FRAME_OK)
			break;
		segment->end += record->length;
		segment->records++;
	}
	segment->behind = segment->end + 1;
}

/* How many of the records behind the i-th, a header, are those it announces. */
static inline uint64_t model_announced(const struct model_segment *segment, size_t i,
				       const struct dwal_header *header)
{
	uint64_t n = 0;

	for (; n < header->n && i + 1 + n < segment->records; n++) {
		const struct dwal_record *record = &segment->record[i + 1 + n];
		char digits[9];

		snprintf(digits, sizeof(digits), "%08x", record->crc32c);
		if (record->txid != header->txid ||
		    memcmp(digits, (const char *)header->crc.data + 8 * n, 8) != 0)
			break;
	}
	return n;
}

/* FORMAT.md 9, "Where the log ends". */
static inline void model_judge(struct model_segment *segment)
{
	struct dwal_header header;

	if (segment->status >= DWAL_BAD_MAGIC)
		return;
	for (size_t i = 0; i < segment->records; i++) {
		uint64_t n;

		if (!dwal_header_parse(&segment->record[i], &header) || header.n < 2)
			continue;
		n = model_announced(segment, i, &header);
		if (n == header.n) {
			i += n;
		} else if (i + 1 + n == segment->records) {
			segment->behind =
				segment->status == DWAL_FRAME_OK ? segment->len : segment->end + 1;
			segment->status = DWAL_PARTIAL;
			segment->end = segment->record[i].offset;
			segment->records = i;
			segment->cut_txid = header.txid;
			return;
		}
	}
}

static inline uint64_t model_intact(const struct model_segment *segment)
{
	struct dwal_record record;
	uint64_t found = 0;

	for (uint64_t at = segment->behind; at + 24 <= segment->len;) {
		bool valid = model_decode(segment, at, &record) == DWAL_FRAME_OK;

		found += valid &&
			 (segment->status != DWAL_PARTIAL || record.txid != segment->cut_txid);
		at += valid ? record.length : 1;
	}
	return found;
}

static inline void model_replay(struct model *model, const struct model_segment *segment)
{
	for (size_t i = 0; i < segment->records; i++) {
		CHECK(model->records < MODEL_RECORDS);
		model->record[model->records++] = segment->record[i];
		model->raw += segment->record[i].type == DWAL_RAW;
		if (segment->record[i].txid > model->highest)
			model->highest = segment->record[i].txid;
	}
}

static inline void model_add(struct model *model, const struct model_segment *segment, bool active)
{
	bool structural = segment->status >= DWAL_BAD_MAGIC;
	bool damaged = segment->status != DWAL_FRAME_OK, torn = damaged && active && !structural;
	uint64_t intact = damaged ? model_intact(segment) : 0;

	if (model->damaged)
		model->intact += segment->records;
	else
		model_replay(model, segment);
	if (!damaged)
		return;
	model->hard += !torn && segment->status != DWAL_BAD_VERSION;
	model->versions += !torn && segment->status == DWAL_BAD_VERSION;
	model->tails += torn;
	model->tail_bytes += torn ? segment->len - segment->end : 0;
	model->intact += intact;
	if (model->damaged)
		return;
	model->damaged = true;
	model->damage = (struct dwal_damage){.segment = segment->id,
					     .offset = segment->end,
					     .bytes = segment->len - segment->end,
					     .reason = segment->status,
					     .torn_tail = torn,
					     .intact.records = intact};
}

/* One at a time: the records point into files. */
static inline const struct model *model_of(const struct log_files *files)
{
	static const unsigned order[LOG_SEGMENTS] = {3, 0, 1, 2, 4}; /* ascending ids */
	static struct model model;
	static struct model_segment segment;
	size_t there = 0;

	memset(&model, 0, offsetof(struct model, record));
	for (size_t i = 0; i < LOG_SEGMENTS; i++)
		model.segments += files->file[i].there;
	for (size_t i = 0; i < LOG_SEGMENTS; i++) {
		const struct log_file *file = &files->file[order[i]];

		if (!file->there)
			continue;
		memset(&segment, 0, offsetof(struct model_segment, record));
		segment.data = file->data;
		segment.len = file->len;
		segment.id = (uint32_t)atol(log_names[order[i]]);
		model_frames(&segment);
		if (++there == model.segments)
			model_judge(&segment);
		model_add(&model, &segment, there == model.segments);
	}
	return &model;
}

/* The hard errors decide; the torn tail of a log with one is not its end. */
static inline bool model_is_hard(const struct model *model)
{
	return model->hard || model->versions;
}

/* The live value of the key of the i-th record, if that record is it. */
static inline bool model_is_live(const struct model *model, size_t i)
{
	if (model->record[i].type != DWAL_PUT)
		return false;
	for (size_t k = i + 1; k < model->records; k++)
		if (model->record[k].type != DWAL_RAW &&
		    same_bytes(model->record[k].key, model->record[i].key))
			return false;
	return true;
}

#endif
