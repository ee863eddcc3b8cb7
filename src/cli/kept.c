/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * In the copy each value stands with its attributes under a header with its
 * times. A Put ends the times of directories, so theirs come behind all values,
 * and as making a directory ends that of the one above it, what is below comes
 * first. A directory that no record tells of has its time by the names that came
 * into it; where the copy would show another one, a record gives it and a second
 * one takes the record back.
 */
#include "kept.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "clock.h"
#include "logname.h"
#include "unfinished_head.h"
#include "xattr.h"

static struct timespec time_by_file(const struct kept *kept, uint32_t segment)
{
	char path[PATH_MAX], name[LOGNAME_SIZE];
	struct stat st;

	logname_segment(segment, name);
	(void)snprintf(path, sizeof(path), "%s/%s", kept->dir, name);
	if (lstat(path, &st)) /* it has gone since */
		(void)clock_gettime(CLOCK_REALTIME, &st.st_mtim);
	return st.st_mtim;
}

/* A time that may be a segment's, as a mount shows it. */
static struct timespec shown(struct kept *kept, struct timespec time)
{
	uint32_t segment = (uint32_t)time.tv_sec;

	if (!is_time_of_segment(time) || logtime_found(&kept->mounted->times, segment, &time))
		return time;
	if (segment != kept->known.segment)
		kept->known = (struct segment_time){segment, time_by_file(kept, segment)};
	return kept->known.time;
}

/* ------------------------------------------------------------------ lines */

/* Room for n more lines, with names and values of so many bytes in all. What is
 * there is forgotten. */
static int begin_lines(struct kept *kept, size_t n, size_t bytes)
{
	kept->n_lines = kept->text_len = 0;
	if (n > kept->lines_room) {
		struct dwal_line *more = reallocarray(kept->lines, n, sizeof(*more));

		if (!more)
			return -ENOMEM;
		kept->lines = more;
		kept->lines_room = n;
	}
	if (bytes > kept->text_room) {
		char *more = realloc(kept->text, bytes);

		if (!more)
			return -ENOMEM;
		kept->text = more;
		kept->text_room = bytes;
	}
	return 0;
}

/* name stays the caller's. */
static void add_time(struct kept *kept, const char *name, struct timespec time)
{
	char *value = kept->text + kept->text_len;

	time_format(time, value);
	kept->text_len += TIME_TEXT_SIZE;
	kept->lines[kept->n_lines++] = (struct dwal_line){name, value};
}

