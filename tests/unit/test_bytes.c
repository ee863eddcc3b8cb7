/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The memory of a staged content: it keeps what was written, small and large, and
 * also where there are no addresses for a large one.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "datawal.h"
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
	bytes_release(&bytes);
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
	bytes_release(&bytes);
}

static void what_is_taken_is_whole_pages(void)
{
	CHECK_INT(bytes_taken(0), 0);
	CHECK_INT(bytes_taken(1), 4096);
	CHECK_INT(bytes_taken(4 * MIB), 4 * MIB);
	CHECK_INT(bytes_taken(4 * MIB + 1), 6 * MIB);
	CHECK_INT(bytes_taken(DWAL_MAX_PAYLOAD), DWAL_MAX_PAYLOAD);
}

UNIT_MAIN(UNIT(what_was_written_stays_while_it_grows),
	  UNIT(without_addresses_it_grows_as_long_as_it_can), UNIT(what_is_taken_is_whole_pages))
