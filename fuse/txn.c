/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The records of one operation, in one write. Knows the record formats of
 * datawalfs, and not why a record is written.
 */
#include "txn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "tree/nodeattr.h"
#include "tree/number.h"

/* So many bytes are not left to a rotation, which waits for its sync: they are synced
 * at once, and a full segment takes more meanwhile. So 64 files of 1 MiB took 0.64
 * of the time, 4 of 16 MiB 0.78 (medians of 4 by turns): most bursts met a rotation. */
#define SYNC_FROM ((uint64_t)8 << 20)

void txn_lock(struct fs *fs)
{
	pthread_mutex_lock(&fs->write_lock);
}

bool txn_unlock(struct fs *fs, int r)
{
	pthread_mutex_unlock(&fs->write_lock);
	if (r == FS_PUT_OFF)
		(void)txn_sync(fs); /* a failure poisons the log: so the next try ends */
	return r == FS_PUT_OFF || r == FS_AGAIN;
}

void txn_begin(struct txn *txn, struct fs *fs, const char *op, struct timespec when)
{
	txn->fs = fs;
	txn->error = 0;
	txn->ops = txn->few_ops;
	txn->places = txn->few_places;
	txn->notes = txn->few_notes;
	txn->count = 0;
	txn->capacity = TXN_FEW;
	txn->op = op;
	txn->removes = false;
	txn->ahead = NULL;
	txn->time = txn->mtime = txn->ctime = txn->entered = when;
	txn->enters = false;
	txn->found = fs->found;
	txn->has_found = fs->has_found;
}

void txn_end(struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++)
		free(txn->notes[i].text);
	if (txn->ops == txn->few_ops)
		return;
	free(txn->ops);
	free(txn->places);
	free(txn->notes);
}

static int grow(struct txn *txn)
{
	size_t more = 2 * txn->capacity;
	struct dwal_op *ops = calloc(more, sizeof(*ops));
	struct dwal_place *places = calloc(more, sizeof(*places));
	struct txn_note *notes = calloc(more, sizeof(*notes));

	if (!ops || !places || !notes) {
		free(ops);
		free(places);
		free(notes);
		return ENOMEM;
	}
	memcpy(ops, txn->ops, txn->count * sizeof(*ops));
	memcpy(notes, txn->notes, txn->count * sizeof(*notes));
	if (txn->ops != txn->few_ops) {
		free(txn->ops);
		free(txn->places);
		free(txn->notes);
	}
	txn->ops = ops;
	txn->places = places;
	txn->notes = notes;
	txn->capacity = more;
	return 0;
}

static void add(struct txn *txn, struct dwal_op op, struct txn_note note)
{
	if (!txn->error && txn->count == txn->capacity)
		txn->error = grow(txn);
	if (txn->error) {
		free(note.text);
		return;
	}
	txn->ops[txn->count] = op;
	txn->notes[txn->count++] = note;
}

void txn_put(struct txn *txn, struct dwal_bytes key, struct dwal_bytes content)
{
	txn->put = txn->count;
	add(txn, (struct dwal_op){DWAL_PUT, key, content}, (struct txn_note){0});
}

void txn_put_times(struct txn *txn, struct timespec mtime, struct timespec ctime)
{
	txn->mtime = mtime;
	txn->ctime = ctime;
}

void txn_enter(struct txn *txn, struct timespec when)
{
	txn->entered = when;
	txn->enters = true;
}

void txn_move(struct txn *txn, struct node *node, struct dwal_bytes key, struct dwal_bytes content)
{
	txn->put = txn->count;
	add(txn, (struct dwal_op){DWAL_PUT, key, content},
	    (struct txn_note){.node = node, .moved = true});
}

static void add_attr(struct txn *txn, struct dwal_bytes key, struct node *node,
		     const struct attr *attr, const struct xattr *xattrs)
{
	char *text = NULL;
	size_t len = 0;

	if (!txn->error)
		txn->error = attr_format_full(attr, xattrs, &text, &len);
	if (!txn->error)
		add(txn, (struct dwal_op){DWAL_RAW, key, {text, len}},
		    (struct txn_note){.node = node, .text = text});
}

static void add_snapshot(struct txn *txn, struct dwal_bytes key, struct node *node,
			 struct attr *attr)
{
	number_tell(node, key, attr);
	if (!node_make_extra(&txn->fs->tree, node)) /* where txn_told() notes the place */
		txn->error = ENOMEM;
	add_attr(txn, key, node, attr, nodeattr_xattrs(node));
}

void txn_attr(struct txn *txn, struct dwal_bytes key, struct node *node)
{
	struct attr attr = nodeattr_snapshot(node);

	add_snapshot(txn, key, node, &attr);
}

