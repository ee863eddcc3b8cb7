/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * verify: re-reads every frame of every segment. It takes no lock and changes
 * nothing.
 */
#include <inttypes.h>

#include "cli.h"
#include "findings.h"

/* How far the walk is in all segments together. */
struct extent {
	uint64_t total; /* bytes in all segments */
	uint64_t below; /* bytes in the segments below this one */
	uint32_t segment;
};

/* Sizes are those of the walk's latest look. */
static void measure(struct extent *extent, const struct walk *walk)
{
	extent->total = extent->below = 0;
	extent->segment = walk->segment;
	for (size_t i = 0; i < dwal_reader_segment_count(walk->reader); i++) {
		struct dwal_segment_info info = dwal_reader_segment(walk->reader, i);

		extent->total += info.size;
		extent->below += info.id < walk->segment ? info.size : 0;
	}
}

static void draw(struct progress *p, struct extent *extent, const struct walk *walk)
{
	if (!progress_due(p))
		return;
	if (!extent->total || extent->segment != walk->segment)
		measure(extent, walk);
	progress_show(p, extent->below + walk->offset, extent->total);
}

static void count_frame(struct verification *v, const struct walk *walk,
			const struct dwal_record *record)
{
	v->frames++;
	v->last_segment = record->segment;
	v->last_offset = record->offset;
	if (walk->damaged)
		v->intact_behind++;
	else
		dwal_txids_add(&v->txids, record);
}

/* Counts the damage that the walk stands at, if any, and says it. 0 or
 * -errno. */
static int count_damage(struct verification *v, struct walk *walk)
{
	struct dwal_damage damage;
	int ret = walk_damage(walk, &damage);

	if (ret)
		return ret < 0 ? ret : 0;
	v->intact_behind += damage.intact.records;
	if (damage.torn_tail) {
		v->torn = true;
		v->tail_bytes = damage.bytes;
	} else {
		v->hard_errors++;
		v->crc_failures += damage.reason == DWAL_BAD_CRC;
	}
	(void)tell_damage(walk->dir, &damage); /* the verdict comes at the end */
	return 0;
}

/* Every segment to its end or its first damage. */
static int check_frames(struct walk *walk, struct verification *v, struct progress *p,
			struct dwal_error *error)
{
	struct extent extent = {0};
	struct dwal_record record;
	int ret;

	for (;;) {
		ret = walk_next(walk, &record, error);
		if (!ret) {
			count_frame(v, walk, &record);
			draw(p, &extent, walk);
			continue;
		}
		if (ret != DWAL_END && ret != DWAL_ECORRUPT)
			return ret;
		progress_end(p);
		if (ret == DWAL_END)
			return count_damage(v, walk);
		ret = count_damage(v, walk);
		if (!ret)
			ret = walk_past_damage(walk, error->segment, error);
		if (ret)
			return ret;
	}
}

enum status verify_log(const char *dir, struct verification *v)
{
	struct progress progress;
	struct dwal_error error = {0};
	struct walk walk = {0};
	int ret = walk_open(&walk, dir, 0, 0, &error);

	*v = (struct verification){0};
	progress_begin(&progress);
	if (!ret)
		ret = check_frames(&walk, v, &progress, &error);
	progress_end(&progress);
	v->segments = walk.reader ? dwal_reader_segment_count(walk.reader) : 0;
	walk_close(&walk);
	return ret ? fail(dir, ret, &error) : DONE;
}

void print_verification(const struct verification *v)
{
	printf("frames checked      %" PRIu64 "\n", v->frames);
	printf("CRC failures        %" PRIu64 "\n", v->crc_failures);
	printf("other hard errors   %" PRIu64 "\n", v->hard_errors - v->crc_failures);
	printf("torn tail           %" PRIu64 " bytes\n", v->tail_bytes);
	printf("intact behind them  %" PRIu64 "\n", v->intact_behind);
	findings_missing_text(stdout, "txids missing       ", &v->txids);
	printf("last frame          segment %u, offset %" PRIu64 "\n", v->last_segment,
	       v->last_offset);
}

void json_verification(struct json *json, const struct verification *v)
{
	json_number(json, "frames_checked", v->frames);
	json_number(json, "crc_failures", v->crc_failures);
	json_number(json, "tail_truncated", v->torn);
	json_number(json, "tail_bytes_discarded", v->tail_bytes);
	json_number(json, "last_segment", v->last_segment);
	json_number(json, "last_offset", v->last_offset);
	json_number(json, "intact_records_behind", v->intact_behind);
	findings_missing_json(json, &v->txids);
}

enum status cmd_verify(const struct args *args)
{
	struct verification v;
	enum status status = check_log(args->operand[0], false);

	if (status == DONE)
		status = verify_log(args->operand[0], &v);
	if (status != DONE)
		return status;
	if (args->json) {
		struct json json = json_line("verify");

		json_verification(&json, &v);
		json_close(&json, '}');
	} else {
		print_verification(&v);
	}
	return v.hard_errors ? HARD_ERROR : v.torn ? RECOVERABLE : DONE;
}
