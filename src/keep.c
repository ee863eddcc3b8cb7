/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How far back the history is to be kept, as a txid: by when records were
 * written, or by how much of them others have superseded. It must not know what
 * a compaction makes of that.
 */
#include "attr.h"
#include "keydir.h"
#include "kv.h"
#include "log.h"
#include "util.h"

#include <errno.h>

uint64_t dwal_kv_last_txid(dwal_kv *kv)
{
	return kv->log ? log_last_txid(kv->log) : dwal_kv_report(kv)->last_txid_seen;
}

/* What is read, for whom. */
struct reading {
	dwal_kv *kv;
	const struct dwal_rewrite_options *options;
	struct dwal_rewrite_stats told;
	int (*take)(void *ctx, const struct dwal_record *record); /* positive: enough */
	void *ctx;
};

static int tell(struct reading *reading, const struct dwal_record *record)
{
	const struct dwal_rewrite_options *options = reading->options;

	reading->told.bytes_done += record->length;
	return options && options->progress
		       ? options->progress(options->progress_ctx, &reading->told)
		       : 0;
}

static int read_from(struct reading *reading, uint32_t segment, struct dwal_error *error)
{
	const dwal_kv *kv = reading->kv;
	struct dwal_record record;
	dwal_iter *iter;
	int rc = kv->log ? dwal_log_iterate(kv->log, segment, 0, &iter, error)
			 : dwal_reader_iterate(kv->reader, segment, 0, &iter, error);

	if (rc)
		return rc;
	do {
		rc = dwal_iter_next(iter, &record, error);
		if (!rc)
			rc = reading->take(reading->ctx, &record);
		if (!rc)
			rc = tell(reading, &record);
	} while (!rc);
	dwal_iter_close(iter);
	return rc;
}

/* DWAL_END, or less than 0. */
static int read_log(struct reading *reading, struct dwal_error *error)
{
	struct dwal_error damage = {0};
	struct segment_view *views;
	uint32_t segment = 0;
	size_t n;
	int rc = kv_view(reading->kv, &views, &n);

	if (rc)
		return error_set(error, rc, "%s: %s", kv_dir(reading->kv), dwal_strerror(rc));
	for (size_t i = 0; i < n; i++)
		reading->told.bytes += views[i].end;
	segment_views_free(views, n);
	do {
		rc = read_from(reading, segment, &damage);
		segment = damage.segment + 1;
	} while (rc == DWAL_ECORRUPT);
	if (rc < 0 && error)
		*error = damage;
	return rc;
}

/* ------------------------------------------------------------------- age */

struct age {
	dwal_kv *kv;
	int64_t since;
	uint64_t highest; /* of what was read */
	uint64_t older;   /* of what was written before since, for sure */
	uint32_t segment; /* the last one that was read */
};

/* All that is in it was there by its own time. */
static bool is_older(const struct age *age)
{
	struct stat st;
	int fd, rc = dwal_kv_open_segment(age->kv, age->segment, &fd);

	if (rc)
		return false;
	rc = kv_io(age->kv)->fstat(kv_io(age->kv), fd, &st);
	(void)io_close(kv_io(age->kv), &fd); /* only looked at */
	return !rc && st.st_mtim.tv_sec < age->since;
}

static void end_segment(struct age *age)
{
	if (age->highest > age->older && is_older(age))
		age->older = age->highest;
}

static int take_age(void *ctx, const struct dwal_record *record)
{
	struct age *age = ctx;
	struct dwal_header header;
	struct timespec time;
	char text[TIME_TEXT_SIZE];
	bool timed = dwal_header_parse(record, &header) &&
		     dwal_header_line(&header, "time", text, sizeof(text)) &&
		     time_parse(text, &time);

	if (record->segment != age->segment)
		end_segment(age);
	age->segment = record->segment;
	if (timed && time.tv_sec >= age->since)
		return DWAL_END; /* also of what comes behind it and says less: clocks err */
	if (record->txid > age->highest)
		age->highest = record->txid;
	if (timed)
		age->older = age->highest;
	return 0;
}

int dwal_kv_keep_age(dwal_kv *kv, int64_t since, const struct dwal_rewrite_options *options,
		     uint64_t *txid, struct dwal_error *error)
{
	struct age age = {.kv = kv, .since = since};
	struct reading reading = {.kv = kv, .options = options, .take = take_age, .ctx = &age};
	int rc = read_log(&reading, error);

	if (rc < 0)
		return rc;
	end_segment(&age);
	*txid = age.older ? age.older : 1;
	return 0;
}

/* ------------------------------------------------------------------ size */

#define STEPS 32768

/* A step of what was superseded: so many bytes up to this txid. */
struct step {
	uint64_t txid, bytes;
};

/* What a key can have that something supersedes. */
enum kind { VALUE, ATTRIBUTES, ENTRY, KINDS };

