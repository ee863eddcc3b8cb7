/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How long is looked for something to read, by what happened before.
 */
#include "mount/spin.h"

#include "clock.h"
#include "unit.h"

/* On a machine with something else to do, that can take some tries. */
static void sleep_short(struct spin *spin)
{
	int64_t before = spin->ns;

	while (spin->ns == before)
		spin_slept(spin, monotonic_ns());
}

static struct spin after_a_short_sleep(void)
{
	struct spin spin = {0};

	sleep_short(&spin);
	CHECK(spin.ns > 0);
	return spin;
}

/* So many nanoseconds; nothing was found. */
static int64_t look_in_vain(struct spin *spin)
{
	int64_t since = monotonic_ns();

	while (spin_again(spin, since))
		CHECK(monotonic_ns() - since < 1000000000);
	return monotonic_ns() - since;
}

static void at_first_and_after_a_long_sleep_there_is_no_looking(void)
{
	struct spin spin = {0};

	CHECK(!spin_again(&spin, monotonic_ns()));
	spin_slept(&spin, monotonic_ns() - 1000000);
	CHECK(!spin_again(&spin, monotonic_ns()));
	spin = after_a_short_sleep();
	CHECK(spin_again(&spin, monotonic_ns() + 1000000));
}

static void looks_in_vain_are_fewer_and_fewer_until_the_next_short_sleep(void)
{
	struct spin spin = after_a_short_sleep();
	int64_t most = spin.ns, before;

	for (int i = 0; spin.ns; i++) {
		before = spin.ns;
		CHECK(look_in_vain(&spin) >= before);
		CHECK(spin.ns <= before / 2);
		CHECK(i < 5);
	}
	sleep_short(&spin);
	CHECK(spin.ns == most);
	CHECK(spin_again(&spin, monotonic_ns() + 1000000));
	CHECK(spin.ns == most); /* what is found soon takes nothing of it */
}

/* As where somebody else has had the CPU. */
static void a_look_that_was_kept_waiting_is_over(void)
{
	struct spin spin = after_a_short_sleep();
	int64_t most = spin.ns;

	CHECK(!spin_again(&spin, monotonic_ns() - 10 * most));
	CHECK(spin.ns <= most / 2);
}

UNIT_MAIN(UNIT(at_first_and_after_a_long_sleep_there_is_no_looking),
	  UNIT(looks_in_vain_are_fewer_and_fewer_until_the_next_short_sleep),
	  UNIT(a_look_that_was_kept_waiting_is_over))
