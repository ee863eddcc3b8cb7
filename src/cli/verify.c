/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * verify: re-reads every frame of every segment. It takes no lock and changes
 * nothing.
 */
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define BAR_WIDTH       40
#define BAR_INTERVAL_MS 100

/* A bar on stderr, when that is a terminal. */
struct progress {
	bool shown;
	uint64_t total; /* bytes in all segments */
	uint64_t below; /* bytes in the segments below this one */
	uint32_t segment;
	uint64_t last_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Sizes are those of the walk's latest look. */
static void measure(struct progress *p, dwal_reader *reader, uint32_t segment)
{
	p->total = p->below = 0;
	p->segment = segment;
	for (size_t i = 0; i < dwal_reader_segment_count(reader); i++) {
		struct dwal_segment_info info = dwal_reader_segment(reader, i);

		p->total += info.size;
		p->below += info.id < segment ? info.size : 0;
	}
}

static void draw(struct progress *p, const struct walk *walk)
{
	static const char bar[BAR_WIDTH + 1] = "########################################";
	uint64_t now, done;
	int filled;

	if (!p->shown)
		return;
	if (!p->total || p->segment != walk->segment)
		measure(p, walk->reader, walk->segment);
	now = now_ms();
	if (now - p->last_ms < BAR_INTERVAL_MS || !p->total)
		return;
	p->last_ms = now;
	done = p->below + walk->offset;
	if (done > p->total)
		done = p->total;
	filled = (int)((double)done / (double)p->total * BAR_WIDTH);
	fprintf(stderr, "\r[%-*.*s] %" PRIu64 " of %" PRIu64 " MiB", BAR_WIDTH, filled, bar,
		done >> 20, p->total >> 20);
}

static void erase(const struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
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
	struct dwal_record record;
	int ret;

	for (;;) {
		ret = walk_next(walk, &record, error);
		if (!ret) {
			count_frame(v, walk, &record);
			draw(p, walk);
			continue;
		}
		if (ret != DWAL_END && ret != DWAL_ECORRUPT)
			return ret;
		erase(p);
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
	struct progress progress = {.shown = isatty(STDERR_FILENO)};
	struct dwal_error error = {0};
	struct walk walk = {0};
	int ret = walk_open(&walk, dir, 0, 0, &error);

	*v = (struct verification){0};
	if (!ret)
		ret = check_frames(&walk, v, &progress, &error);
	erase(&progress);
	v->segments = walk.reader ? dwal_reader_segment_count(walk.reader) : 0;
	walk_close(&walk);
	return ret ? fail(dir, ret, &error) : DONE;
}

static void print_verification(const struct args *args, const struct verification *v)
{
	if (args->json) {
		json_begin("verify");
		json_verification(v);
		json_end();
		return;
	}
	printf("frames checked      %" PRIu64 "\n", v->frames);
	printf("CRC failures        %" PRIu64 "\n", v->crc_failures);
	printf("other hard errors   %" PRIu64 "\n", v->hard_errors - v->crc_failures);
	printf("torn tail           %" PRIu64 " bytes\n", v->tail_bytes);
	printf("intact behind them  %" PRIu64 "\n", v->intact_behind);
	print_missing("txids missing       ", &v->txids);
	printf("last frame          segment %u, offset %" PRIu64 "\n", v->last_segment,
	       v->last_offset);
}

void json_verification(const struct verification *v)
{
	json_number("frames_checked", v->frames);
	json_number("crc_failures", v->crc_failures);
	json_number("tail_truncated", v->torn);
	json_number("tail_bytes_discarded", v->tail_bytes);
	json_number("last_segment", v->last_segment);
	json_number("last_offset", v->last_offset);
	json_number("intact_records_behind", v->intact_behind);
	json_missing(&v->txids);
}

enum status cmd_verify(const struct args *args)
{
	struct verification v;
	enum status status = check_log(args->operand[0], false);

	if (status == DONE)
		status = verify_log(args->operand[0], &v);
	if (status != DONE)
		return status;
	print_verification(args, &v);
	return v.hard_errors ? HARD_ERROR : v.torn ? RECOVERABLE : DONE;
}
