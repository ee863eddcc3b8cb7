/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Signals that end a command where it can be ended. It must not know where
 * that is.
 */
#include <signal.h>

#include "cli.h"

static volatile sig_atomic_t caught; /* the signal, or 0 */

static void note(int signal_number)
{
	caught = signal_number;
}

void interrupt_catch(bool restart)
{
	const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction action = {.sa_handler = note,
					 .sa_flags = SA_RESETHAND | (restart ? SA_RESTART : 0)};
	struct sigaction old;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL); /* valid arguments */
}

bool interrupt_came(void)
{
	return caught;
}

void interrupt_raise(void)
{
	if (caught)
		(void)raise(caught); /* the default action again */
}
