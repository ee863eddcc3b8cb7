/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The own times of segments.
 */
#include "tree/owntime.h"

struct timespec own_time(struct own_times *times, uint32_t segment)
{
	struct segment_time *last = &times->last;

	if (times->is_known && last->segment == segment)
		return last->time;
	times->is_known = true;
	last->segment = segment;
	if (!logtime_found(times->logtime, segment, &last->time))
		last->time = times->segment_time(times->ctx, segment);
	return last->time;
}
