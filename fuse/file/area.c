/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Mappings, the last one used in front.
 */
#include "file/area.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "datawal.h"
#include "hugepage.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the rest */
static struct area *kept;
static size_t kept_bytes;

static const size_t mapped_size = DWAL_MAX_PAYLOAD + HUGEPAGE; /* to begin with a whole one */

static struct area *map_new(void)
{
	struct area *area = calloc(1, sizeof(*area));
	void *mapped = area ? mmap(NULL, mapped_size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
			    : MAP_FAILED;

	if (mapped == MAP_FAILED) {
		free(area);
		return NULL;
	}
	area->mapped = mapped;
	area->data =
		(unsigned char *)mapped + (hugepage_round((uintptr_t)mapped) - (uintptr_t)mapped);
	hugepage_advise(area->data, DWAL_MAX_PAYLOAD);
	return area;
}

static void unmap(struct area *area)
{
	(void)munmap(area->mapped, mapped_size); /* it is whole */
	free(area);
}

struct area *area_take(void)
{
	struct area *area;

	pthread_mutex_lock(&lock);
	area = kept;
	if (area)
		kept = area->next;
	pthread_mutex_unlock(&lock);
	return area ? area : map_new();
}

void area_give_back(struct area *area, size_t touched)
{
	bool stays;

	touched = hugepage_round(touched);
	if (touched < area->kept)
		touched = area->kept;
	pthread_mutex_lock(&lock);
	kept_bytes -= area->kept;
	stays = touched <= AREA_KEPT_MOST - kept_bytes;
	if (stays) {
		kept_bytes += area->kept = touched;
		area->rested = false;
		area->next = kept;
		kept = area;
	}
	pthread_mutex_unlock(&lock);
	if (!stays)
		unmap(area);
}

/* Takes those out that have rested. Wants the lock. */
static struct area *take_rested(void)
{
	struct area **at = &kept, *rested = NULL;

	while (*at) {
		struct area *area = *at;

		if (!area->rested) {
			area->rested = true;
			at = &area->next;
			continue;
		}
		*at = area->next;
		area->next = rested;
		rested = area;
		kept_bytes -= area->kept;
	}
	return rested;
}

void area_rest(void)
{
	struct area *rested;

	pthread_mutex_lock(&lock);
	rested = take_rested();
	pthread_mutex_unlock(&lock);
	while (rested) {
		struct area *next = rested->next;

		unmap(rested);
		rested = next;
	}
}
