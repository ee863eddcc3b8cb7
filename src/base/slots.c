/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Linear probing; a removal closes the gap. Must not know what the numbers stand
 * for.
 */
#include "slots.h"

#include "hugepage.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIRST_SIZE 16         /* slots */
#define GIVE_BACK  (1u << 13) /* slots: 64 KiB, some microseconds */

void slots_release(struct slots *slots)
{
	free(slots->now.of);
	free(slots->old.of);
	*slots = (struct slots){0};
}

static void put(struct slots_table *table, struct slot slot)
{
	size_t i = slots_home(table, slot.hash);

	while (table->of[i].number)
		i = slots_behind(table, i);
	table->of[i] = slot;
}

/* The pages of n slots whose last one was just moved: to give back a large table at
 * once takes milliseconds. */
static void give_back(const struct slots *slots, size_t n)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t end = (uintptr_t)&slots->old.of[slots->moved];
	uintptr_t from = (end - n * sizeof(struct slot) + page - 1) & -page;

	end &= -page;
	if (from < end)
		(void)madvise((void *)from, end - from, MADV_DONTNEED); /* it is freed later */
}

static void move(struct slots *slots, size_t n)
{
	struct slots_table *old = &slots->old;

	for (; n && slots->moved < old->size; n--) {
		const struct slot *slot = &old->of[slots->moved++];

		if (slot->number && slot->number != SLOT_GONE)
			put(&slots->now, *slot);
		if (!slots->is_patient && slots->moved % GIVE_BACK == 0)
			give_back(slots, GIVE_BACK);
	}
	if (slots->moved < old->size)
		return;
	free(old->of);
	*old = (struct slots_table){0};
	slots->moved = 0;
}

static size_t room_of(size_t size)
{
	return size / 16 * SLOTS_FULL;
}

static size_t larger(const struct slots *slots, size_t size)
{
	if (!size)
		return FIRST_SIZE;
	return slots->is_patient ? 2 * size : (size + size / 3 + 15) / 16 * 16;
}

/* calloc() gives a large one as fresh pages, which it need not clear. */
static struct slot *new_table(const struct slots *slots, size_t size)
{
	return slots->is_patient ? hugepage_zeroed(size * sizeof(struct slot))
				 : calloc(size, sizeof(struct slot));
}

/* The old table has been moved by now: it had less slots than reservations since
 * then have moved. */
static int set_size(struct slots *slots, size_t size)
{
	struct slot *of = new_table(slots, size);

	if (!of)
		return -ENOMEM;
	slots->old = slots->now;
	slots->now = (struct slots_table){of, size};
	if (slots->is_patient)
		move(slots, SIZE_MAX);
	return 0;
}

static int grow(struct slots *slots, size_t n)
{
	size_t size = larger(slots, slots->now.size);

	while (room_of(size) < n)
		size = larger(slots, size);
	return set_size(slots, size);
}

int slots_reserve(struct slots *slots, size_t n)
{
	if (slots->old.size)
		move(slots, n * SLOTS_MOVED);
	n += slots->n;
	return n <= room_of(slots->now.size) ? 0 : grow(slots, n);
}

void slots_add(struct slots *slots, uint32_t hash, uint32_t number)
{
	put(&slots->now, (struct slot){hash, number});
	slots->n++;
}

static size_t distance(const struct slots_table *table, size_t from, size_t to)
{
	return to >= from ? to - from : to + table->size - from;
}

/* Whoever lies behind the gap and would not be found over it goes there. */
static void close_gap(struct slots_table *table, size_t gap)
{
	for (size_t i = gap; table->of[i = slots_behind(table, i)].number;) {
		size_t home = slots_home(table, table->of[i].hash);

		if (distance(table, home, i) < distance(table, gap, i))
			continue;
		table->of[gap] = table->of[i];
		gap = i;
	}
	table->of[gap] = (struct slot){0};
}

static bool is_in(const struct slots_table *table, const struct slot *slot)
{
	uintptr_t from = (uintptr_t)table->of, at = (uintptr_t)slot;

	return at >= from && at - from < table->size * sizeof(*slot);
}

void slots_remove(struct slots *slots, struct slot *slot)
{
	slots->n--;
	if (is_in(&slots->now, slot))
		close_gap(&slots->now, (size_t)(slot - slots->now.of));
	else
		slot->number = SLOT_GONE;
}

/* Twice as large as the one before, it can be as good as half empty. Without memory for
 * another it stays. */
static void fit(struct slots *slots)
{
	size_t most = slots->n + slots->n / 16, size = (most / SLOTS_FULL + 1) * 16;

	if (size + size / 4 < slots->now.size)
		(void)set_size(slots, size);
}

void slots_settle(struct slots *slots)
{
	move(slots, SIZE_MAX);
	if (slots->is_patient)
		fit(slots);
}
