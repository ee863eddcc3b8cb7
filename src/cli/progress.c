/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A bar on standard error, when that is a terminal. It must not know what
 * makes the progress.
 */
#include <inttypes.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"

#define BAR_WIDTH       40
#define BAR_INTERVAL_MS 100

void progress_begin(struct progress *p)
{
	*p = (struct progress){.shown = isatty(STDERR_FILENO)};
}

bool progress_due(struct progress *p)
{
	int64_t now;

	if (!p->shown)
		return false;
	now = monotonic_ms();
	if (now - p->last_ms < BAR_INTERVAL_MS)
		return false;
	p->last_ms = now;
	return true;
}

void progress_show(const struct progress *p, uint64_t done, uint64_t total)
{
	static const char bar[BAR_WIDTH + 1] = "########################################";
	int filled;

	if (!p->shown)
		return;
	if (!total) {
		fprintf(stderr, "\r%" PRIu64 " MiB", done >> 20);
		return;
	}
	if (done > total)
		done = total;
	filled = (int)((double)done / (double)total * BAR_WIDTH);
	fprintf(stderr, "\r[%-*.*s] %" PRIu64 " of %" PRIu64 " MiB", BAR_WIDTH, filled, bar,
		done >> 20, total >> 20);
}

void progress_end(const struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
}
