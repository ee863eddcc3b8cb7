/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The memory of a staged content: it keeps what was written, small and large, and
 * also where there are no addresses for a large one; and that of a large one is kept
 * for the next, within bounds.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "datawal.h"
#include "file/area.h"
#include "file/bytes.h"
#include "unit.h"

#define MIB ((size_t)1 << 20)

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i / 4096 * 7 + i % 251);
}

/* Grows to so many, from as many as were touched. */
static void grow_to(struct bytes *bytes, size_t *touched, size_t need)
{
	CHECK_INT(bytes_grow(bytes, need, *touched), 0);
	CHECK(bytes->capacity >= need);
	for (; *touched < need; ++*touched)
		bytes->data[*touched] = byte_at(*touched);
}

static void check_all(const struct bytes *bytes, size_t touched)
{
	size_t i = 0;

	while (i < touched && bytes->data[i] == byte_at(i))
		i++;
	CHECK_INT(i, touched);
}

/* Frees all that is kept. */
static void rest(void)
{
	area_rest();
	area_rest();
}

static void what_was_written_stays_while_it_grows(void)
{
	static const size_t sizes[] = {
		1, 4096, 4097, MIB, 4 * MIB, 4 * MIB + 1, 7 * MIB + 3, 8 * MIB, DWAL_MAX_PAYLOAD};
	const unsigned char *large = NULL;
	struct bytes bytes = {0};
	size_t touched = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		grow_to(&bytes, &touched, sizes[i]);
		check_all(&bytes, touched);
		CHECK(!large || bytes.data == large); /* never copied again */
		if (sizes[i] > 4 * MIB)
			large = bytes.data;
	}
	bytes_release(&bytes, touched);
	CHECK(!bytes.data && !bytes.capacity);
}

/* Of addresses, by /proc/self/statm. */
static size_t mapped_now(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	CHECK(file && fscanf(file, "%zu", &pages) == 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The limit of a process for its addresses stands for a machine that has none. */
static void without_addresses_it_grows_as_long_as_it_can(void)
{
	struct rlimit old, tight;
	struct bytes bytes = {0};
	size_t touched = 0;

	rest();
	CHECK_INT(getrlimit(RLIMIT_AS, &old), 0);
	tight = old;
	tight.rlim_cur = mapped_now() + 48 * MIB;
	CHECK_INT(setrlimit(RLIMIT_AS, &tight), 0);
	grow_to(&bytes, &touched, 6 * MIB);
	CHECK(!bytes.area);
#ifndef __SANITIZE_ADDRESS__ /* which ends the program then */
	CHECK_INT(bytes_grow(&bytes, DWAL_MAX_PAYLOAD, touched), ENOSPC);
#endif
	CHECK_INT(setrlimit(RLIMIT_AS, &old), 0);
	check_all(&bytes, 6 * MIB);
	bytes_release(&bytes, touched);
}

static void what_is_taken_is_whole_pages(void)
{
	CHECK_INT(bytes_taken(0), 0);
	CHECK_INT(bytes_taken(1), 4096);
	CHECK_INT(bytes_taken(4 * MIB), 4 * MIB);
	CHECK_INT(bytes_taken(4 * MIB + 1), 6 * MIB);
	CHECK_INT(bytes_taken(DWAL_MAX_PAYLOAD), DWAL_MAX_PAYLOAD);
}

/* One whose memory is not new, or is. */
static struct area *take_with(unsigned char mark)
{
	struct area *area = area_take();

	CHECK(area);
	CHECK_INT(area->data[0], mark);
	return area;
}

static struct area *take_new(unsigned char mark)
{
	struct area *area = take_with(0);

	area->data[0] = mark;
	return area;
}

static void what_a_large_content_touched_serves_the_next(void)
{
	struct bytes bytes = {0};

	rest();
	CHECK_INT(bytes_grow(&bytes, 5 * MIB, 0), 0);
	bytes.data[5 * MIB - 1] = 7;
	bytes_release(&bytes, 5 * MIB);
	CHECK_INT(bytes_grow(&bytes, 6 * MIB, 0), 0);
	CHECK_INT(bytes.data[5 * MIB - 1], 7);
	bytes_release(&bytes, 6 * MIB);
}

static void what_is_kept_is_bounded_also_while_it_is_used(void)
{
	struct area *a, *b, *c;

	rest();
	a = take_new(1);
	b = take_new(2);
	c = take_new(3);
	area_give_back(a, 31 * MIB);
	area_give_back(b, 31 * MIB + 1);
	area_give_back(c, 1); /* one page too many */
	b = take_with(2);
	a = take_with(1);
	c = take_new(3);
	area_give_back(c, 1); /* as they are kept for whoever comes next */
	area_give_back(a, 1); /* which has touched less than it has */
	a = take_with(1);
	c = take_new(3);
	area_give_back(c, 1);
	c = take_new(3);
	area_give_back(a, 1);
	area_give_back(b, 1);
	area_give_back(c, DWAL_MAX_PAYLOAD);
}

static void what_nobody_needs_is_given_back(void)
{
	struct area *area;

	rest();
	area = take_new(1);
	area_give_back(area, 1);
	area_rest();
	area = take_with(1); /* needed meanwhile */
	area_give_back(area, 1);
	area_rest();
	area = take_with(1);
	area_give_back(area, 1);
	rest();
	area_give_back(take_with(0), 0);
}

UNIT_MAIN(UNIT(what_was_written_stays_while_it_grows),
	  UNIT(without_addresses_it_grows_as_long_as_it_can), UNIT(what_is_taken_is_whole_pages),
	  UNIT(what_a_large_content_touched_serves_the_next),
	  UNIT(what_is_kept_is_bounded_also_while_it_is_used),
	  UNIT(what_nobody_needs_is_given_back))
