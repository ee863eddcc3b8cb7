/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Errands: what was added is taken once, in order; the wait for it ends.
 */
#include "errands.h"

#include "unit.h"

static struct timespec after(time_t seconds)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	t.tv_sec += seconds;
	return t;
}

static void what_was_added_is_taken_once_and_in_order(void)
{
	const struct timespec past = after(-1);
	uint64_t ids[ERRANDS_MOST];
	struct errands errands;

	errands_init(&errands);
	for (uint64_t id = 0; id < 4; id++)
		errands_add(&errands, id);
	CHECK_INT(errands_take(&errands, &past, ids), 3); /* 0 is no node */
	for (uint64_t i = 0; i < 3; i++)
		CHECK_INT(ids[i], i + 1);
	CHECK_INT(errands_take(&errands, &past, ids), 0);
	errands_release(&errands);
}

static void a_full_queue_drops_what_comes_and_then_takes_again(void)
{
	const struct timespec past = after(-1);
	uint64_t ids[ERRANDS_MOST];
	struct errands errands;

	errands_init(&errands);
	for (uint64_t id = 1; id <= 2 * ERRANDS_MOST; id++)
		errands_add(&errands, id);
	CHECK_INT(errands_take(&errands, &past, ids), ERRANDS_MOST);
	CHECK_INT(ids[ERRANDS_MOST - 1], ERRANDS_MOST);
	errands_add(&errands, 7);
	CHECK_INT(errands_take(&errands, &past, ids), 1);
	CHECK_INT(ids[0], 7);
	errands_release(&errands);
}

static void *add_one(void *arg)
{
	errands_add(arg, 5);
	return NULL;
}

static void *hurry(void *arg)
{
	errands_hurry(arg);
	return NULL;
}

static void *end(void *arg)
{
	errands_end(arg);
	return NULL;
}

/* What the other thread does comes before the wait or during it. */
static size_t wait_for(struct errands *errands, void *(*other)(void *), uint64_t *ids)
{
	const struct timespec deadline = after(3600);
	pthread_t thread;
	size_t count;

	CHECK(pthread_create(&thread, NULL, other, errands) == 0);
	count = errands_take(errands, &deadline, ids);
	CHECK(pthread_join(thread, NULL) == 0);
	return count;
}

static void an_errand_and_the_end_are_waited_for(void)
{
	uint64_t ids[ERRANDS_MOST];
	struct errands errands;

	errands_init(&errands);
	CHECK_INT(wait_for(&errands, add_one, ids), 1);
	CHECK_INT(ids[0], 5);
	CHECK_INT(wait_for(&errands, end, ids), 0);
	errands_release(&errands);
}

static void a_wait_is_ended_once_and_no_errand_is_lost(void)
{
	const struct timespec past = after(-1), deadline = after(3600);
	uint64_t ids[ERRANDS_MOST];
	struct errands errands;

	errands_init(&errands);
	CHECK_INT(wait_for(&errands, hurry, ids), 0);
	errands_add(&errands, 5);
	errands_hurry(&errands);
	CHECK_INT(errands_take(&errands, &deadline, ids), 1);
	CHECK_INT(errands_take(&errands, &deadline, ids), 0);
	CHECK(!errands.hurried);
	CHECK_INT(errands_take(&errands, &past, ids), 0);
	errands_release(&errands);
}

static void after_the_end_nothing_is_taken(void)
{
	const struct timespec deadline = after(3600);
	uint64_t ids[ERRANDS_MOST];
	struct errands errands;

	errands_init(&errands);
	errands_add(&errands, 5);
	errands_end(&errands);
	CHECK_INT(errands_take(&errands, &deadline, ids), 0);
	errands_add(&errands, 6);
	CHECK_INT(errands_take(&errands, &deadline, ids), 0);
	errands_release(&errands);
}

UNIT_MAIN(UNIT(what_was_added_is_taken_once_and_in_order),
	  UNIT(a_full_queue_drops_what_comes_and_then_takes_again),
	  UNIT(an_errand_and_the_end_are_waited_for),
	  UNIT(a_wait_is_ended_once_and_no_errand_is_lost), UNIT(after_the_end_nothing_is_taken))
