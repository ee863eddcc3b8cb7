/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Unfinished content: to the log, and from it.
 */
#define HASH_NONFATAL_OOM 1 /* before it includes uthash.h */
#include "file/unfinished.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "keyed_hash.h"
#include "tree/treename.h"
#include "txn.h"
#include "unfinished_head.h"

#define HEAD_MOST \
	(sizeof(UNFINISHED_FIRST "key=\nsize=\noffset=\n\n") + UNFINISHED_KEY_DIGITS + 2 * 20)

/* Into a buffer of HEAD_MOST bytes; its length. */
static size_t write_head(char *head, struct dwal_bytes key, uint64_t size, uint64_t begin)
{
	char *end = head + sprintf(head, UNFINISHED_FIRST "key=");

	end = base64_encode(key.data, key.len, end);
	end += sprintf(end, "\nsize=%" PRIu64 "\noffset=%" PRIu64 "\n\n", size, begin);
	return (size_t)(end - head);
}

static int append_once(struct fs *fs, struct dwal_bytes payload)
{
	cleanup_txn struct txn txn;

	txn_begin(&txn, fs, "unfinished", tree_now());
	txn_raw(&txn, (struct dwal_bytes){UNFINISHED_KEY, strlen(UNFINISHED_KEY)}, payload);
	return txn_commit(&txn);
}

static int append_part(struct fs *fs, struct dwal_bytes payload)
{
	int r;

	do {
		txn_lock(fs);
		r = append_once(fs, payload);
	} while (txn_unlock(fs, r));
	return r;
}

/* As many records as it takes: a value can be as large as a record. */
static int append_parts(struct fs *fs, const struct stage *stage, struct dwal_bytes key)
{
	size_t room = HEAD_MOST + stage->size, begin = 0;
	char *payload;
	int r;

	if (room > DWAL_MAX_PAYLOAD)
		room = DWAL_MAX_PAYLOAD;
	payload = malloc(room);
	if (!payload)
		return ENOMEM;
	do {
		size_t head = write_head(payload, key, stage->size, begin);
		size_t part = stage->size - begin;

		if (part > room - head)
			part = room - head;
		if (part)
			memcpy(payload + head, stage->bytes.data + begin, part);
		r = append_part(fs, (struct dwal_bytes){payload, head + part});
		begin += part;
	} while (!r && begin < stage->size);
	free(payload);
	return r;
}

int unfinished_keep(struct fs *fs, struct stage *stage)
{
	char key[DWAL_MAX_KEY];
	size_t len = 0;
	bool has_place;
	int r = 0;

	tree_lock(&fs->tree);
	has_place = node_has_place(&fs->tree, stage->node);
	if (has_place)
		r = tree_key(&fs->tree, stage->node, key, &len);
	tree_unlock(&fs->tree);
	if (!r && has_place)
		r = append_parts(fs, stage, (struct dwal_bytes){key, len});
	pthread_mutex_lock(&stage->lock);
	if (!r)
		stage->dirty = false;
	stage->retry = r;
	pthread_mutex_unlock(&stage->lock);
	if (r)
		fs->failed_commits++;
	return r;
}

/* ---------------------------------------------------------------- reading */

/* Newly allocated; NULL: not such a record, or (with *r) no memory. */
static struct unfinished *parse(const struct dwal_record *record, int *r)
{
	struct unfinished_head head;
	struct unfinished *found;

	*r = 0;
	if (!unfinished_head_parse(record, &head))
		return NULL;
	found = calloc(1, sizeof(*found) + head.digits.len / 4 * 3 + 1);
	if (!found) {
		*r = -ENOMEM;
		return NULL;
	}
	*found = (struct unfinished){.size = head.size, .begin = head.begin, .part = head.part};
	if (base64_decode(head.digits.data, head.digits.len, found->key, &found->key_len))
		return found;
	free(found);
	return NULL;
}

static unsigned hash_of(const struct fs *fs, struct dwal_bytes key)
{
	return (unsigned)keyed_hash(fs->tree.hash_key, key.data, key.len);
}

static struct unfinished *find(const struct fs *fs, struct dwal_bytes key)
{
	struct unfinished *found = NULL;

	if (fs->unfinished)
		HASH_FIND_BYHASHVALUE(hh, fs->unfinished, key.data, key.len, hash_of(fs, key),
				      found);
	return found;
}

static void forget(struct fs *fs, struct unfinished *one)
{
	HASH_DEL(fs->unfinished, one);
	free(one);
}

int unfinished_replay(struct fs *fs, const struct dwal_record *record)
{
	struct unfinished *found;
	int r;

	if (record->type != DWAL_RAW) {
		while ((found = find(fs, record->key)))
			forget(fs, found);
		return 0;
	}
	found = parse(record, &r);
	if (!found)
		return r;
	found->segment = record->segment;
	found->txid = record->txid;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, fs->unfinished, found->key, (unsigned)found->key_len,
				    hash_of(fs, (struct dwal_bytes){found->key, found->key_len}),
				    found);
	if (found->hh.tbl)
		return 0;
	free(found);
	return -ENOMEM;
}

void unfinished_free(struct fs *fs)
{
	while (fs->unfinished)
		forget(fs, fs->unfinished);
}
