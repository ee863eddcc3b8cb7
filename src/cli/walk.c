/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * All records of a log in order, beside any writer, and the second look: a
 * record that is half there may be one that a writer is just writing, and
 * only time tells. It must not know what is done with the records.
 */
#include <time.h>

#include "cli.h"

/* Waits of 50, 100 and 200 ms: a write of one record is over well within
 * the last, and an untouched torn tail costs a third of a second. */
#define LOOKS         3
#define FIRST_WAIT_MS 50

static void wait_ms(unsigned ms)
{
	struct timespec t = {0, ms * 1000000L};

	(void)nanosleep(&t, NULL); /* a signal ends it early: no harm */
}

static int start_at(struct walk *walk, uint32_t segment, uint64_t offset, struct dwal_error *error)
{
	dwal_iter_close(walk->iter);
	walk->iter = NULL;
	return dwal_reader_iterate(walk->reader, segment, offset, &walk->iter, error);
}

int walk_open(struct walk *walk, const char *dir, uint32_t segment, uint64_t offset,
	      struct dwal_error *error)
{
	int ret;

	*walk = (struct walk){.dir = dir, .segment = segment, .offset = offset};
	ret = dwal_reader_open(dir, &walk->reader, error);
	return ret ? ret : start_at(walk, segment, offset, error);
}

void walk_close(struct walk *walk)
{
	dwal_iter_close(walk->iter);
	dwal_reader_close(walk->reader);
}

/* Moves on to the last segment, which may hold no record, and gives the
 * bytes there behind the last one. */
static uint64_t find_tail(struct walk *walk)
{
	size_t n = dwal_reader_segment_count(walk->reader);
	struct dwal_segment_info last;

	if (!n)
		return 0;
	last = dwal_reader_segment(walk->reader, n - 1);
	if (walk->segment < last.id) {
		walk->segment = last.id;
		walk->offset = 0;
	}
	if (walk->damaged && walk->damaged_segment == last.id)
		return 0;
	if (walk->segment > last.id || walk->offset > last.size)
		return 0;
	return last.size - walk->offset;
}

static int look_again(struct walk *walk, struct dwal_error *error)
{
	dwal_reader *fresh;
	int ret;

	wait_ms(FIRST_WAIT_MS << walk->looks++);
	ret = dwal_reader_open(walk->dir, &fresh, error);
	if (ret)
		return ret;
	dwal_iter_close(walk->iter);
	walk->iter = NULL;
	dwal_reader_close(walk->reader);
	walk->reader = fresh;
	return start_at(walk, walk->segment, walk->offset, error);
}

int walk_next(struct walk *walk, struct dwal_record *record, struct dwal_error *error)
{
	for (;;) {
		int ret = dwal_iter_next(walk->iter, record, error);
		uint64_t tail;

		if (!ret) {
			walk->segment = record->segment;
			walk->offset = record->offset + record->length;
			walk->tail = 0;
		}
		if (ret != DWAL_END)
			return ret;
		tail = find_tail(walk);
		walk->torn = tail && tail == walk->tail;
		walk->tail = tail;
		if (!tail || walk->looks == LOOKS)
			return DWAL_END;
		ret = look_again(walk, error);
		if (ret)
			return ret;
	}
}

int walk_past_damage(struct walk *walk, uint32_t segment, struct dwal_error *error)
{
	walk->damaged = true;
	walk->damaged_segment = segment;
	return start_at(walk, segment + 1, 0, error);
}

int walk_damage(struct walk *walk, struct dwal_damage *damage)
{
	int ret = dwal_iter_damage(walk->iter, damage);

	return !ret && damage->torn_tail && !walk->torn ? DWAL_ABSENT : ret;
}

int walk_pass_damage(struct walk *walk, uint32_t segment)
{
	walk->damaged = true;
	walk->damaged_segment = segment;
	return dwal_iter_pass_damage(walk->iter);
}

enum status walk_tell_damage(struct walk *walk)
{
	struct dwal_damage damage;
	int ret = walk_damage(walk, &damage);

	if (ret < 0)
		return fail(walk->dir, ret, NULL);
	return ret ? DONE : tell_damage(walk->dir, &damage);
}

int walk_tail(struct walk *walk, const char *dir, struct dwal_damage *tail,
	      struct dwal_error *error)
{
	struct dwal_record record;
	int ret = walk_open(walk, dir, tail->segment, tail->offset, error);

	while (!ret)
		ret = walk_next(walk, &record, error);
	if (ret != DWAL_END || !walk->torn)
		return ret;
	return dwal_iter_damage(walk->iter, tail);
}