void txn_attr_moved(struct txn *txn, struct dwal_bytes key, struct node *node)
{
	struct attr attr = nodeattr_snapshot(node);

	attr.ctime = txn->time;
	attr.present |= ATTR_HAS_CTIME;
	add_snapshot(txn, key, node, &attr);
}

void txn_no_attr(struct txn *txn, struct dwal_bytes key)
{
	add_attr(txn, key, NULL, &(struct attr){.type = ATTR_NONE}, NULL);
}

void txn_delete(struct txn *txn, struct dwal_bytes key)
{
	add(txn, (struct dwal_op){DWAL_DELETE, key, {NULL, 0}}, (struct txn_note){0});
}

void txn_raw(struct txn *txn, struct dwal_bytes key, struct dwal_bytes payload)
{
	add(txn, (struct dwal_op){DWAL_RAW, key, payload}, (struct txn_note){0});
}

void txn_on_full_disk(struct txn *txn)
{
	txn->removes = true;
}

void txn_fill(struct txn *txn, size_t *at, struct dwal_bytes content)
{
	while (txn->ops[*at].type != DWAL_PUT)
		++*at;
	txn->ops[(*at)++].payload = content;
}

size_t txn_attr_bytes(const struct txn *txn)
{
	size_t bytes = 0;

	for (size_t i = 0; i < txn->count; i++)
		if (txn->notes[i].node && txn->notes[i].text)
			bytes += txn->ops[i].payload.len;
	return bytes;
}

/* The lines of a header: time, mtime, ctime, entered, found, op. */
struct lines {
	struct dwal_line list[6];
	char texts[5][TIME_TEXT_SIZE];
	size_t count;
};

static void add_time(struct lines *lines, const char *name, struct timespec time)
{
	char *text = lines->texts[lines->count];

	time_format(time, text);
	lines->list[lines->count++] = (struct dwal_line){name, text};
}

static void make_lines(const struct txn *txn, struct lines *lines)
{
	const struct fs *fs = txn->fs;

	lines->count = 0;
	if (fs->opt.noclock)
		return;
	add_time(lines, "time", txn->time);
	if (!timespec_equal(txn->mtime, txn->time))
		add_time(lines, "mtime", txn->mtime);
	if (!timespec_equal(txn->ctime, txn->mtime))
		add_time(lines, "ctime", txn->ctime);
	if (txn->enters)
		add_time(lines, "entered", txn->entered);
	if (txn->has_found)
		add_time(lines, "found", txn->found);
	lines->list[lines->count++] = (struct dwal_line){"op", txn->op};
}

/* lines: where those of its header are kept. */
static struct dwal_batch batch_of(const struct txn *txn, struct lines *lines)
{
	make_lines(txn, lines);
	return (struct dwal_batch){
		.ops = txn->ops,
		.n = txn->count,
		.lines = lines->list,
		.n_lines = lines->count,
		.may_use_reserve = txn->removes,
		.ahead = txn->ahead,
	};
}

int txn_write_ahead(struct txn *txn, dwal_ahead **out)
{
	struct dwal_batch batch;
	struct lines lines;

	if (txn->error)
		return txn->error;
	batch = batch_of(txn, &lines);
	return errno_of(dwal_kv_ahead(txn->fs->kv, &batch, out));
}

static void note_unsynced(const struct txn *txn)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < txn->count; i++)
		bytes += txn->places[i].length;
	if (atomic_fetch_add(&txn->fs->unsynced, bytes) + bytes >= SYNC_FROM)
		errands_hurry(&txn->fs->errands);
}

int txn_commit(struct txn *txn)
{
	struct fs *fs = txn->fs;
	struct dwal_batch batch;
	struct lines lines;
	int r = txn->error;

	if (r || !txn->count)
		return r;
	batch = batch_of(txn, &lines);
	r = errno_of(dwal_kv_write(fs->kv, &batch, txn->places));
	if (r == ENOSPC || r == EDQUOT)
		compaction_note_full(&fs->compaction);
	if (r)
		return r;
	fs->has_found = false;
	note_unsynced(txn);
	return 0;
}

void txn_told(const struct txn *txn)
{
	for (size_t i = 0; i < txn->count; i++) {
		const struct txn_note *note = &txn->notes[i];
		struct record_place place = {txn->places[i].segment, txn->places[i].offset};

		if (note->node)
			nodeattr_told(note->node, note->moved ? NULL : &place);
	}
}

int txn_sync(struct fs *fs)
{
	/* Before the sync: what is appended during it is not in it. */
	uint64_t had = atomic_exchange(&fs->unsynced, 0);
	int r = errno_of(dwal_kv_sync(fs->kv));

	if (r)
		atomic_fetch_add(&fs->unsynced, had);
	return r;
}
