/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A log directory of any content: whoever opens it, for reading or for writing,
 * sees the records that FORMAT.md gives it (model.h); reading changes nothing,
 * and opening for writing loses no byte.
 */
#include "model.h"

static void check_record(const struct dwal_record *got, const struct dwal_record *wanted)
{
	CHECK_INT(got->segment, wanted->segment);
	CHECK_INT(got->offset, wanted->offset);
	CHECK_INT(got->length, wanted->length);
	CHECK_INT(got->type, wanted->type);
	CHECK(got->txid == wanted->txid && got->crc32c == wanted->crc32c);
	CHECK(same_bytes(got->key, wanted->key) && same_bytes(got->payload, wanted->payload));
}

static void check_damage(dwal_iter *iter, const struct model *model)
{
	struct dwal_damage damage;

	if (!model->damaged) {
		CHECK_INT(dwal_iter_damage(iter, &damage), DWAL_ABSENT);
		return;
	}
	CHECK_INT(dwal_iter_damage(iter, &damage), 0);
	CHECK_INT(damage.segment, model->damage.segment);
	CHECK_INT(damage.offset, model->damage.offset);
	CHECK_INT(damage.bytes, model->damage.bytes);
	CHECK_INT(damage.reason, model->damage.reason);
	CHECK_INT(damage.torn_tail, model->damage.torn_tail);
	CHECK_INT(damage.intact.records, model->damage.intact.records);
}

static void check_report(const struct dwal_report *report, const struct model *model)
{
	/* the writer of an empty log has made one */
	CHECK(report->files_scanned == model->segments || report->files_scanned == 1);
	CHECK_INT(report->records_replayed, model->records);
	CHECK_INT(report->tail_truncated, model->tails);
	CHECK_INT(report->tail_bytes_discarded, model->tail_bytes);
	CHECK_INT(report->mid_stream_errors, model->hard);
	CHECK_INT(report->unsupported_versions, model->versions);
	CHECK_INT(report->raw_records, model->raw);
	CHECK(report->last_txid_seen == model->highest);
	CHECK_INT(report->intact.records, model->intact);
}

static void check_reader(const char *dir, const struct model *model)
{
	const struct dwal_report *report;
	struct dwal_record record;
	dwal_reader *reader;
	dwal_iter *iter;

	CHECK_INT(dwal_reader_open(dir, &reader, NULL), 0);
	CHECK_INT(dwal_reader_segment_count(reader), (long long)model->segments);
	CHECK_INT(dwal_reader_iterate(reader, 0, 0, &iter, NULL), 0);
	for (size_t i = 0; i < model->records; i++) {
		CHECK_INT(dwal_iter_next(iter, &record, NULL), 0);
		check_record(&record, &model->record[i]);
	}
	CHECK_INT(dwal_iter_next(iter, &record, NULL),
		  model->damaged && !model->damage.torn_tail ? DWAL_ECORRUPT : DWAL_END);
	check_damage(iter, model);
	dwal_iter_close(iter);
	CHECK_INT(dwal_reader_report(reader, &report, NULL), 0);
	check_report(report, model);
	dwal_reader_close(reader);
}

/* All that is live and nothing else; more: keys that the model does not know. */
static void check_values(dwal_kv *kv, const struct model *model, size_t more)
{
	size_t live = more, len;
	void *value;

	for (size_t i = 0; i < model->records; i++) {
		const struct dwal_record *record = &model->record[i];

		if (!model_is_live(model, i))
			continue;
		CHECK_INT(dwal_kv_get(kv, record->key.data, record->key.len, &value, &len, NULL),
			  0);
		CHECK(same_bytes((struct dwal_bytes){value, len}, record->payload));
		free(value);
		live++;
	}
	CHECK_INT(dwal_kv_len(kv), (long long)live);
}

