/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * An order, a state, and the wait for the one and the other.
 */
#include "compaction.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void compaction_init(struct compaction *compaction)
{
	pthread_condattr_t monotonic;

	*compaction = (struct compaction){.why_not = "nobody has looked yet"};
	pthread_mutex_init(&compaction->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&compaction->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void compaction_release(struct compaction *compaction)
{
	pthread_cond_destroy(&compaction->wake);
	pthread_mutex_destroy(&compaction->lock);
}

int compaction_order(struct compaction *compaction, const struct mountctl_compact *order)
{
	int r = 0;

	if (order->how > MOUNTCTL_KEEP_BYTES ||
	    (order->flags & ~(MOUNTCTL_DROP_TAGS | MOUNTCTL_DRY_RUN)))
		return EINVAL;
	pthread_mutex_lock(&compaction->lock);
	if (compaction->ordered || compaction->now.state.running || compaction->ended)
		r = EBUSY;
	if (!r) {
		compaction->order = *order;
		compaction->ordered = true;
		pthread_cond_signal(&compaction->wake);
	}
	pthread_mutex_unlock(&compaction->lock);
	return r;
}

void compaction_stop(struct compaction *compaction)
{
	pthread_mutex_lock(&compaction->lock);
	compaction->stopped = compaction->ordered || compaction->now.state.running;
	pthread_mutex_unlock(&compaction->lock);
}

void compaction_note_full(struct compaction *compaction)
{
	pthread_mutex_lock(&compaction->lock);
	compaction->full = true;
	pthread_cond_signal(&compaction->wake);
	pthread_mutex_unlock(&compaction->lock);
}

struct mountctl_compact_state compaction_state(struct compaction *compaction)
{
	struct mountctl_compact_state state;

	pthread_mutex_lock(&compaction->lock);
	state = compaction->now.state;
	if (compaction->ordered) { /* who has asked sees none but his own */
		state = (struct mountctl_compact_state){.run = state.run + 1, .running = 1};
		state.flags = compaction->order.flags;
		state.asked = 1;
	}
	pthread_mutex_unlock(&compaction->lock);
	return state;
}

struct compaction_told compaction_last(struct compaction *compaction, const char **why_not)
{
	struct compaction_told last;

	pthread_mutex_lock(&compaction->lock);
	last = compaction->last;
	*why_not = compaction->why_not;
	pthread_mutex_unlock(&compaction->lock);
	return last;
}

bool compaction_await(struct compaction *compaction, const struct timespec *deadline,
		      struct compaction_call *out)
{
	bool goes_on;
	int r = 0;

	pthread_mutex_lock(&compaction->lock);
	while (!compaction->ordered && !compaction->full && !compaction->ended && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&compaction->wake, &compaction->lock, deadline);
	*out = (struct compaction_call){compaction->ordered, compaction->order, compaction->full};
	compaction->full = false;
	goes_on = !compaction->ended;
	pthread_mutex_unlock(&compaction->lock);
	return goes_on;
}

void compaction_begin(struct compaction *compaction, bool ordered, uint32_t flags, const char *why)
{
	pthread_mutex_lock(&compaction->lock);
	if (ordered)
		compaction->ordered = false;
	compaction->now = (struct compaction_told){
		.state = {.run = compaction->now.state.run + 1,
			  .running = 1,
			  .flags = flags,
			  .asked = ordered,
			  .started = time(NULL)},
		.why = why,
	};
	pthread_mutex_unlock(&compaction->lock);
}

static void take_stats(struct mountctl_compact_state *state, const struct dwal_rewrite_stats *stats)
{
	state->segments = stats->segments;
	state->segments_done = stats->segments_done;
	state->segments_rewritten = stats->segments_rewritten;
	state->segments_damaged = stats->segments_damaged;
	state->bytes = stats->bytes;
	state->bytes_done = stats->bytes_done;
	state->records_dropped = stats->records_dropped;
	state->bytes_freed = stats->bytes_freed;
	state->lo = stats->given_up.lo;
	state->hi = stats->given_up.hi;
	state->keep_txid = stats->keep_txid;
}

int compaction_progress(struct compaction *compaction, const struct dwal_rewrite_stats *so_far)
{
	int r;

	pthread_mutex_lock(&compaction->lock);
	take_stats(&compaction->now.state, so_far);
	r = compaction->stopped || compaction->ended ? -ECANCELED : 0;
	pthread_mutex_unlock(&compaction->lock);
	return r;
}

void compaction_finish(struct compaction *compaction, int result, const char *message,
		       const struct dwal_rewrite_stats *stats)
{
	struct mountctl_compact_state *state = &compaction->now.state;

	pthread_mutex_lock(&compaction->lock);
	take_stats(state, stats);
	state->running = 0;
	state->result = result;
	state->ended = time(NULL);
	(void)snprintf(state->message, sizeof(state->message), "%s", message);
	if (!(state->flags & MOUNTCTL_DRY_RUN))
		compaction->last = compaction->now;
	compaction->stopped = false;
	pthread_mutex_unlock(&compaction->lock);
}

void compaction_decline(struct compaction *compaction, const char *why_not)
{
	pthread_mutex_lock(&compaction->lock);
	compaction->why_not = why_not;
	pthread_mutex_unlock(&compaction->lock);
}

void compaction_end(struct compaction *compaction)
{
	pthread_mutex_lock(&compaction->lock);
	compaction->ended = true;
	pthread_cond_signal(&compaction->wake);
	pthread_mutex_unlock(&compaction->lock);
}
