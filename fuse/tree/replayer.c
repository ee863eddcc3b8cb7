/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Records go over in chunks, of which one is filled, one waits and one is replayed.
 */
#include "tree/replayer.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define CHUNK ((size_t)256 << 10) /* bytes: some 1,500 records, a millisecond */

/* A record without its payload where tree_replay() need not see that. */
struct entry {
	struct dwal_record record;
	const struct record_time *when; /* in the chunk; one for all in a row that have the same */
	char bytes[];                   /* the key, the payload */
};

struct chunk {
	size_t size, used, end;         /* entries are before used, times from end on */
	const struct record_time *when; /* the last one; NULL: none yet */
	_Alignas(struct entry) char bytes[];
};

/* With its bytes. */
static size_t size_of(const struct entry *entry)
{
	size_t size = offsetof(struct entry, bytes) + entry->record.key.len;
	size_t align = _Alignof(struct entry);

	if (entry->record.payload.data)
		size += entry->record.payload.len;
	return (size + align - 1) / align * align;
}

static int replay_all(struct tree *tree, const struct chunk *chunk)
{
	struct replay_entry some[TREE_REPLAY_SOME];
	int r = 0;

	for (size_t at = 0; !r && at < chunk->used;) {
		size_t n = 0;

		for (; n < TREE_REPLAY_SOME && at < chunk->used; n++) {
			const struct entry *entry = (const void *)(chunk->bytes + at);

			some[n] = (struct replay_entry){&entry->record, entry->when};
			at += size_of(entry);
		}
		r = tree_replay_some(tree, some, n);
	}
	return r;
}

/* Takes it over, and keeps it for the next one. */
static void replay_chunk(struct replayer *replayer, struct chunk *chunk)
{
	int err = replay_all(replayer->tree, chunk);

	pthread_mutex_lock(&replayer->lock);
	replayer->err = err;
	if (!replayer->spare && chunk->size == CHUNK) {
		replayer->spare = chunk;
		chunk = NULL;
	}
	pthread_mutex_unlock(&replayer->lock);
	free(chunk);
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

static struct chunk *new_chunk(struct replayer *replayer, size_t size)
{
	struct chunk *chunk = NULL;

	pthread_mutex_lock(&replayer->lock);
	if (size == CHUNK) {
		chunk = replayer->spare;
		replayer->spare = NULL;
	}
	pthread_mutex_unlock(&replayer->lock);
	if (!chunk)
		chunk = malloc(sizeof(*chunk) + size);
	if (chunk)
		*chunk = (struct chunk){.size = size, .end = size};
	return chunk;
}

static int make_room(struct replayer *replayer, size_t need)
{
	struct chunk *chunk = replayer->filling;
	int r = 0;

	if (chunk && need <= chunk->end - chunk->used)
		return 0;
	if (chunk)
		r = hand_over(replayer);
	if (r)
		return r;
	replayer->filling = new_chunk(replayer, need > CHUNK ? need : CHUNK);
	return replayer->filling ? 0 : -ENOMEM;
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

static bool same_time(const struct record_time *a, const struct record_time *b)
{
	return timespec_equal(a->mtime, b->mtime) && timespec_equal(a->ctime, b->ctime) &&
	       timespec_equal(a->entered, b->entered) && timespec_equal(a->time, b->time) &&
	       a->removes == b->removes && a->enters == b->enters;
}

/* In the chunk, where there is room for it. */
static const struct record_time *keep_time(struct chunk *chunk, const struct record_time *when)
{
	if (!chunk->when || !same_time(chunk->when, when)) {
		chunk->end -= sizeof(*when);
		chunk->when = memcpy(chunk->bytes + chunk->end, when, sizeof(*when));
	}
	return chunk->when;
}

int replayer_add(struct replayer *replayer, const struct dwal_record *record,
		 const struct record_time *when)
{
	struct entry entry = {.record = *record};
	struct chunk *chunk;
	char *at;
	int r;

	if (!tree_replay_brief(&entry.record))
		return 0;
	r = make_room(replayer, size_of(&entry) + sizeof(*when));
	if (r)
		return r;
	chunk = replayer->filling;
	at = chunk->bytes + chunk->used;
	chunk->used += size_of(&entry);
	entry.when = keep_time(chunk, when);
	(void)keep(&entry.record.payload,
		   keep(&entry.record.key, at + offsetof(struct entry, bytes)));
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
	free(replayer->spare);
	(void)pthread_cond_destroy(&replayer->changed);
	(void)pthread_mutex_destroy(&replayer->lock);
	return replayer->err;
}