static void check_store(const char *dir, const struct model *model)
{
	const struct dwal_options options = {.read_only = true};
	dwal_kv *kv;
	int rc = dwal_kv_open(dir, &options, &kv, NULL);

	CHECK_INT(rc, model_is_hard(model) ? DWAL_ECORRUPT : 0);
	if (rc)
		return;
	check_report(dwal_kv_report(kv), model);
	check_values(kv, model, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
}

/* What a degraded reader has come to. */
struct remains_seen {
	const struct log_files *files;
	uint32_t segment;
	uint64_t offset; /* behind the last record or lost range of the segment */
	uint64_t records, lost;
};

static size_t file_of_segment(uint32_t id)
{
	for (size_t i = 0;; i++)
		if ((uint32_t)atol(log_names[i]) == id)
			return i;
}

/* One begins where the one before ended, so that nothing is left out. */
static void check_next(struct remains_seen *seen, uint32_t segment, uint64_t offset, uint64_t bytes)
{
	if (segment != seen->segment)
		seen->offset = 0;
	CHECK(segment >= seen->segment);
	CHECK_INT(offset, seen->offset);
	seen->segment = segment;
	seen->offset = offset + bytes;
	CHECK(seen->offset <= seen->files->file[file_of_segment(segment)].len);
}

static int see_record(void *ctx, const struct dwal_record *record)
{
	struct remains_seen *seen = ctx;
	const struct log_file *file = &seen->files->file[file_of_segment(record->segment)];
	struct dwal_record again = {0};

	check_next(seen, record->segment, record->offset, record->length);
	CHECK_INT(
		dwal_frame_decode(file->data + record->offset, file->len - record->offset, &again),
		DWAL_FRAME_OK);
	CHECK(again.txid == record->txid && same_bytes(again.payload, record->payload));
	seen->records++;
	return 0;
}

static int see_lost(void *ctx, const struct dwal_lost *lost)
{
	struct remains_seen *seen = ctx;

	check_next(seen, lost->segment, lost->offset, lost->bytes);
	seen->lost += lost->bytes;
	return 0;
}

static bool is_put(const struct log_files *files, const struct dwal_item *item,
		   struct dwal_bytes value)
{
	const struct log_file *file = &files->file[file_of_segment(item->place.segment)];
	uint64_t at = item->place.offset;
	struct dwal_record record;

	return dwal_frame_decode(file->data + at, file->len - at, &record) == DWAL_FRAME_OK &&
	       record.type == DWAL_PUT && same_bytes(record.key, item->key) &&
	       same_bytes(record.payload, value);
}

/* One that is given is one that was put there. */
static void check_each_value(dwal_kv *kv, const struct log_files *files, bool damaged)
{
	dwal_cursor *cursor;
	struct dwal_item item;

	CHECK_INT(dwal_kv_cursor(kv, &cursor), 0);
	while (dwal_cursor_next(cursor, &item) == 0) {
		size_t len;
		void *value;
		int rc = dwal_kv_get(kv, item.key.data, item.key.len, &value, &len, NULL);

		CHECK(rc == 0 || (rc == DWAL_ECORRUPT && damaged));
		if (rc)
			continue;
		CHECK(is_put(files, &item, (struct dwal_bytes){value, len}));
		free(value);
	}
	dwal_cursor_close(cursor);
}

/* Damage refuses nothing. */
static void check_degraded(const char *dir, const struct log_files *files,
			   const struct model *model)
{
	struct remains_seen seen = {.files = files};
	const struct dwal_options options = {.read_only = true,
					     .degraded = true,
					     .observe = see_record,
					     .lost = see_lost,
					     .observe_ctx = &seen};
	dwal_kv *kv;

	CHECK_INT(dwal_kv_open(dir, &options, &kv, NULL), 0);
	CHECK_INT(dwal_kv_report(kv)->lost_bytes, (long long)seen.lost);
	CHECK(seen.records >= model->records);
	if (!model->damaged) {
		CHECK_INT(seen.records, (long long)model->records);
		check_values(kv, model, 0);
	}
	check_each_value(kv, files, model->damaged);
	CHECK_INT(dwal_kv_close(kv), 0);
}

/* Damage of values may be passed, and is told then. */
static void check_passing(const char *dir, const struct log_files *files, const struct model *model)
{
	const struct dwal_options options = {.read_only = true, .verify = DWAL_VERIFY_INDEX};
	dwal_kv *kv;
	int rc = dwal_kv_open(dir, &options, &kv, NULL);

	CHECK(rc == 0 || (rc == DWAL_ECORRUPT && model_is_hard(model)));
	if (rc)
		return;
	CHECK_INT(dwal_kv_report(kv)->lost_count > 0, model_is_hard(model));
	if (model_is_hard(model))
		check_each_value(kv, files, true);
	else
		check_values(kv, model, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
}

static void check_file(const char *dir, const char *name, const struct log_file *file)
{
	struct dwal_bytes bytes = read_file(dir, name);

	CHECK_INT(bytes.data != NULL, file->there);
	CHECK(same_bytes(bytes, (struct dwal_bytes){file->data, file->len}));
	free((void *)(uintptr_t)bytes.data);
}

static void check_unchanged(const char *dir, const struct log_files *files)
{
	for (size_t i = 0; i < COUNT(log_names); i++)
		if (strcmp(log_names[i], ".lock") != 0) /* a writer makes one */
			check_file(dir, log_names[i], &files->file[i]);
}

static size_t entries(const char *dir)
{
	DIR *stream = opendir(dir);
	size_t n = 0;

	CHECK(stream);
	for (struct dirent *one; (one = readdir(stream));)
		n += strcmp(one->d_name, ".lock") != 0;
	CHECK_INT(closedir(stream), 0);
	return n - 2;
}

/* What the writer left: the torn bytes are in a side file, the rest is as it
 * was. In the model's own files. */
static void apply_repair(const char *dir, struct log_files *files, const struct model *model,
			 const char *side)
{
	const struct dwal_damage *damage = &model->damage;
	struct log_file *file = &files->file[file_of_segment(damage->segment)];
	struct dwal_bytes bytes = read_file(dir, side);

	CHECK(same_bytes(bytes, (struct dwal_bytes){file->data + damage->offset, damage->bytes}));
	free((void *)(uintptr_t)bytes.data);
	for (size_t i = 0; i < COUNT(log_names); i++)
		CHECK(strcmp(log_names[i], side) != 0 || !files->file[i].there);
	CHECK_INT(file->len, damage->offset + damage->bytes);
	file->len = damage->offset;
}

static void check_left(const char *dir, struct log_files *files, const struct model *model,
		       const char *side)
{
	size_t n = side != NULL;

	CHECK_INT(side != NULL, model->damaged);
	if (side)
		apply_repair(dir, files, model, side);
	files->file[7].there = false; /* the temporary one */
	for (size_t i = 0; i < COUNT(log_names) - 1; i++)
		n += files->file[i].there;
	/* an empty log has got its first segment */
	CHECK_INT(entries(dir), (long long)(n + !model->segments));
	if (!model->segments)
		files->file[0].there = true;
	free(files->file[7].data);
	files->file[7] = (struct log_file){0};
	for (size_t i = 0; i < COUNT(log_names) - 1; i++)
		if (!side || strcmp(log_names[i], side) != 0)
			check_file(dir, log_names[i], &files->file[i]);
}

/* Goes on writing, and everything is there when it is opened again. */
static void check_going_on(const char *dir, dwal_kv *kv, const struct model *model)
{
	static const char key[] = "a key that no input has";
	const struct dwal_options options = {.read_only = true};
	int rc = dwal_kv_put(kv, key, sizeof(key), "x", 1);

	if (model->highest == UINT64_MAX)
		CHECK(rc < 0);
	else
		CHECK_INT(rc, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK_INT(dwal_kv_open(dir, &options, &kv, NULL), 0);
	check_values(kv, model, rc == 0);
	CHECK_INT(dwal_kv_report(kv)->tail_truncated, 0);
	CHECK_INT(dwal_kv_close(kv), 0);
}

static void check_writer(const char *dir, struct log_files *files, const struct model *model,
			 bool strict)
{
	const struct dwal_options options = {.strict = strict};
	bool behind = strict && model->tails && model->intact;
	dwal_kv *kv;
	int rc = dwal_kv_open(dir, &options, &kv, NULL);

	CHECK_INT(rc, model_is_hard(model) ? DWAL_ECORRUPT : behind ? DWAL_EBEHIND : 0);
	if (rc) {
		check_unchanged(dir, files);
		return;
	}
	CHECK(!dwal_kv_refusal(kv));
	check_report(dwal_kv_report(kv), model);
	check_values(kv, model, 0);
	check_left(dir, files, model, dwal_kv_report(kv)->made_side_file);
	check_going_on(dir, kv, model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	bool strict = take_number(&input, 1) & 1;
	struct log_files files = log_make(&input);
	const struct model *model = model_of(&files);
	const char *dir = scratch_dir("log");

	log_write(&files, dir);
	check_reader(dir, model);
	check_store(dir, model);
	check_degraded(dir, &files, model);
	check_passing(dir, &files, model);
	check_unchanged(dir, &files);
	check_writer(dir, &files, model, strict);
	log_release(&files);
	return 0;
}
