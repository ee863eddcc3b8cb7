/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Between who asks for a compaction and who does it.
 */
#include "compaction.h"

#include <errno.h>

#include "unit.h"

static const struct mountctl_compact order = {.keep = 7, .how = MOUNTCTL_KEEP_TXID};

static struct timespec after(time_t seconds)
{
	struct timespec t;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	t.tv_sec += seconds;
	return t;
}

/* As the thread that does them: the next thing to do. */
static struct compaction_call next(struct compaction *compaction)
{
	const struct timespec past = after(-1);
	struct compaction_call call;

	CHECK(compaction_await(compaction, &past, &call));
	return call;
}

static void an_order_is_seen_as_running_from_the_moment_it_is_given(void)
{
	struct dwal_rewrite_stats stats = {.segments = 3, .given_up = {4, 9}};
	struct compaction compaction;
	struct compaction_call call;

	compaction_init(&compaction);
	CHECK_INT(compaction_state(&compaction).run, 0);
	CHECK(!next(&compaction).ordered);
	CHECK_INT(compaction_order(&compaction, &order), 0);
	CHECK_INT(compaction_state(&compaction).run, 1);
	CHECK_INT(compaction_state(&compaction).running, 1);
	CHECK_INT(compaction_order(&compaction, &order), EBUSY);
	call = next(&compaction);
	CHECK(call.ordered && call.order.keep == 7);
	compaction_begin(&compaction, true, 0, "why");
	CHECK_INT(compaction_order(&compaction, &order), EBUSY);
	CHECK_INT(compaction_progress(&compaction, &stats), 0);
	CHECK_INT(compaction_state(&compaction).segments, 3);
	compaction_finish(&compaction, 0, "", &stats);
	CHECK_INT(compaction_state(&compaction).run, 1);
	CHECK_INT(compaction_state(&compaction).running, 0);
	CHECK_INT(compaction_state(&compaction).hi, 9);
	CHECK(!next(&compaction).ordered);
	CHECK_INT(compaction_order(&compaction, &order), 0);
	CHECK_INT(compaction_state(&compaction).run, 2);
	compaction_release(&compaction);
}

static void an_order_waits_for_one_that_is_about_to_begin_by_itself(void)
{
	const struct dwal_rewrite_stats none = {0};
	struct compaction compaction;

	compaction_init(&compaction);
	CHECK_INT(compaction_order(&compaction, &order), 0);
	compaction_begin(&compaction, false, 0, "why");
	compaction_finish(&compaction, 0, "", &none);
	CHECK_INT(compaction_state(&compaction).run, 2);
	CHECK_INT(compaction_state(&compaction).running, 1);
	CHECK(next(&compaction).ordered);
	compaction_release(&compaction);
}

static void what_is_stopped_ends_and_the_next_one_goes_on(void)
{
	const struct dwal_rewrite_stats none = {0};
	struct compaction compaction;

	compaction_init(&compaction);
	compaction_stop(&compaction); /* nothing is running */
	compaction_begin(&compaction, false, 0, "why");
	CHECK_INT(compaction_progress(&compaction, &none), 0);
	compaction_stop(&compaction);
	CHECK_INT(compaction_progress(&compaction, &none), -ECANCELED);
	compaction_finish(&compaction, -ECANCELED, "stopped", &none);
	CHECK_INT(compaction_state(&compaction).result, -ECANCELED);
	CHECK_INT(compaction_order(&compaction, &order), 0);
	compaction_stop(&compaction); /* before it has begun */
	compaction_begin(&compaction, true, 0, "why");
	CHECK_INT(compaction_progress(&compaction, &none), -ECANCELED);
	compaction_finish(&compaction, -ECANCELED, "stopped", &none);
	compaction_begin(&compaction, false, 0, "why");
	CHECK_INT(compaction_progress(&compaction, &none), 0);
	compaction_release(&compaction);
}

static void a_dry_run_is_not_the_last_that_was_done(void)
{
	const struct dwal_rewrite_stats stats = {.bytes_freed = 5};
	struct compaction compaction;
	const char *why_not;

	compaction_init(&compaction);
	compaction_begin(&compaction, true, MOUNTCTL_DRY_RUN, "why");
	compaction_finish(&compaction, 0, "", &stats);
	CHECK_INT(compaction_state(&compaction).bytes_freed, 5);
	CHECK_INT(compaction_last(&compaction, &why_not).state.run, 0);
	compaction_begin(&compaction, false, 0, "because");
	compaction_finish(&compaction, -EIO, "it cannot be read", &stats);
	CHECK_INT(compaction_last(&compaction, &why_not).state.run, 2);
	CHECK(strcmp(compaction_last(&compaction, &why_not).why, "because") == 0);
	CHECK(strcmp(compaction_last(&compaction, &why_not).state.message, "it cannot be read") ==
	      0);
	compaction_decline(&compaction, "the disk has room");
	(void)compaction_last(&compaction, &why_not);
	CHECK(strcmp(why_not, "the disk has room") == 0);
	compaction_release(&compaction);
}

static void an_order_that_means_nothing_is_refused(void)
{
	static const struct mountctl_compact orders[] = {
		{.how = MOUNTCTL_KEEP_BYTES + 1}, {.flags = 4}, {.flags = UINT32_MAX}};
	struct compaction compaction;

	compaction_init(&compaction);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		CHECK_INT(compaction_order(&compaction, &orders[i]), EINVAL);
	CHECK_INT(compaction_state(&compaction).run, 0);
	compaction_release(&compaction);
}

static void *give(void *compaction)
{
	CHECK_INT(compaction_order(compaction, &order), 0);
	return NULL;
}

static void *note_full(void *compaction)
{
	compaction_note_full(compaction);
	return NULL;
}

static void *end(void *compaction)
{
	compaction_end(compaction);
	return NULL;
}

static void whoever_waits_is_woken(void)
{
	void *(*const wakers[])(void *) = {note_full, give, end};
	const struct dwal_rewrite_stats none = {0};
	const struct timespec deadline = after(3600);
	struct compaction compaction;
	struct compaction_call call;
	pthread_t thread;

	compaction_init(&compaction);
	for (int i = 0; i < 3; i++) {
		CHECK(pthread_create(&thread, NULL, wakers[i], &compaction) == 0);
		CHECK_INT(compaction_await(&compaction, &deadline, &call), i < 2);
		CHECK_INT(call.full, i == 0);
		CHECK_INT(call.ordered, i == 1);
		if (call.ordered)
			compaction_begin(&compaction, true, 0, "why");
		CHECK(pthread_join(thread, NULL) == 0);
	}
	CHECK_INT(compaction_progress(&compaction, &none), -ECANCELED);
	compaction_release(&compaction);
}

UNIT_MAIN(UNIT(an_order_is_seen_as_running_from_the_moment_it_is_given),
	  UNIT(an_order_waits_for_one_that_is_about_to_begin_by_itself),
	  UNIT(what_is_stopped_ends_and_the_next_one_goes_on),
	  UNIT(a_dry_run_is_not_the_last_that_was_done),
	  UNIT(an_order_that_means_nothing_is_refused), UNIT(whoever_waits_is_woken))
