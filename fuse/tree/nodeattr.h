/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Attributes of nodes: what stat(2) shows, what differs from the mount's
 * defaults, and what the log is to be told of it. Never does I/O.
 *
 * Every function wants the tree's lock.
 */
#ifndef TREE_NODEATTR_H
#define TREE_NODEATTR_H

#include "attr.h"
#include "tree/node.h"
#include "xattr.h"

/* Fills in what stat(2) shows. */
void nodeattr_stat(const struct tree *tree, const struct node *node, struct stat *out);

/* Content, or the entries of a directory, changed at this time. That is no
 * access: the time of access stays. */
void nodeattr_touch(struct tree *tree, struct node *node, struct timespec when);

/* The same while the log is opened: it does not keep times of access, which are
 * those of the last change then. */
void nodeattr_touched(struct tree *tree, struct node *node, struct timespec when);

/* Content that was stored through a mapping arrives behind a time that was set:
 * that holds, and the Put must be told. */
void nodeattr_written_back(struct node *node);

/* What stat(2) shows as the time of change. */
struct timespec nodeattr_ctime(const struct node *node);

/* Both times, whatever was before. 0; ENOMEM: as before. */
int nodeattr_set_times(struct tree *tree, struct node *node, struct timespec mtime,
		       struct timespec ctime);

/* The same by a Put in the log: the times of an earlier record end. */
int nodeattr_put(struct tree *tree, struct node *node, struct timespec mtime,
		 struct timespec ctime);

/* Something other than content changed now: the time of change. 0 or ENOMEM. */
int nodeattr_changed(struct tree *tree, struct node *node);

/* It has another name since this moment: the time of change, which is not worth
 * a record of its own. */
void nodeattr_renamed(struct tree *tree, struct node *node, struct timespec when);

/* Somebody without the right to keep them truncates: set-id bits go, as the
 * kernel takes them at every other change. */
void nodeattr_drop_set_id(struct node *node);

/* Would reading change the time of access? */
bool nodeattr_read_is_due(const struct tree *tree, const struct node *node);

/* The content was read: the time of access, as with relatime. */
void nodeattr_read(struct tree *tree, struct node *node);

/* The time of access, in memory only. */
void nodeattr_set_read(struct tree *tree, struct node *node, struct timespec when);

/* Owner, group and mode of a new node in dir, as far as they differ from the
 * defaults: the caller's, or the directory's group where it is set-gid. 0 or
 * ENOMEM. */
int nodeattr_set_owner(struct tree *tree, const struct node *dir, struct node *node, mode_t mode,
		       uid_t uid, gid_t gid);

/* The whole of it, as an attribute record says it. */
struct attr nodeattr_snapshot(const struct node *node);
const struct xattr *nodeattr_xattrs(const struct node *node);

/* Is there a change that the log has not been told? */
bool nodeattr_owed(const struct node *node);

/* The log has it, in a record at this place; NULL: no record is in force. The
 * node has an extra where it has a record: made before, so that this cannot
 * fail. */
void nodeattr_told(struct node *node, const struct record_place *record);

/* Beside its times, is there something that a Put under another key would not
 * tell? */
bool nodeattr_needs_record(const struct node *node);

/* While the log is replayed: the type that the attributes tell, or a regular
 * file where the value cannot be that of such a node. */
void nodeattr_settle_type(struct node *node);

/* The record at this place says this: a full snapshot. xattrs are taken over. 0
 * or ENOMEM. */
int nodeattr_load(struct tree *tree, struct node *node, const struct attr *attr,
		  struct xattr *xattrs, struct record_place record);

#endif
