/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The table of node ids: slots that are used again, each time with the next
 * generation.
 */
#include "tree/nodeid.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* A slot's generations are 30 random bits and count up to here. A slot that has
 * no more is never used again: it was used a thousand million times. */
#define GENERATION_BITS 30
#define LAST_GENERATION ((uint32_t)INT32_MAX)

#define FIRST_CAPACITY 1024u

struct nodeid_slot {
	struct node *node;   /* NULL: free */
	uint32_t generation; /* of the node, or of the next one */
	uint32_t next_free;
};

int nodeid_init(struct nodeids *ids)
{
	uint32_t drawn[2];

	if (getrandom(drawn, sizeof(drawn), 0) != sizeof(drawn))
		return errno;
	*ids = (struct nodeids){
		.count = 1,
		.first = 1 + (drawn[0] >> (32 - GENERATION_BITS)),
		.mount = drawn[1],
	};
	return 0;
}

void nodeid_release(struct nodeids *ids)
{
	free(ids->slots);
	*ids = (struct nodeids){0};
}

static int grow(struct nodeids *ids)
{
	uint32_t more = ids->capacity ? 2 * ids->capacity : FIRST_CAPACITY;
	struct nodeid_slot *larger = NULL;

	if (more > ids->capacity) /* or all 32 bits are used */
		larger = reallocarray(ids->slots, more, sizeof(*larger));
	if (!larger)
		return ENOMEM;
	ids->slots = larger;
	ids->capacity = more;
	return 0;
}

int nodeid_take(struct nodeids *ids, struct node *node, uint32_t *slot)
{
	int r;

	if (ids->free) {
		*slot = ids->free;
		ids->free = ids->slots[*slot].next_free;
		ids->slots[*slot].node = node;
		return 0;
	}
	r = ids->count < ids->capacity ? 0 : grow(ids);
	if (r)
		return r;
	*slot = ids->count++;
	ids->slots[*slot] = (struct nodeid_slot){.node = node, .generation = ids->first};
	return 0;
}

void nodeid_give_back(struct nodeids *ids, uint32_t slot)
{
	struct nodeid_slot *its = &ids->slots[slot];

	its->node = NULL;
	if (its->generation == LAST_GENERATION)
		return;
	its->generation++;
	its->next_free = ids->free;
	ids->free = slot;
}

uint64_t nodeid_of(const struct nodeids *ids, uint32_t slot)
{
	return (uint64_t)ids->slots[slot].generation << 32 | slot;
}

struct node *nodeid_find(const struct nodeids *ids, uint64_t id)
{
	uint32_t slot = (uint32_t)id;

	if (slot == NODEID_NONE || slot >= ids->count || ids->slots[slot].generation != id >> 32)
		return NULL;
	return ids->slots[slot].node;
}

struct node *nodeid_next(const struct nodeids *ids, uint32_t *slot)
{
	while (++*slot < ids->count)
		if (ids->slots[*slot].node)
			return ids->slots[*slot].node;
	return NULL;
}