struct size {
	dwal_kv *kv;
	const struct dwal_rewrite_options *options;
	struct keydir last[KINDS]; /* of each key, the bytes of what was not superseded yet */
	struct step *steps;        /* ascending */
	size_t count;
	uint64_t header_txid, header_bytes; /* of the header that came last */
};

/* Two by two: the sums are coarser then. */
static void merge_steps(struct size *size)
{
	for (size_t i = 0; i < size->count / 2; i++)
		size->steps[i] = (struct step){
			.txid = size->steps[2 * i + 1].txid,
			.bytes = size->steps[2 * i].bytes + size->steps[2 * i + 1].bytes,
		};
	size->count /= 2;
}

static void add_step(struct size *size, uint64_t txid, uint64_t bytes)
{
	struct step *last = size->count ? &size->steps[size->count - 1] : NULL;

	if (last && txid <= last->txid) {
		last->bytes += bytes;
		return;
	}
	if (size->count == STEPS)
		merge_steps(size);
	size->steps[size->count++] = (struct step){txid, bytes};
}

static void supersede(struct size *size, enum kind kind, const struct dwal_record *by)
{
	const struct keydir_value *last = keydir_find(&size->last[kind], by->key);

	if (!last)
		return;
	add_step(size, by->txid, last->value_len);
	keydir_remove(&size->last[kind], by->key);
}

static int remember(struct size *size, enum kind kind, const struct dwal_record *record,
		    uint64_t bytes)
{
	const struct keydir_value value = {
		.txid = record->txid,
		.value_len = (uint32_t)(bytes < UINT32_MAX ? bytes : UINT32_MAX),
	};
	struct keydir *last = &size->last[kind];
	struct slot ready;
	int rc = keydir_reserve(last, 1);

	if (!rc)
		rc = keydir_prepare(last, record->key, &ready);
	if (!rc)
		keydir_set(last, &ready, &value);
	return rc;
}

static int take_raw(struct size *size, const struct dwal_record *record, uint64_t bytes)
{
	const struct dwal_rewrite_options *options = size->options;

	if (!options || !options->raw_kind)
		return 0;
	switch (options->raw_kind(options->raw_kind_ctx, record)) {
	case DWAL_RAW_ATTRIBUTES:
		supersede(size, ATTRIBUTES, record);
		return remember(size, ATTRIBUTES, record, bytes);
	case DWAL_RAW_ENTRY:
		supersede(size, ENTRY, record);
		return remember(size, ENTRY, record, bytes);
	case DWAL_RAW_ENTRY_END: /* nothing is left that it would have to hide */
		supersede(size, ENTRY, record);
		add_step(size, record->txid, bytes);
		return 0;
	default:
		return 0;
	}
}

/* A header counts with the first record of its operation. */
static uint64_t bytes_of(struct size *size, const struct dwal_record *record)
{
	uint64_t bytes = record->length;

	if (size->header_txid == record->txid) {
		bytes += size->header_bytes;
		size->header_bytes = 0;
	}
	return bytes;
}

static int take_size(void *ctx, const struct dwal_record *record)
{
	struct size *size = ctx;
	struct dwal_header header;
	uint64_t bytes;

	if (dwal_header_parse(record, &header)) {
		size->header_txid = record->txid;
		size->header_bytes = record->length;
		return 0;
	}
	bytes = bytes_of(size, record);
	if (record->type == DWAL_RAW)
		return take_raw(size, record, bytes);
	supersede(size, VALUE, record);
	if (record->type == DWAL_PUT)
		return kv_is_live(size->kv, record) ? 0 : remember(size, VALUE, record, bytes);
	supersede(size, ATTRIBUTES, record);
	add_step(size, record->txid, bytes); /* as the end of an entry */
	return 0;
}

/* Nothing that was superseded up to it stays. */
static uint64_t lowest_kept(const struct size *size, uint64_t bytes)
{
	size_t i = size->count;

	while (i && size->steps[i - 1].bytes <= bytes)
		bytes -= size->steps[--i].bytes;
	return i ? size->steps[i - 1].txid : 1;
}

int dwal_kv_keep_size(dwal_kv *kv, uint64_t bytes, const struct dwal_rewrite_options *options,
		      uint64_t *txid, struct dwal_error *error)
{
	struct size size = {.kv = kv, .options = options};
	struct reading reading = {.kv = kv, .options = options, .take = take_size, .ctx = &size};
	int rc = -ENOMEM;

	for (size_t i = 0; i < KINDS; i++)
		keydir_init(&size.last[i], kv->keydir.seed);
	size.steps = calloc(STEPS, sizeof(*size.steps));
	rc = size.steps ? read_log(&reading, error) : error_set(error, rc, "out of memory");
	if (rc >= 0) {
		*txid = lowest_kept(&size, bytes);
		rc = 0;
	}
	for (size_t i = 0; i < KINDS; i++)
		keydir_release(&size.last[i]);
	free(size.steps);
	return rc;
}
