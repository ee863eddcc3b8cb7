/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * From the records of a log to what a mount shows. As fuse/tree/replay.c, but
 * by key: the names that a mount makes of them are not needed here.
 */
#define HASH_NONFATAL_OOM 1 /* before it includes uthash.h */
#include "mounted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base64.h"
#include "cleanup.h"
#include "component.h"
#include "keyed_hash.h"
#include "unfinished_head.h"
#include "xattr.h"

static unsigned hash_of(struct dwal_bytes name)
{
	static uint64_t key;

	if (!key)
		key = keyed_hash_key();
	return (unsigned)keyed_hash(key, name.data, name.len);
}

static struct mounted_entry *find(struct mounted_entry *table, struct dwal_bytes name)
{
	struct mounted_entry *entry;

	HASH_FIND_BYHASHVALUE(hh, table, name.len ? name.data : "", name.len, hash_of(name), entry);
	return entry;
}

/* In a table of dir, or in that of the waiting. NULL: no memory. */
static struct mounted_entry *add(struct mounted_entry **table, struct mounted_entry *dir,
				 struct dwal_bytes name)
{
	struct mounted_entry *entry = calloc(1, sizeof(*entry) + name.len + 1);

	if (!entry)
		return NULL;
	entry->dir = dir;
	entry->len = name.len;
	if (name.len)
		memcpy(entry->name, name.data, name.len);
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, *table, entry->name, (unsigned)name.len, hash_of(name),
				    entry);
	if (entry->hh.tbl)
		return entry;
	free(entry);
	return NULL;
}

static void free_record(struct mounted_record *record)
{
	if (record)
		xattr_free(record->xattrs);
	free(record);
}

static void free_entry(struct mounted_entry *entry)
{
	free_record(entry->record);
	free(entry->lines);
	free(entry);
}

static void drop(struct mounted_entry **table, struct mounted_entry *entry)
{
	HASH_DEL(*table, entry);
	free_entry(entry);
}

static void touch(struct mounted_entry *entry, struct timespec when)
{
	entry->mtime = entry->ctime = when;
	entry->timed = true;
}

static bool operation_of(struct mounted *mounted, const struct dwal_record *record)
{
	return mounted->lines && mounted->lines_txid == record->txid;
}

/* What is said of this entry is said by this record. */
static int note_operation(struct mounted *mounted, const struct dwal_record *record,
			  const struct record_time *when, struct mounted_entry *entry)
{
	char *lines = operation_of(mounted, record) ? strdup(mounted->lines) : NULL;

	if (!lines && operation_of(mounted, record))
		return -ENOMEM;
	free(entry->lines);
	entry->lines = lines;
	entry->time = when->time;
	return 0;
}

/* The directory of this component in dir, made when it is missing. */
static int make_dir(struct mounted_entry *dir, struct dwal_bytes name,
		    const struct record_time *when, struct mounted_entry **out)
{
	*out = find(dir->dirs, name);
	if (*out)
		return 0;
	*out = add(&dir->dirs, dir, name);
	if (!*out)
		return -ENOMEM;
	touch(*out, when->entered);
	touch(dir, when->entered);
	return 0;
}

/* The component that begins at *start, which is moved on. False: it is the
 * last one. */
static bool next_component(struct dwal_bytes key, size_t *start, struct dwal_bytes *name)
{
	size_t end = component_end(key.data, key.len, *start);

	*name = (struct dwal_bytes){key.len ? (const char *)key.data + *start : "", end - *start};
	*start = end + 1;
	return end < key.len;
}

/* The directory of a key, made with those above it when it is missing, and its
 * last component. */
static int walk(struct mounted *mounted, struct dwal_bytes key, const struct record_time *when,
		struct mounted_entry **dir, struct dwal_bytes *name)
{
	size_t start = 0;
	int r = 0;

	*dir = mounted->root;
	while (!r && next_component(key, &start, name))
		r = make_dir(*dir, *name, when, dir);
	return r;
}

/* The same without making any; NULL: it is not there. */
static struct mounted_entry *find_dir(const struct mounted *mounted, struct dwal_bytes key,
				      struct dwal_bytes *name)
{
	struct mounted_entry *dir = mounted->root;
	size_t start = 0;

	while (dir && next_component(key, &start, name))
		dir = find(dir->dirs, *name);
	return dir;
}

struct mounted_entry *mounted_value(const struct mounted *mounted, struct dwal_bytes key)
{
	struct dwal_bytes name;
	struct mounted_entry *dir = find_dir(mounted, key, &name);

