/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A bounded queue under a lock, and the wait for it.
 */
#include "errands.h"

#include <errno.h>
#include <string.h>

void errands_init(struct errands *errands)
{
	pthread_condattr_t monotonic;

	*errands = (struct errands){.count = 0};
	pthread_mutex_init(&errands->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&errands->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void errands_release(struct errands *errands)
{
	pthread_cond_destroy(&errands->wake);
	pthread_mutex_destroy(&errands->lock);
}

void errands_add(struct errands *errands, uint64_t id)
{
	if (!id)
		return;
	pthread_mutex_lock(&errands->lock);
	if (errands->count < ERRANDS_MOST)
		errands->ids[errands->count++] = id;
	pthread_cond_signal(&errands->wake);
	pthread_mutex_unlock(&errands->lock);
}

void errands_hurry(struct errands *errands)
{
	pthread_mutex_lock(&errands->lock);
	errands->hurried = true;
	pthread_cond_signal(&errands->wake);
	pthread_mutex_unlock(&errands->lock);
}

size_t errands_take(struct errands *errands, const struct timespec *deadline,
		    uint64_t ids[ERRANDS_MOST])
{
	size_t count;
	int r = 0;

	pthread_mutex_lock(&errands->lock);
	while (!errands->count && !errands->hurried && !errands->ended && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&errands->wake, &errands->lock, deadline);
	count = errands->ended ? 0 : errands->count;
	if (!count)
		errands->hurried = false;
	memcpy(ids, errands->ids, count * sizeof(*ids));
	errands->count = 0;
	pthread_mutex_unlock(&errands->lock);
	return count;
}

void errands_end(struct errands *errands)
{
	pthread_mutex_lock(&errands->lock);
	errands->ended = true;
	pthread_cond_signal(&errands->wake);
	pthread_mutex_unlock(&errands->lock);
}
