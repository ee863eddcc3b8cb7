/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What one operation of the mount writes: its records, in order, as one write
 * of the log that happens as a whole or not at all (to the living process).
 * Everything that the mount appends is put together here, and what the log has
 * been told of a node is noted here.
 *
 *	txn_lock(fs)            the write lock, until txn_unlock()
 *	txn_begin(&txn, fs, "what", when)
 *	tree_lock(...)          what there is to say is a matter of the tree
 *	txn_put(&txn, ...), txn_attr(&txn, ...) ...
 *	tree_unlock(...)
 *	txn_commit(&txn)        one append
 *	tree_lock(...)
 *	txn_told(&txn)          with the change of the tree that belongs to it
 *	tree_unlock(...)
 *	txn_end(&txn)
 *
 * A failure to add a record is kept, and is what txn_commit() returns.
 */
#ifndef TXN_H
#define TXN_H

#include "fs.h"

/* So many records need no allocation: a directory's attributes, Put, attributes,
 * its directory's, Delete. */
#define TXN_FEW 5

/* What goes with a record beside its bytes. */
struct txn_note {
	struct node *node; /* of whose attributes it tells, or NULL */
	bool moved;        /* a Put that leaves the node's record at the old key */
	char *text;        /* the payload, when it is the transaction's own */
};

struct txn {
	struct fs *fs;
	int error; /* errno: not all could be added */
	struct dwal_op *ops;
	struct dwal_place *places; /* of the records, once committed */
	struct txn_note *notes;
	size_t count, capacity;
	size_t put;        /* the number of the last Put */
	bool removes;      /* it may use the room that is kept for a full disk */
	dwal_ahead *ahead; /* borrowed: what was written ahead of it, or NULL */

	/* What the header says, beside what the records are: ATTRIBUTES.md. */
	const char *op;
	struct timespec time;    /* of the operation */
	struct timespec mtime;   /* of the Put */
	struct timespec ctime;   /* of the Put's file */
	struct timespec entered; /* of the directory of its name */
	bool enters;             /* that is to be said, whatever it is */
	struct timespec found;   /* the active segment's own, */
	bool has_found;          /* if it is to be said */

	struct dwal_op few_ops[TXN_FEW];
	struct dwal_place few_places[TXN_FEW];
	struct txn_note few_notes[TXN_FEW];
};

/* Serialises what appends to the log, with the changes of the tree that belong
 * to it. No other lock may be held. */
void txn_lock(struct fs *fs);

/* Behind an operation that ended with r: true when it is to be done again from
 * its start, under the lock. FS_PUT_OFF: it met the end of a segment, and what fills
 * that has been synced by now, without the lock. */
bool txn_unlock(struct fs *fs, int r);

/* The rest wants the write lock, but txn_sync(). */

/* Makes an empty one, to be ended. It must stay where it is. Not thread-safe.
 * op: what is done, in a word, for people. when: the time that directories get
 * in which a name comes or goes, and Puts for which nothing else is said. */
void txn_begin(struct txn *txn, struct fs *fs, const char *op, struct timespec when);
void txn_end(struct txn *txn);

/* Ends a local one when it goes out of scope. */
#define cleanup_txn __attribute__((cleanup(txn_end)))

/* Adding records. key and content are borrowed until txn_commit(). */

void txn_put(struct txn *txn, struct dwal_bytes key, struct dwal_bytes content);

/* The times of the one Put, where they are not those of the operation. */
void txn_put_times(struct txn *txn, struct timespec mtime, struct timespec ctime);

/* The time that the directory of its name has from here on, also when the name
 * was there before. */
void txn_enter(struct txn *txn, struct timespec when);

/* The same for the content of a node under a new key: a record of attributes
 * stays behind with the old one. */
void txn_move(struct txn *txn, struct node *node, struct dwal_bytes key, struct dwal_bytes content);

/* The node's attributes as they are now. Wants the tree's lock. */
void txn_attr(struct txn *txn, struct dwal_bytes key, struct node *node);

/* The same of a node that gets another name with this operation: that is its
 * time of change. */
void txn_attr_moved(struct txn *txn, struct dwal_bytes key, struct node *node);

/* Takes the record of a directory back. */
void txn_no_attr(struct txn *txn, struct dwal_bytes key);

void txn_delete(struct txn *txn, struct dwal_bytes key);

/* Any other record of ours. */
void txn_raw(struct txn *txn, struct dwal_bytes key, struct dwal_bytes payload);

/* It takes something away, or is so small and so much asked for that it must be
 * possible on a full disk. */
void txn_on_full_disk(struct txn *txn);

/* The content of the next Put from the *at-th record on, and *at is behind it. */
void txn_fill(struct txn *txn, size_t *at, struct dwal_bytes content);

/* The bytes of attributes among the records. */
size_t txn_attr_bytes(const struct txn *txn);

/* Writes it ahead of its commit, or of that of another one that is to be the same
 * then. Wants no lock. 0 or an errno; nothing is changed by it. */
int txn_write_ahead(struct txn *txn, dwal_ahead **out);

/* Appends all in one write; nothing when there is nothing. Not under the tree's
 * lock. Written on return, see txn_sync(). 0; the errno of what could not be
 * added; FS_PUT_OFF, for txn_unlock(), or another errno: nothing was written. */
int txn_commit(struct txn *txn);

/* Behind a commit: the nodes know what the log has been told of them. Wants
 * the tree's lock. */
void txn_told(const struct txn *txn);

/* Makes durable what was committed. Wants no lock. 0 or a positive errno. */
int txn_sync(struct fs *fs);

#endif
