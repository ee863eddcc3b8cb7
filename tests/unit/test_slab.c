/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The slab against a model: objects of any sizes come and go, none lies over
 * another, each is zero when it is new and stays as it is left.
 */
#include "tree/slab.h"
#include "unit.h"

#include <errno.h>
#include <sys/resource.h>

enum { OBJECTS = 500, STEPS = 200000 };

static struct object {
	unsigned char *at;
	size_t size;
	unsigned char byte;
} objects[OBJECTS];

static struct slab slab;

static void check(const struct object *object, unsigned char byte)
{
	for (size_t i = 0; i < object->size; i++)
		CHECK(object->at[i] == byte);
}

static size_t any_size(uint64_t *dice)
{
	size_t most = unit_random(dice) % 4 ? 150 : SLAB_MOST;

	return 4 + unit_random(dice) % (most - 3);
}

static void change(struct object *object, uint64_t *dice)
{
	if (object->at) {
		check(object, object->byte);
		slab_give_back(&slab, object->at, object->size);
		object->at = NULL;
		return;
	}
	object->size = any_size(dice);
	object->byte = (unsigned char)unit_random(dice);
	object->at = slab_take(&slab, object->size);
	CHECK(object->at);
	CHECK_INT((uintptr_t)object->at % SLAB_UNIT, 0);
	check(object, 0);
	memset(object->at, object->byte, object->size);
}

static void objects_keep_to_themselves(void)
{
	uint64_t dice = 1;
	size_t live = 0;

	CHECK_INT(slab_init(&slab), 0);
	memset(objects, 0, sizeof(objects));
	for (unsigned i = 0; i < STEPS; i++)
		change(&objects[unit_random(&dice) % OBJECTS], &dice);
	for (unsigned i = 0; i < OBJECTS; i++)
		live += objects[i].at ? slab_room(objects[i].size) : 0;
	CHECK_INT(slab.live, live);
	for (unsigned i = 0; i < OBJECTS; i++)
		if (objects[i].at)
			change(&objects[i], &dice);
	CHECK_INT(slab.live, 0);
	slab_release(&slab);
}

/* What was given back serves for what is as large, and for what is smaller. */
static void what_is_given_back_is_used_again(void)
{
	void *large[10];
	size_t used;

	CHECK_INT(slab_init(&slab), 0);
	for (unsigned i = 0; i < 10; i++)
		large[i] = slab_take(&slab, 80);
	used = slab.used;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 10; i++)
			slab_give_back(&slab, large[i], 80);
		for (unsigned i = 0; i < 10; i++)
			CHECK((large[i] = slab_take(&slab, 80)));
	}
	CHECK_INT(slab.used, used);
	for (unsigned i = 0; i < 10; i++)
		slab_give_back(&slab, large[i], 80);
	for (unsigned i = 0; i < 20; i++)
		CHECK(slab_take(&slab, 40));
	CHECK_INT(slab.used, used);
	slab_release(&slab);
}

static void references_lead_both_ways(void)
{
	char *one, *other;

	CHECK_INT(slab_init(&slab), 0);
	one = slab_take(&slab, 64);
	for (unsigned i = 0; i < 100000; i++)
		other = slab_take(&slab, 96);
	CHECK(slab_at(one, slab_ref_to(one, other)) == other);
	CHECK(slab_at(other, slab_ref_to(other, one)) == one);
	CHECK(slab_at(slab.base, slab_ref_to(slab.base, one)) == one);
	CHECK(!slab_at(one, slab_ref_to(one, NULL)));
	slab_release(&slab);
}

/* It leaves addresses to others where there are few, and ends with no object
 * more. */
static void few_addresses_are_few_objects(void)
{
	struct rlimit before, few;
	size_t bytes = 0;

	CHECK_INT(getrlimit(RLIMIT_AS, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)256 << 20;
#ifdef __SANITIZE_ADDRESS__
	return; /* needs more addresses than that */
#endif
	CHECK_INT(setrlimit(RLIMIT_AS, &few), 0);
	CHECK_INT(slab_init(&slab), 0);
	CHECK(slab.reserved <= (size_t)64 << 20);
	while (slab_take(&slab, 1024))
		bytes += 1024;
	CHECK(bytes > slab.reserved / 10 * 9 && bytes < slab.reserved);
	CHECK(!slab_take(&slab, 1024));
	slab_release(&slab);
	few.rlim_cur = (rlim_t)32 << 20; /* a quarter is not worth it */
	CHECK_INT(setrlimit(RLIMIT_AS, &few), 0);
	CHECK_INT(slab_init(&slab), ENOMEM);
	CHECK_INT(setrlimit(RLIMIT_AS, &before), 0);
}

UNIT_MAIN(UNIT(objects_keep_to_themselves), UNIT(what_is_given_back_is_used_again),
	  UNIT(references_lead_both_ways), UNIT(few_addresses_are_few_objects))
