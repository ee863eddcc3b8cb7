/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Node ids: what the kernel calls the nodes that it knows. An id is a slot of
 * a table and the generation of that slot, so that it finds its node at once
 * and never stands for another one: not for a later one, and not, as the
 * generations start at random, for one of another mount.
 *
 * Only nodes that the kernel knows have a slot. Knows nothing of nodes but
 * their addresses. Every function wants the tree's lock.
 */
#ifndef NODEID_H
#define NODEID_H

#include <stdint.h>

struct node;
struct nodeid_slot;

/* Ids have neither this bit nor the value of FUSE_ROOT_ID. */
#define NODEID_FOREIGN ((uint64_t)1 << 63)

/* No slot: what a node has that the kernel does not know. */
#define NODEID_NONE 0

struct nodeids {
	struct nodeid_slot *slots; /* the first one stays unused: NODEID_NONE */
	uint32_t count, capacity;
	uint32_t free;  /* head of a list, or NODEID_NONE */
	uint32_t first; /* generation of a new slot */
	uint32_t mount; /* random: distinguishes this mount's ids once more */
};

/* Draws the random numbers. 0 or a positive errno. */
int nodeid_init(struct nodeids *ids);
void nodeid_release(struct nodeids *ids);

/* A slot for a node. 0 or ENOMEM. */
int nodeid_take(struct nodeids *ids, struct node *node, uint32_t *slot);

/* Ends the id: it is never valid again. */
void nodeid_give_back(struct nodeids *ids, uint32_t slot);

/* The id of a slot that is taken. */
uint64_t nodeid_of(const struct nodeids *ids, uint32_t slot);

/* NULL: there is no such id, or no longer. */
struct node *nodeid_find(const struct nodeids *ids, uint64_t id);

/* Each node in turn that has a slot: *slot begins as NODEID_NONE. NULL: that
 * was the last. */
struct node *nodeid_next(const struct nodeids *ids, uint32_t *slot);

#endif
