/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Times by the records before, and by the header of the operation.
 */
#include "logtime.h"

#include <errno.h>
#include <stdlib.h>

#include "attr.h"

static struct record_time all_at(struct timespec time)
{
	return (struct record_time){.mtime = time, .ctime = time, .entered = time, .time = time};
}

static bool line_time(const struct dwal_header *header, const char *name, struct timespec *out)
{
	char text[TIME_TEXT_SIZE];

	return dwal_header_line(header, name, text, sizeof(text)) && time_parse(text, out);
}

static int note_found(struct logtime *logtime, uint32_t segment, struct timespec time)
{
	struct segment_time *more;

	if (logtime_found(logtime, segment, &(struct timespec){0}))
		return 0; /* the first one knew best */
	more = reallocarray(logtime->found, logtime->found_count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	logtime->found = more;
	more[logtime->found_count++] = (struct segment_time){segment, time};
	return 0;
}

static int begin_operation(struct logtime *logtime, const struct dwal_record *record,
			   const struct dwal_header *header)
{
	struct timespec time, found;

	if (!line_time(header, "time", &time))
		return 0;
	logtime->now = all_at(time);
	logtime->now.removes = true;
	if (line_time(header, "mtime", &logtime->now.mtime))
		logtime->now.ctime = logtime->now.mtime;
	(void)line_time(header, "ctime", &logtime->now.ctime);
	logtime->now.enters = line_time(header, "entered", &logtime->now.entered);
	logtime->txid = header->txid;
	logtime->segment = record->segment;
	logtime->timed = true;
	logtime->by_clock = false;
	return line_time(header, "found", &found) ? note_found(logtime, record->segment, found) : 0;
}

static bool set_clock(struct logtime *logtime, const struct dwal_record *record)
{
	int64_t seconds;

	if (record->type != DWAL_RAW ||
	    !clock_parse(record->key.data, record->key.len, record->payload.data,
			 record->payload.len, &seconds))
		return false;
	logtime->now = all_at((struct timespec){.tv_sec = seconds});
	logtime->timed = logtime->by_clock = true;
	return true;
}

int logtime_next(struct logtime *logtime, const struct dwal_record *record, struct record_time *out)
{
	struct dwal_header header;
	int r = 0;

	if (dwal_header_parse(record, &header))
		r = begin_operation(logtime, record, &header);
	else if (!set_clock(logtime, record) && !logtime->by_clock && logtime->timed &&
		 record->txid != logtime->txid)
		logtime->now = all_at(logtime->now.time); /* of somebody who writes no headers */
	*out = logtime->now;
	if (!logtime->timed || (!logtime->by_clock && record->segment != logtime->segment))
		*out = all_at(time_of_segment(record->segment));
	return r;
}

bool logtime_found(const struct logtime *logtime, uint32_t segment, struct timespec *out)
{
	size_t low = 0, high = logtime->found_count; /* by segments, as the log is read */

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (logtime->found[middle].segment < segment)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == logtime->found_count || logtime->found[low].segment != segment)
		return false;
	*out = logtime->found[low].time;
	return true;
}

void logtime_release(struct logtime *logtime)
{
	free(logtime->found);
	*logtime = (struct logtime){0};
}