	return dir ? find(dir->values, name) : NULL;
}

/* record is taken over; NULL: none is in force. */
static void set_record(struct mounted_entry *entry, struct mounted_record *record)
{
	free_record(entry->record);
	entry->record = record;
}

/* The same where there is something that has the times. */
static void load(struct mounted_entry *entry, struct mounted_record *record)
{
	const struct attr *attr = &record->attr;

	set_record(entry, record);
	if (attr->present & ATTR_HAS_MTIME) {
		entry->mtime = attr->mtime;
		entry->timed = true;
	}
	entry->ctime = attr->present & ATTR_HAS_CTIME ? attr->ctime : entry->mtime;
}

/* The key has its value now. */
static void end_wait(struct mounted *mounted, struct dwal_bytes key, struct mounted_entry *entry)
{
	struct mounted_entry *waiting = find(mounted->waiting, key);

	if (!waiting)
		return;
	set_record(entry, steal_pointer(&waiting->record));
	drop(&mounted->waiting, waiting);
}

static int observe_put(struct mounted *mounted, const struct dwal_record *record,
		       const struct record_time *when)
{
	struct mounted_entry *dir, *entry;
	struct dwal_bytes name;
	int r = walk(mounted, record->key, when, &dir, &name);

	if (r)
		return r;
	entry = find(dir->values, name);
	if (!entry || when->enters)
		touch(dir, when->entered);
	if (!entry)
		entry = add(&dir->values, dir, name);
	if (!entry)
		return -ENOMEM;
	end_wait(mounted, record->key, entry);
	if (entry->record)
		entry->record->attr.present &= ~(unsigned)ATTR_HAS_ATIME;
	entry->mtime = when->mtime;
	entry->ctime = when->ctime;
	entry->timed = true;
	return note_operation(mounted, record, when, entry);
}

static void remove_from(struct mounted_entry *dir, struct mounted_entry **table,
			struct mounted_entry *entry, const struct record_time *when)
{
	drop(table, entry);
	if (when->removes)
		touch(dir, when->time);
}

/* Directories that exist only through keys end with the last of them. */
static void prune(struct mounted_entry *dir, const struct record_time *when)
{
	while (dir->dir && !dir->dirs && !dir->values && !dir->record) {
		struct mounted_entry *above = dir->dir;

		remove_from(above, &above->dirs, dir, when);
		dir = above;
	}
}

static void observe_delete(struct mounted *mounted, const struct dwal_record *record,
			   const struct record_time *when)
{
	struct mounted_entry *waiting = find(mounted->waiting, record->key);
	struct mounted_entry *entry = mounted_value(mounted, record->key);

	if (waiting)
		drop(&mounted->waiting, waiting);
	if (entry) {
		struct mounted_entry *dir = entry->dir;

		remove_from(dir, &dir->values, entry, when);
		prune(dir, when);
	}
}

static void observe_none(struct mounted *mounted, struct dwal_bytes key,
			 const struct record_time *when)
{
	struct dwal_bytes name;
	struct mounted_entry *dir = mounted->root;

	if (key.len) {
		dir = find_dir(mounted, key, &name);
		dir = dir ? find(dir->dirs, name) : NULL;
	}
	if (!dir)
		return;
	set_record(dir, NULL);
	dir->ctime = dir->mtime;
	prune(dir, when);
}

/* No directory has such a path: the last component would be empty. */
static bool is_impossible(struct dwal_bytes key)
{
	return key.len && ((const char *)key.data)[key.len - 1] == '/';
}

/* *said is NULL once it is taken over. */
static int observe_dir(struct mounted *mounted, const struct dwal_record *record,
		       struct mounted_record **said, const struct record_time *when)
{
	struct mounted_entry *dir = mounted->root;
	struct dwal_bytes name;
	int r = 0;

	if (is_impossible(record->key))
		return 0;
	if (record->key.len) {
		r = walk(mounted, record->key, when, &dir, &name);
		if (!r)
			r = make_dir(dir, name, when, &dir);
	}
	if (r)
		return r;
	if (when->enters && dir->dir)
		touch(dir->dir, when->entered);
	load(dir, steal_pointer(said));
	return note_operation(mounted, record, when, dir);
}

/* The same. */
static int observe_value(struct mounted *mounted, struct dwal_bytes key,
			 struct mounted_record **said)
{
	struct mounted_entry *entry = mounted_value(mounted, key);

