/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Records go over in chunks, of which one is filled, one waits and one is replayed.
 */
#include "tree/replayer.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)256 << 10) /* bytes: some 1,500 records, a millisecond */

/* A record without its payload where tree_replay() need not see that. */
struct entry {
	struct replay_entry told;
	char bytes[]; /* the key, the payload */
};

struct chunk {
	size_t used, size;
	_Alignas(struct entry) char bytes[];
};

static size_t size_of(const struct dwal_record *record)
{
	size_t size = offsetof(struct entry, bytes) + record->key.len;
	size_t align = _Alignof(struct entry);

	if (record->payload.data)
		size += record->payload.len;
	return (size + align - 1) / align * align;
}

static int replay_all(struct tree *tree, const struct chunk *chunk)
{
	const struct replay_entry *some[TREE_REPLAY_SOME];
	int r = 0;

	for (size_t at = 0; !r && at < chunk->used;) {
		size_t n = 0;

		for (; n < TREE_REPLAY_SOME && at < chunk->used; n++) {
			some[n] = (const void *)(chunk->bytes + at);
			at += size_of(&some[n]->record);
		}
		r = tree_replay_some(tree, some, n);
	}
	return r;
}

/* Takes it over. */
static void replay_chunk(struct replayer *replayer, struct chunk *chunk)
{
	int err = replay_all(replayer->tree, chunk);

	free(chunk);
	pthread_mutex_lock(&replayer->lock);
	replayer->err = err;
	pthread_mutex_unlock(&replayer->lock);
}

/* The next one; NULL: there is none any more, or none is to be replayed. */
static struct chunk *take(struct replayer *replayer)
{
	struct chunk *chunk = NULL;

	pthread_mutex_lock(&replayer->lock);
	while (!replayer->full && !replayer->ended)
		pthread_cond_wait(&replayer->changed, &replayer->lock);
	if (!replayer->err) {
		chunk = replayer->full;
		replayer->full = NULL;
	}
	pthread_cond_signal(&replayer->changed);
	pthread_mutex_unlock(&replayer->lock);
	return chunk;
}

static void *work(void *arg)
{
	struct replayer *replayer = arg;
	struct chunk *chunk;

	while ((chunk = take(replayer)))
		replay_chunk(replayer, chunk);
	return NULL;
}

/* Without a thread it is replayed here. */
static int hand_over(struct replayer *replayer)
{
	struct chunk *chunk = replayer->filling;
	int err;

	replayer->filling = NULL;
	if (!replayer->runs)
		replayer->runs = !pthread_create(&replayer->thread, NULL, work, replayer);
	if (!replayer->runs) {
		replay_chunk(replayer, chunk);
		return replayer->err;
	}
	pthread_mutex_lock(&replayer->lock);
	while (replayer->full && !replayer->err)
		pthread_cond_wait(&replayer->changed, &replayer->lock);
	err = replayer->err;
	if (!err)
		replayer->full = chunk;
	pthread_cond_signal(&replayer->changed);
	pthread_mutex_unlock(&replayer->lock);
	if (err)
		free(chunk);
	return err;
}

static int make_room(struct replayer *replayer, size_t need)
{
	size_t size = need > CHUNK ? need : CHUNK;
	struct chunk *chunk = replayer->filling;
	int r = 0;

	if (chunk && need <= chunk->size - chunk->used)
		return 0;
	if (chunk)
		r = hand_over(replayer);
	if (r)
		return r;
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return -ENOMEM;
	chunk->used = 0;
	chunk->size = size;
	replayer->filling = chunk;
	return 0;
}

/* Into the bytes of the entry, which then are its own. */
static char *keep(struct dwal_bytes *bytes, char *to)
{
	if (!bytes->data || !bytes->len)
		return to;
	memcpy(to, bytes->data, bytes->len);
	bytes->data = to;
	return to + bytes->len;
}

int replayer_add(struct replayer *replayer, const struct dwal_record *record,
		 const struct record_time *when)
{
	struct entry entry = {.told = {*record, *when}};
	struct chunk *chunk;
	char *at;
	int r;

	if (!tree_replay_brief(&entry.told.record))
		return 0;
	r = make_room(replayer, size_of(&entry.told.record));
	if (r)
		return r;
	chunk = replayer->filling;
	at = chunk->bytes + chunk->used;
	chunk->used += size_of(&entry.told.record);
	(void)keep(&entry.told.record.payload,
		   keep(&entry.told.record.key, at + offsetof(struct entry, bytes)));
	memcpy(at, &entry, offsetof(struct entry, bytes));
	return 0;
}

void replayer_begin(struct replayer *replayer, struct tree *tree)
{
	*replayer = (struct replayer){.tree = tree};
	(void)pthread_mutex_init(&replayer->lock, NULL); /* neither can fail */
	(void)pthread_cond_init(&replayer->changed, NULL);
}

int replayer_end(struct replayer *replayer)
{
	if (replayer->filling && replayer->runs)
		(void)hand_over(replayer); /* its error stays */
	else if (replayer->filling)
		replay_chunk(replayer, replayer->filling);
	pthread_mutex_lock(&replayer->lock);
	replayer->ended = true;
	pthread_cond_signal(&replayer->changed);
	pthread_mutex_unlock(&replayer->lock);
	if (replayer->runs)
		(void)pthread_join(replayer->thread, NULL);
	free(replayer->full);
	(void)pthread_cond_destroy(&replayer->changed);
	(void)pthread_mutex_destroy(&replayer->lock);
	return replayer->err;
}
