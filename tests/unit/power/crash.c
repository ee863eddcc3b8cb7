/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Enumerating the states after a power cut.
 */
#include "crash.h"
#include "unit.h"

static bool is_same_name(const struct disk_name *a, const struct disk_name *b)
{
	return a->dir == b->dir && strcmp(a->name, b->name) == 0;
}

static void add_slot(struct crash *crash, struct crash_slot slot)
{
	if (slot.choices < 2)
		return;
	CHECK(crash->n < CRASH_SLOTS);
	crash->slots[crash->n++] = slot;
}

static void add_names(struct crash *crash)
{
	const struct disk_names *changes = &crash->disk->changes;

	for (size_t i = 0; i < changes->n; i++) {
		struct crash_slot slot = {CRASH_NAME, 1, (unsigned)i, 0};
		bool first = true;

		for (size_t k = 0; k < i && first; k++)
			first = !is_same_name(&changes->list[k], &changes->list[i]);
		for (size_t k = i; first && k < changes->n; k++)
			slot.choices += is_same_name(&changes->list[k], &changes->list[i]);
		add_slot(crash, slot);
	}
}

/* A file that grows may have got to any sector. */
static unsigned sizes_of(const struct disk_write *write)
{
	if (write->size <= write->size_before)
		return write->size < write->size_before;
	return (unsigned)((write->size - 1) / DISK_SECTOR - write->size_before / DISK_SECTOR) + 1;
}

static size_t size_at(const struct disk_file *file, unsigned choice)
{
	if (!choice)
		return file->durable.len;
	choice--;
	for (size_t i = 0; i < file->pending_count; i++) {
		const struct disk_write *write = file->pending[i];
		unsigned n = sizes_of(write);

		if (choice + 1 == n)
			return write->size;
		if (choice < n)
			return (write->size_before / DISK_SECTOR + choice + 1) * DISK_SECTOR;
		choice -= n;
	}
	CHECK(!"such a size");
	return 0;
}

static bool covers(const struct disk_write *write, size_t sector)
{
	return sector >= write->first && sector < write->first + write->count;
}

static void add_file(struct crash *crash, unsigned ino)
{
	const struct disk_file *file = &crash->disk->files[ino];
	struct crash_slot size = {CRASH_SIZE, 1, ino, 0};
	size_t sectors = 0;

	for (size_t i = 0; i < file->pending_count; i++) {
		const struct disk_write *write = file->pending[i];

		size.choices += sizes_of(write);
		if (write->first + write->count > sectors)
			sectors = write->first + write->count;
	}
	add_slot(crash, size);
	for (size_t sector = 0; sector < sectors; sector++) {
		struct crash_slot slot = {CRASH_SECTOR, 1, ino, sector};

		for (size_t i = 0; i < file->pending_count; i++)
			slot.choices += covers(file->pending[i], sector);
		add_slot(crash, slot);
	}
}

void crash_begin(struct crash *crash, const struct disk *disk, uint64_t most, uint64_t seed)
{
	crash->disk = disk;
	crash->n = 0;
	crash->states = 1;
	crash->all = true;
	crash->seed = seed;
	add_names(crash);
	for (unsigned ino = 1; ino < DISK_FILES; ino++)
		if (disk->files[ino].used && disk->files[ino].pending_count)
			add_file(crash, ino);
	for (size_t i = 0; i < crash->n && crash->all; i++) {
		crash->states *= crash->slots[i].choices;
		crash->all = crash->states <= most;
	}
	if (!crash->all)
		crash->states = most;
}

static uint64_t seed_of(const struct crash *crash, uint64_t i)
{
	uint64_t seed = (crash->seed + 1) * 0x9e3779b97f4a7c15 + i + 1;

	for (int k = 0; k < 3; k++)
		(void)unit_random(&seed);
	return seed;
}

/* Which choice of each slot is the i-th state: one by one when there are few;
 * else all old, all new, each slot alone the other way, and then any. */
static void choose(const struct crash *crash, uint64_t i, unsigned *choice)
{
	uint64_t seed = seed_of(crash, i), left = i;

	for (size_t k = 0; k < crash->n; k++) {
		unsigned n = crash->slots[k].choices;

		if (crash->all) {
			choice[k] = (unsigned)(left % n);
			left /= n;
		} else if (i < 2) {
			choice[k] = i ? n - 1 : 0;
		} else if (i < 2 + 2 * crash->n) {
			bool old = (i & 1) != ((i - 2) / 2 == k);

			choice[k] = old ? 0 : n - 1;
		} else {
			choice[k] = (unsigned)(unit_random(&seed) >> 33) % n;
		}
	}
}

static void put_sector(struct disk_file *out, const struct disk_file *file,
		       const struct crash_slot *slot, unsigned choice)
{
	const unsigned char *bytes = NULL;

	for (size_t i = 0; i < file->pending_count && choice; i++) {
		const struct disk_write *write = file->pending[i];

		if (!covers(write, slot->sector) || --choice)
			continue;
		bytes = write->bytes + (slot->sector - write->first) * DISK_SECTOR;
	}
	for (size_t i = 0; bytes && i < DISK_SECTOR; i++)
		if (slot->sector * DISK_SECTOR + i < out->cache.len)
			out->cache.data[slot->sector * DISK_SECTOR + i] = bytes[i];
}

/* Names first, then sizes, then sectors. */
static void apply(const struct crash *crash, const unsigned *choice, struct disk *out)
{
	out->now.n = crash->disk->durable.n;
	memcpy(out->now.list, crash->disk->durable.list, out->now.n * sizeof(out->now.list[0]));
	for (size_t k = 0; k < crash->n; k++) {
		const struct crash_slot *slot = &crash->slots[k];
		const struct disk_file *file = &crash->disk->files[slot->at];
		unsigned left = choice[k];

		if (slot->what == CRASH_NAME)
			for (size_t i = slot->at; left; i++) {
				const struct disk_name *change = &crash->disk->changes.list[i];

				if (is_same_name(change, &crash->disk->changes.list[slot->at]) &&
				    !--left)
					disk_set_name(out, change->dir, change->name, change->ino);
			}
		else if (slot->what == CRASH_SIZE)
			disk_bytes_resize(&out->files[slot->at].cache, size_at(file, choice[k]));
		else
			put_sector(&out->files[slot->at], file, slot, choice[k]);
	}
}

static void make_durable(struct disk *disk)
{
	disk->durable.n = disk->now.n;
	memcpy(disk->durable.list, disk->now.list, disk->now.n * sizeof(disk->now.list[0]));
	disk->changes.n = 0;
	disk_drop_unnamed(disk);
	for (unsigned ino = 1; ino < DISK_FILES; ino++) {
		struct disk_file *file = &disk->files[ino];

		if (!file->used)
			continue;
		free(file->durable.data);
		disk_bytes_copy(&file->durable, &file->cache);
	}
}

void crash_state(const struct crash *crash, uint64_t i, struct disk *out)
{
	unsigned choice[CRASH_SLOTS];

	choose(crash, i, choice);
	disk_copy(out, crash->disk);
	for (unsigned ino = 1; ino < DISK_FILES; ino++) {
		struct disk_file *file = &out->files[ino];

		if (!file->used)
			continue;
		disk_forget_pending(file);
		free(file->cache.data);
		disk_bytes_copy(&file->cache, &file->durable);
		file->mtime = file->durable_mtime;
	}
	out->changes.n = 0;
	apply(crash, choice, out);
	make_durable(out);
}