	if (entry) {
		load(entry, steal_pointer(said));
		return 0;
	}
	entry = find(mounted->waiting, key);
	if (!entry)
		entry = add(&mounted->waiting, NULL, key);
	if (!entry)
		return -ENOMEM;
	set_record(entry, steal_pointer(said));
	return 0;
}

static int observe_attributes(struct mounted *mounted, const struct dwal_record *record,
			      const struct attr *attr, const struct record_time *when)
{
	struct mounted_record *said;
	int r;

	mounted->any = true;
	if (attr->type == ATTR_NONE) {
		observe_none(mounted, record->key, when);
		return 0;
	}
	said = calloc(1, sizeof(*said));
	if (!said)
		return -ENOMEM;
	said->attr = *attr;
	r = -attr_parse_xattrs(record->payload.data, record->payload.len, &said->xattrs);
	if (!r)
		r = attr->type == ATTR_DIR ? observe_dir(mounted, record, &said, when)
					   : observe_value(mounted, record->key, &said);
	free_record(said);
	return r;
}

static void forget_unfinished(struct mounted *mounted, struct dwal_bytes key)
{
	struct mounted_unfinished *one, *next;

	DL_FOREACH_SAFE(mounted->unfinished, one, next)
	{
		if (one->key_len == key.len && memcmp(one->key, key.data, key.len) == 0) {
			DL_DELETE(mounted->unfinished, one);
			free(one);
		}
	}
}

static int observe_unfinished(struct mounted *mounted, const struct dwal_record *record,
			      const struct record_time *when)
{
	struct mounted_unfinished *one;
	struct unfinished_head head;

	if (!unfinished_head_parse(record, &head))
		return 0;
	one = calloc(1, sizeof(*one) + head.digits.len / 4 * 3 + 1);
	if (!one)
		return -ENOMEM;
	if (!base64_decode(head.digits.data, head.digits.len, one->key, &one->key_len)) {
		free(one);
		return 0;
	}
	one->segment = record->segment;
	one->offset = record->offset;
	one->time = when->time;
	DL_APPEND(mounted->unfinished, one);
	mounted->any = true;
	return 0;
}

/* The lines of a header, for what it announces. */
static int note_lines(struct mounted *mounted, const struct dwal_record *record)
{
	struct dwal_header header;

	if (!dwal_header_parse(record, &header))
		return 0;
	free(mounted->lines);
	mounted->lines = strndup(header.lines.data, header.lines.len);
	mounted->lines_txid = header.txid;
	return mounted->lines ? 0 : -ENOMEM;
}

static int observe_raw(struct mounted *mounted, const struct dwal_record *record,
		       const struct record_time *when)
{
	struct attr attr;
	int r = note_lines(mounted, record);

	if (r)
		return r;
	if (attr_parse(record->payload.data, record->payload.len, &attr))
		return observe_attributes(mounted, record, &attr, when);
	return observe_unfinished(mounted, record, when);
}

int mounted_observe(struct mounted *mounted, const struct dwal_record *record)
{
	struct record_time when;
	int r = logtime_next(&mounted->times, record, &when);

	if (!r && !mounted->root)
		r = add(&mounted->root, NULL, (struct dwal_bytes){0}) ? 0 : -ENOMEM;
	if (r)
		return r;
	mounted->any |= mounted->times.timed;
	if (record->type == DWAL_RAW)
		return observe_raw(mounted, record, &when);
	forget_unfinished(mounted, record->key);
	if (record->type == DWAL_PUT)
		return observe_put(mounted, record, &when);
	observe_delete(mounted, record, &when);
	return 0;
}

static void drop_all(struct mounted_entry **table)
{
	struct mounted_entry *entry, *next;

	HASH_ITER (hh, *table, entry, next)
		drop(table, entry);
}

void mounted_release(struct mounted *mounted)
{
	struct mounted_entry *dir = mounted->root;
	struct mounted_unfinished *one, *next;

	while (dir) { /* without recursion: a key can be 32,768 components deep */
		struct mounted_entry *above = dir->dir;

		drop_all(&dir->values);
		if (dir->dirs) {
			dir = dir->dirs;
			continue;
		}
		drop(above ? &above->dirs : &mounted->root, dir);
		dir = above;
	}
	drop_all(&mounted->waiting);
	DL_FOREACH_SAFE(mounted->unfinished, one, next)
	free(one);
	free(mounted->lines);
	logtime_release(&mounted->times);
}