/* A time that is to be given anew, if it is to be given. */
static bool is_time_line(const char *name)
{
	static const char *const names[] = {"time", "mtime", "ctime", "entered", "found"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* The line that text begins with, which is as it stands in a header. */
static void add_line(struct kept *kept, const char *text, size_t len)
{
	const struct dwal_header line = {.lines = {text, len}};
	size_t name_len = (size_t)((const char *)memchr(text, '=', len) - text);
	char *name = kept->text + kept->text_len, *value = name + name_len + 1;

	memcpy(name, text, name_len);
	name[name_len] = 0;
	if (is_time_line(name) || !dwal_header_line(&line, name, value, len - name_len))
		return;
	kept->text_len += len + 1;
	kept->lines[kept->n_lines++] = (struct dwal_line){name, value};
}

#define TIME_LINES 4

/* Begins the lines of an operation of then with the time, and room for those of
 * the operation that it was, which are to be added. */
static int begin_operation(struct kept *kept, struct timespec time, const char *lines)
{
	size_t n = TIME_LINES;
	int r;

	for (const char *at = lines; at && (at = strchr(at, '\n')); at++)
		n++;
	r = begin_lines(kept, n, TIME_LINES * TIME_TEXT_SIZE + (lines ? strlen(lines) : 0) + n);
	if (!r)
		add_time(kept, "time", time);
	return r;
}

static void add_lines(struct kept *kept, const char *lines)
{
	for (const char *end; lines && (end = strchr(lines, '\n')); lines = end + 1)
		add_line(kept, lines, (size_t)(end + 1 - lines));
}

/* ------------------------------------------------------------- attributes */

/* The attribute record with the times that the entry shows. */
static int attributes_of(struct kept *kept, const struct mounted_entry *entry,
			 const struct mounted_record *record, struct dwal_bytes key,
			 struct dwal_op *op)
{
	const struct timespec mtime = shown(kept, entry->mtime), ctime = shown(kept, entry->ctime);
	struct attr attr = record->attr;
	size_t len;
	int r;

	attr.present &= ~(unsigned)(ATTR_HAS_MTIME | ATTR_HAS_CTIME);
	attr.mtime = mtime;
	attr.ctime = ctime;
	if (entry->timed)
		attr.present |= ATTR_HAS_MTIME;
	if (entry->timed && !timespec_equal(mtime, ctime))
		attr.present |= ATTR_HAS_CTIME;
	free(kept->attributes);
	kept->attributes = NULL;
	r = attr_format_full(&attr, record->xattrs, &kept->attributes, &len);
	*op = (struct dwal_op){DWAL_RAW, key, {kept->attributes, len}};
	return -r;
}

static void give(struct kept *kept, size_t n, struct dwal_kept *out)
{
	*out = (struct dwal_kept){kept->ops, n, kept->lines, kept->n_lines};
}

/* -------------------------------------------------------------- the copy */

/* A name comes into dir then: what directories that makes, and their times. */
static void copy_into(struct mounted_entry *dir, struct timespec time)
{
	dir->copied_time = time;
	for (; dir->dir && !dir->copied; dir = dir->dir) {
		dir->copied = true;
		dir->dir->copied_time = time;
	}
}

/* Its times are in the header, but where its attributes tell them. */
static int keep_value(struct kept *kept, struct mounted_entry *entry, struct dwal_bytes key,
		      struct dwal_kept *out)
{
	const struct timespec time = shown(kept, entry->time), mtime = shown(kept, entry->mtime);
	const struct timespec ctime = shown(kept, entry->ctime);
	struct mounted_entry *dir = entry->dir;
	struct timespec entered = time;
	int r = begin_operation(kept, time, entry->lines);

	if (r)
		return r;
	if (!entry->record && !timespec_equal(mtime, time))
		add_time(kept, "mtime", mtime);
	if (!entry->record && !timespec_equal(ctime, mtime))
		add_time(kept, "ctime", ctime);
	if (dir->dir && !dir->copied && !dir->record)
		entered = shown(kept, dir->mtime);
	if (!timespec_equal(entered, time))
		add_time(kept, "entered", entered);
	copy_into(dir, entered);
	add_lines(kept, entry->lines);
	if (entry->record)
		r = attributes_of(kept, entry, entry->record, key, &kept->ops[0]);
	give(kept, entry->record ? 1 : 0, out);
	return r;
}

/* The key of a directory, within kept. */
static struct dwal_bytes key_of(struct kept *kept, const struct mounted_entry *dir)
{
	unsigned char *end = kept->key + sizeof(kept->key), *at = end;

	for (; dir->dir; dir = dir->dir) {
		if (at != end)
			*--at = '/';
		at -= dir->len;
		memcpy(at, dir->name, dir->len);
	}
	return (struct dwal_bytes){at, (size_t)(end - at)};
}

static int keep_recorded_dir(struct kept *kept, struct mounted_entry *dir, struct dwal_kept *out)
{
	const struct timespec time = shown(kept, dir->time);
	int r = begin_operation(kept, time, dir->lines);

	if (r)
		return r;
	if (dir->dir && !dir->copied)
		copy_into(dir, time);
	add_lines(kept, dir->lines);
	r = attributes_of(kept, dir, dir->record, key_of(kept, dir), &kept->ops[0]);
	give(kept, 1, out);
	return r;
}

static int keep_other_dir(struct kept *kept, struct mounted_entry *dir, struct dwal_kept *out)
{
	static const struct mounted_record bare = {.attr.type = ATTR_DIR};
	static const char none[] = "datawalfs.attr 1\ntype=none\n";
	int r = begin_operation(kept, shown(kept, dir->mtime), "op=compact\n");

	if (r)
		return r;
	add_lines(kept, "op=compact\n");
	r = attributes_of(kept, dir, &bare, key_of(kept, dir), &kept->ops[0]);
	kept->ops[1] = (struct dwal_op){DWAL_RAW, kept->ops[0].key, {none, strlen(none)}};
	give(kept, 2, out);
	return r;
}

static struct mounted_entry *first_below(struct mounted_entry *dir)
{
	while (dir && dir->dirs)
		dir = dir->dirs;
	return dir;
}

static int keep_dir(struct kept *kept, struct dwal_kept *out)
{
	while (kept->entry) {
		struct mounted_entry *dir = kept->entry;

		kept->entry = dir->hh.next ? first_below(dir->hh.next) : dir->dir;
		if (dir->record)
			return keep_recorded_dir(kept, dir, out);
		if (dir->timed && !timespec_equal(dir->copied_time, shown(kept, dir->mtime)))
			return keep_other_dir(kept, dir, out);
	}
	return 0;
}

static int read_unfinished(struct kept *kept, struct dwal_record *record)
{
	const struct mounted_unfinished *one = kept->unfinished;
	struct unfinished_head head;
	int r = 0;

	if (!kept->reader)
		r = dwal_reader_open(kept->dir, &kept->reader, NULL);
	dwal_iter_close(kept->iter);
	kept->iter = NULL;
	if (!r)
		r = dwal_reader_iterate(kept->reader, one->segment, one->offset, &kept->iter, NULL);
	if (!r)
		r = dwal_iter_next(kept->iter, record, NULL);
	return r < 0 ? r : r || !unfinished_head_parse(record, &head) ? DWAL_EGONE : 0;
}

static int keep_unfinished(struct kept *kept, struct dwal_kept *out)
{
	struct dwal_record record;
	int r = read_unfinished(kept, &record);

	if (!r)
		r = begin_operation(kept, shown(kept, kept->unfinished->time), "op=unfinished\n");
	if (r)
		return r;
	add_lines(kept, "op=unfinished\n");
	kept->unfinished = kept->unfinished->next;
	kept->ops[0] = (struct dwal_op){DWAL_RAW, record.key, record.payload};
	give(kept, 1, out);
	return 0;
}

int kept_next(void *ctx, const struct dwal_item *item, struct dwal_kept *out)
{
	struct kept *kept = ctx;
	struct mounted_entry *entry;
	int r = 0;

	if (!kept->mounted->any)
		return 0;
	if (item) {
		entry = mounted_value(kept->mounted, item->key);
		return entry ? keep_value(kept, entry, item->key, out) : 0;
	}
	if (!kept->at_dirs) {
		kept->at_dirs = true;
		kept->entry = first_below(kept->mounted->root);
		kept->unfinished = kept->mounted->unfinished;
	}
	r = keep_dir(kept, out);
	if (!r && !out->n && kept->unfinished)
		r = keep_unfinished(kept, out);
	return r;
}

void kept_release(struct kept *kept)
{
	dwal_iter_close(kept->iter);
	dwal_reader_close(kept->reader);
	free(kept->attributes);
	free(kept->lines);
	free(kept->text);
}
