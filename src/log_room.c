/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What a log does so that something can be removed on a full disk: who may
 * take which room, and when it is taken and given up. Must not know what is
 * appended.
 */
#include "log_state.h"
#include "util.h"

#include <errno.h>

/* What is neither removed nor kept room for it. A part of a large one may be
 * there. */
static int make_room_behind(dwal_log *log, uint64_t bytes)
{
	struct reserve *reserve = &log->reserve;
	const struct segment *active = log_active(log);
	int rc = 0;

	if (!reserve->is_held && !reserve->is_unable)
		rc = reserve_make(reserve, active->fd);
	if (rc)
		return rc;
	rc = reserve_ahead(reserve, active->fd, active->end, bytes + RESERVE_KEEP);
	if (rc && bytes > RESERVE_STEP) {
		(void)reserve_cut(log->io, active->fd); /* the append is refused anyway */
		reserve_ahead_anew(reserve, active->fd, active->end);
	}
	return rc;
}

int log_make_room(dwal_log *log, const struct batch_records *records)
{
	const struct segment *active = log_active(log);

	if (!log->reserve.wanted)
		return 0;
	if (!records->may_use_reserve)
		return make_room_behind(log, log->batch.bytes);
	/* where that is refused the append itself may still find room */
	(void)reserve_ahead(&log->reserve, active->fd, active->end, log->batch.bytes);
	return 0;
}

bool log_find_room(dwal_log *log, const struct batch_records *records, int rc)
{
	return io_is_full(rc) && records->may_use_reserve && !reserve_give_up(&log->reserve);
}

void log_take_room(dwal_log *log)
{
	const struct segment *active = log_active(log);

	if (!atomic_load(&log->refusal))
		reserve_ahead_anew(&log->reserve, active->fd, active->end);
}

int log_leave_room(dwal_log *log)
{
	if (!log->reserve.ahead || atomic_load(&log->refusal))
		return 0;
	log->reserve.ahead = 0;
	return reserve_cut(log->io, log_active(log)->fd);
}

void log_renew_reserve(dwal_log *log)
{
	struct reserve *reserve = &log->reserve;

	pthread_mutex_lock(&log->append_lock);
	reserve->is_unable = false;
	if (!reserve->is_held && !atomic_load(&log->refusal))
		(void)reserve_make(reserve, log_active(log)->fd); /* else later */
	pthread_mutex_unlock(&log->append_lock);
}

int log_lend_reserve(dwal_log *log)
{
	int rc;

	pthread_mutex_lock(&log->append_lock);
	rc = reserve_give_up(&log->reserve);
	if (!rc)
		log->reserve.is_lent = true;
	pthread_mutex_unlock(&log->append_lock);
	return rc;
}

void log_end_lending(dwal_log *log)
{
	pthread_mutex_lock(&log->append_lock);
	log->reserve.is_lent = false;
	pthread_mutex_unlock(&log->append_lock);
	log_renew_reserve(log);
}
