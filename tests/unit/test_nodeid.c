/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Node ids: an id finds its node, and is never another one's.
 */
#include "tree/nodeid.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define MANY 100000u

static char things[MANY]; /* their addresses stand for nodes */

static struct node *thing(uint32_t i)
{
	return (struct node *)(void *)&things[i];
}

static uint64_t take(struct nodeids *ids, struct node *node, uint32_t *slot)
{
	CHECK(nodeid_take(ids, node, slot) == 0);
	CHECK(*slot != NODEID_NONE);
	return nodeid_of(ids, *slot);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void check_all_differ(uint64_t *all, size_t n)
{
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 1; i < n; i++)
		CHECK(all[i] != all[i - 1]);
}

static void an_id_finds_its_node_and_nothing_after_its_end(void)
{
	static uint32_t slots[MANY];
	static uint64_t all[2 * MANY];
	struct nodeids ids;

	CHECK(nodeid_init(&ids) == 0);
	for (uint32_t i = 0; i < MANY; i++)
		all[i] = take(&ids, thing(i), &slots[i]);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK(nodeid_find(&ids, all[i]) == thing(i));
	for (uint32_t i = 0; i < MANY; i++)
		nodeid_give_back(&ids, slots[i]);
	for (uint32_t i = 0; i < MANY; i++)
		all[MANY + i] = take(&ids, thing(i), &slots[i]);
	CHECK(ids.count == MANY + 1); /* no slot was wasted */
	for (uint32_t i = 0; i < MANY; i++)
		CHECK(nodeid_find(&ids, all[i]) == NULL);
	check_all_differ(all, 2 * MANY);
	nodeid_release(&ids);
}

static void what_is_no_id_finds_nothing(void)
{
	struct nodeids ids;
	uint32_t slot;
	uint64_t id;

	CHECK(nodeid_init(&ids) == 0);
	CHECK(nodeid_find(&ids, 0) == NULL);
	CHECK(nodeid_find(&ids, 2) == NULL);
	id = take(&ids, thing(0), &slot);
	CHECK(id > UINT32_MAX && !(id & NODEID_FOREIGN));
	for (int bit = 0; bit < 64; bit++)
		CHECK(nodeid_find(&ids, id ^ (uint64_t)1 << bit) == NULL);
	nodeid_release(&ids);
}

static void a_slot_whose_generations_are_used_up_is_not_used_again(void)
{
	struct nodeids ids;
	uint64_t all[8];
	uint32_t slot;

	CHECK(nodeid_init(&ids) == 0);
	ids.first = INT32_MAX - 2;
	for (int i = 0; i < 8; i++) {
		all[i] = take(&ids, thing(0), &slot);
		CHECK(!(all[i] & NODEID_FOREIGN));
		nodeid_give_back(&ids, slot);
	}
	CHECK(ids.count > 3);
	for (int i = 0; i < 8; i++)
		CHECK(nodeid_find(&ids, all[i]) == NULL);
	check_all_differ(all, 8);
	nodeid_release(&ids);
}

static void two_mounts_begin_with_other_generations(void)
{
	struct nodeids one, other;
	uint32_t slot;

	CHECK(nodeid_init(&one) == 0 && nodeid_init(&other) == 0);
	CHECK(take(&one, thing(0), &slot) != take(&other, thing(0), &slot));
	nodeid_release(&one);
	nodeid_release(&other);
}

static void all_that_have_an_id_can_be_gone_through(void)
{
	uint32_t slots[3], at = NODEID_NONE;
	struct nodeids ids;

	CHECK(nodeid_init(&ids) == 0);
	CHECK(nodeid_next(&ids, &at) == NULL);
	for (uint32_t i = 0; i < 3; i++)
		take(&ids, thing(i), &slots[i]);
	nodeid_give_back(&ids, slots[1]);
	at = NODEID_NONE;
	CHECK(nodeid_next(&ids, &at) == thing(0));
	CHECK(nodeid_next(&ids, &at) == thing(2));
	CHECK(nodeid_next(&ids, &at) == NULL);
	nodeid_release(&ids);
}

UNIT_MAIN(UNIT(an_id_finds_its_node_and_nothing_after_its_end), UNIT(what_is_no_id_finds_nothing),
	  UNIT(a_slot_whose_generations_are_used_up_is_not_used_again),
	  UNIT(two_mounts_begin_with_other_generations),
	  UNIT(all_that_have_an_id_can_be_gone_through))
