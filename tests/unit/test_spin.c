/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * How long is looked for something to read, by what happened before.
 */
#include "mount/spin.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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

static bool look_undisturbed(struct spin *spin, int fd)
{
	while (spin_is_in_the_way(spin))
		CHECK_INT(usleep(10000), 0);
	return spin_for(spin, fd);
}

static void at_first_and_after_a_long_sleep_there_is_no_looking(void)
{
	struct spin spin = {0};
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	CHECK_INT(write(fds[1], "x", 1), 1);
	CHECK(!spin_for(&spin, fds[0]));
	spin_slept(&spin, monotonic_ns() - 1000000);
	CHECK(!spin_for(&spin, fds[0]));
	spin = after_a_short_sleep();
	CHECK(spin_for(&spin, fds[0]));
	CHECK_INT(close(fds[0]), 0);
	CHECK_INT(close(fds[1]), 0);
}

static void looks_in_vain_are_fewer_and_fewer_until_the_next_short_sleep(void)
{
	struct spin spin = after_a_short_sleep();
	int64_t most = spin.ns, before;
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	for (int i = 0; spin.ns; i++) {
		before = spin.ns;
		CHECK(!look_undisturbed(&spin, fds[0]));
		CHECK(spin.ns <= before / 2);
		CHECK(i < 5);
	}
	sleep_short(&spin);
	CHECK(spin.ns == most);
	CHECK_INT(close(fds[1]), 0);
	CHECK(look_undisturbed(&spin, fds[0])); /* nothing will come: that is news as well */
	CHECK(spin.ns == most);
	CHECK_INT(close(fds[0]), 0);
}

/* Runs on this CPU until it is killed. */
static pid_t compute(void)
{
	pid_t pid = fork();

	while (pid == 0)
		;
	CHECK(pid > 0);
	return pid;
}

static void who_computes_on_the_same_cpu_ends_it_for_a_while(void)
{
	struct spin spin = after_a_short_sleep();
	cpu_set_t one;
	pid_t pid;
	int fds[2];

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	CHECK_INT(sched_setaffinity(0, sizeof(one), &one), 0);
	CHECK(!spin_is_in_the_way(&spin));
	pid = compute();
	CHECK_INT(pipe(fds), 0);
	for (int i = 0; !spin_is_in_the_way(&spin) && i < 1000; i++) {
		CHECK(!spin_for(&spin, fds[0]));
		spin = (struct spin){after_a_short_sleep().ns, atomic_load(&spin.others_until)};
	}
	CHECK(spin_is_in_the_way(&spin));
	CHECK_INT(write(fds[1], "x", 1), 1);
	CHECK(!spin_for(&spin, fds[0]));
	CHECK_INT(kill(pid, SIGKILL), 0);
	CHECK_INT(waitpid(pid, NULL, 0), pid);
	CHECK(look_undisturbed(&spin, fds[0]));
	CHECK_INT(close(fds[0]), 0);
	CHECK_INT(close(fds[1]), 0);
}

UNIT_MAIN(UNIT(at_first_and_after_a_long_sleep_there_is_no_looking),
	  UNIT(looks_in_vain_are_fewer_and_fewer_until_the_next_short_sleep),
	  UNIT(who_computes_on_the_same_cpu_ends_it_for_a_while))
