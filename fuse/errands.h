/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the kernel is to be told and whoever found that out could not tell it,
 * for the locks he held: nodes whose attributes it is to forget. The background
 * thread (mount/keeper.h) does these errands. Knows neither nodes nor the kernel.
 *
 * Attributes only. Pages and names are not taken from the kernel in this way:
 * that can wait for a request in flight, and were the daemon killed then, it
 * could not die. Instead the name of a new file that was given up leads to ESTALE,
 * other names that can go without the kernel's doing are not cached, and pages of a
 * dropped staging are not kept at the next open.
 */
#ifndef ERRANDS_H
#define ERRANDS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define ERRANDS_MOST 256

struct errands {
	pthread_mutex_t lock; /* innermost of all; protects the rest */
	pthread_cond_t wake;
	uint64_t ids[ERRANDS_MOST];
	size_t count;
	bool hurried;
	bool ended;
};

void errands_init(struct errands *errands);
void errands_release(struct errands *errands);

/* The attributes of the node with this id, soon; 0 is none. When the queue is
 * full the errand is dropped, and the kernel believes its cache a little longer.
 * Never waits, and cannot fail. */
void errands_add(struct errands *errands, uint64_t id);

/* Ends one wait, the next if there is none now. Never waits, and cannot fail. */
void errands_hurry(struct errands *errands);

/* Waits until there are some, or until the deadline (CLOCK_MONOTONIC), and takes
 * them all. Returns how many; 0: it is time, or errands_hurry() or errands_end() was
 * called. */
size_t errands_take(struct errands *errands, const struct timespec *deadline,
		    uint64_t ids[ERRANDS_MOST]);

/* Ends the wait, now and from here on: nobody takes errands any more. */
void errands_end(struct errands *errands);

#endif
