/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Reading many values at once: each is given where its key's turn is, and what lies between
 * them does not matter.
 */
#include "gather.h"
#include "store.h"

#include <errno.h>

/* Counts reads, and fails those of bytes that cannot be read. */
struct disk {
	struct io io;
	unsigned reads;
	uint64_t bad_from, bad_to;
};

static ssize_t disk_pread(const struct io *io, int fd, void *buffer, size_t n, off_t offset)
{
	struct disk *disk = (struct disk *)(uintptr_t)io;
	uint64_t from = (uint64_t)offset;

	disk->reads++;
	if (from < disk->bad_to && from + n > disk->bad_from)
		return -EIO;
	return io_system.pread(&io_system, fd, buffer, n, offset);
}

static struct disk disk;

static dwal_kv *begin(void)
{
	dir = unit_dir_make();
	disk = (struct disk){.io = io_system};
	disk.io.pread = disk_pread;
	return open_io(&disk.io, NULL);
}

static void end(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

#define KEYS  140000u /* more than are taken at once */
#define BATCH 100u

/* Each once, and none beside the one before. */
static uint32_t scattered(uint32_t i)
{
	return (uint32_t)(i * UINT64_C(99991) % KEYS);
}

/* BATCH of them, from the i-th on each step-th. */
static void put_scattered(dwal_kv *kv, uint32_t i, uint32_t step, uint32_t version)
{
	uint32_t keys[BATCH], values[BATCH];
	struct dwal_op ops[BATCH];

	for (uint32_t k = 0; k < BATCH; k++, i += step) {
		keys[k] = htobe32(scattered(i));
		values[k] = scattered(i) + version;
		ops[k] = (struct dwal_op){DWAL_PUT, {&keys[k], 4}, {&values[k], 4}};
	}
	CHECK_INT(dwal_kv_batch(kv, ops, BATCH, NULL, 0, NULL), 0);
}

static void check_number(const struct gathered *gathered, uint32_t number)
{
	const uint32_t key = htobe32(number), value = number + (number % 2 ? 0 : KEYS);

	CHECK(gathered->item.key.len == 4 && memcmp(gathered->item.key.data, &key, 4) == 0);
	CHECK(gathered->value.len == 4 && memcmp(gathered->value.data, &value, 4) == 0);
}

static void many_are_read_with_few_calls_in_the_order_of_keys(void)
{
	const struct gathered *gathered;
	struct gather *gather;
	dwal_kv *kv = begin();
	uint32_t seen = 0;
	size_t n;

	for (uint32_t i = 0; i < KEYS; i += BATCH)
		put_scattered(kv, i, 1, 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	for (uint32_t i = 0; i < KEYS; i += 2 * BATCH) /* the newer of the even ones lie there */
		put_scattered(kv, i, 2, KEYS);
	CHECK_INT(gather_open(kv, &gather), 0);
	disk.reads = 0;
	while (gather_next(gather, &gathered, &n, &error) == 0)
		for (size_t i = 0; i < n; i++)
			check_number(&gathered[i], seen++);
	CHECK_INT(seen, KEYS);
	CHECK(disk.reads < 200);
	gather_close(gather);
	end(kv);
}

/* "a" and "c", with what is no value any more between them. */
static dwal_kv *begin_apart(void)
{
	dwal_kv *kv = begin();

	put(kv, "a", "first");
	put(kv, "b", "old");
	put(kv, "c", "third");
	put(kv, "b", "second");
	return kv;
}

static void check_all_three(dwal_kv *kv)
{
	static const char *const values[] = {"first", "second", "third"};
	const struct gathered *gathered;
	struct gather *gather;
	size_t n;

	CHECK_INT(gather_open(kv, &gather), 0);
	CHECK_INT(gather_next(gather, &gathered, &n, &error), 0);
	CHECK_INT(n, 3);
	for (size_t i = 0; i < n; i++)
		CHECK(gathered[i].value.len == strlen(values[i]) &&
		      memcmp(gathered[i].value.data, values[i], strlen(values[i])) == 0);
	CHECK_INT(gather_next(gather, &gathered, &n, &error), DWAL_END);
	gather_close(gather);
}

static void check_fails(dwal_kv *kv, int wanted, uint64_t offset)
{
	const struct gathered *gathered;
	struct gather *gather;
	size_t n;

	memset(&error, 0, sizeof(error));
	CHECK_INT(gather_open(kv, &gather), 0);
	CHECK_INT(gather_next(gather, &gathered, &n, &error), wanted);
	CHECK_INT(error.code, wanted);
	CHECK_INT(error.segment, 1);
	CHECK_INT(error.offset, offset);
	gather_close(gather);
}

static void what_lies_between_need_not_be_readable(void)
{
	dwal_kv *kv = begin_apart();
	struct dwal_place a = place_of(kv, "a"), c = place_of(kv, "c");

	check_all_three(kv);
	disk.bad_from = a.offset + a.length;
	disk.bad_to = c.offset;
	check_all_three(kv);
	disk.bad_to = c.offset + 1;
	check_fails(kv, -EIO, c.offset);
	end(kv);
}

static void one_that_is_damaged_is_an_error_that_says_where(void)
{
	dwal_kv *kv = begin_apart();
	struct dwal_place a = place_of(kv, "a"), c = place_of(kv, "c");

	flip(a.offset + a.length + 30); /* the old one */
	check_all_three(kv);
	flip(c.offset + 30);
	check_fails(kv, DWAL_ECORRUPT, c.offset);
	end(kv);
}

static void a_whole_frame_of_another_key_is_not_taken(void)
{
	dwal_kv *kv = begin_apart();
	struct dwal_place c = place_of(kv, "c");
	unsigned char frame[64];
	int fd = open_segment();

	CHECK_INT(dwal_frame_encode(DWAL_PUT, c.txid, (struct dwal_bytes){"x", 1},
				    (struct dwal_bytes){"third", 5}, frame),
		  0);
	CHECK_INT(pwrite(fd, frame, c.length, (off_t)c.offset), c.length);
	close(fd);
	check_fails(kv, DWAL_ECORRUPT, c.offset);
	end(kv);
}

UNIT_MAIN(UNIT(many_are_read_with_few_calls_in_the_order_of_keys),
	  UNIT(what_lies_between_need_not_be_readable),
	  UNIT(one_that_is_damaged_is_an_error_that_says_where),
	  UNIT(a_whole_frame_of_another_key_is_not_taken))
