/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Policy only: torn tail or corruption, side file, cut or refuse; fills the
 * report. Must not know locks, keys, or how frames are found.
 */
#include "recover.h"
#include "index.h"
#include "logname.h"
#include "remains.h"
#include "scan.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>

#define SIDE_TEMP_SIZE 32

bool recover_is_torn_tail(bool active, enum dwal_frame_status reason)
{
	return active && (reason == DWAL_TRUNCATED || reason == DWAL_BAD_CRC ||
			  reason == DWAL_ZEROED_HEADER || reason == DWAL_PARTIAL);
}

int recover_describe(const char *where, const struct dwal_damage *damage, struct dwal_error *error)
{
	char text[400];

	dwal_damage_text(damage, NULL, text, sizeof(text));
	return error_set_at(error, DWAL_ECORRUPT, damage->segment, damage->offset, damage->reason,
			    "%.200s: %s", where, text);
}

int recover_count_intact(const struct operation_scan *scan, struct dwal_damage *damage)
{
	struct dwal_intact intact = {0};
	struct operation_search search;
	struct dwal_record record;
	int rc = operation_search_init(&search, scan, false);

	while (!rc) {
		rc = operation_search_next(&search, &record);
		if (!rc)
			intact_add(&intact, &record);
	}
	intact.at_least = search.search.ended_early;
	operation_search_release(&search);
	if (rc < 0)
		return rc;
	damage->intact = intact;
	return 0;
}

static int replay_record(void *ctx, const struct dwal_record *record)
{
	const struct recovery *recovery = ctx;
	int rc = 0;

	report_record(recovery->report, record);
	if (recovery->observe)
		rc = recovery->observe(recovery->observe_ctx, record);
	return rc < 0 ? rc : 0;
}

static int replay_records(struct recovery *recovery, struct operation_scan *scan, uint64_t *records,
			  enum dwal_frame_status *status)
{
	struct dwal_record record;
	int rc;

	while ((rc = operation_scan_next(scan, &record, status)) == 0) {
		++*records;
		rc = replay_record(recovery, &record);
		if (rc)
			return rc;
	}
	return rc < 0 ? rc : 0;
}

/* 1: it is done. 0: there is none to be used, and nothing was replayed. -errno, or
 * what observe gave. */
static int replay_index(struct recovery *recovery, struct segment *segment)
{
	const char *why;
	struct index index;
	int rc = 0;

	if (index_open(&index, recovery->dirfd, segment, &why) && index_load(&index, &why)) {
		rc = index_each(&index, replay_record, recovery);
		segment->records = index.tail.records;
		segment->by_index = true;
		segment->index_crc = index.crc;
		recovery->report->pub.files_scanned++;
		recovery->report->pub.indexes_used++;
		rc = rc ? rc : 1;
	} else if (why) {
		rc = report_index_ignored(recovery->report, segment->id, why);
	}
	index_release(&index);
	return rc;
}

/* Of a log that is sound so far: what lies behind damage is only counted. */
static bool may_use_index(const struct recovery *recovery, const struct segment *segment,
			  bool active)
{
	return recovery->verify == DWAL_VERIFY_INDEX && !active && segment->end &&
	       !recovery->degraded && !recovery->report->pub.damage_count;
}

static int cannot_replay(const struct recovery *recovery, const struct segment *segment, int rc,
			 struct dwal_error *error)
{
	const char *help = rc == -EIO
				   ? "; check the disk; a mount with '-o ro,degraded' shows what "
				     "can be read, 'datawal salvage DIR OUT' copies that"
				   : "";
	char name[LOGNAME_SIZE];

	logname_segment(segment->id, name);
	return error_set_at(error, rc, segment->id, 0, DWAL_FRAME_OK,
			    "%.200s/%s: cannot be replayed: %s%s", recovery->dir, name,
			    dwal_strerror(rc), help);
}

/* Puts the damage at which a scan has ended into the report. */
static int replay_damage(const struct recovery *recovery, const struct operation_scan *scan,
			 bool active, enum dwal_frame_status reason, struct dwal_error *error)
{
	const struct segment *segment = scan->scan.segment;
	struct dwal_damage damage = {
		.segment = segment->id,
		.offset = segment->end,
		.bytes = scan->scan.limit - segment->end,
		.reason = reason,
		.torn_tail = recover_is_torn_tail(active, reason),
	};
	int rc = recover_count_intact(scan, &damage);

	if (!rc)
		rc = report_damage(recovery->report, &damage);
	if (rc)
		return cannot_replay(recovery, segment, rc, error);
	return damage.torn_tail || recovery->degraded
		       ? 0
		       : recover_describe(recovery->dir, &damage, error);
}

/* What an index file would tell of it is certain: only reading its value fails. A
 * target's bytes are not needed to show a symbolic link. */
static int replay_unreadable(struct recovery *recovery, struct dwal_record *record)
{
	record->is_text = index_may_be_text(record);
	return replay_record(recovery, record);
}

/* DWAL_ECORRUPT: not degraded, and it may have been anything. */
static int replay_lost(struct recovery *recovery, const struct remains *remains,
		       struct dwal_lost *lost, uint64_t *records)
{
	char name[LOGNAME_SIZE];
	int rc;

	if (!recovery->degraded && (!remains->only_value || lost->record.type == DWAL_RAW))
		return DWAL_ECORRUPT;
	logname_segment(lost->segment, name);
	lost->file = name;
	rc = report_lost(recovery->report, lost);
	if (!rc && !recovery->degraded && ++*records)
		return replay_unreadable(recovery, &lost->record);
	return !rc && recovery->lost ? recovery->lost(recovery->observe_ctx, lost) : rc;
}

/* degraded: it was counted as intact behind the damage. */
static int replay_remaining(struct recovery *recovery, const struct dwal_record *record)
{
	if (!recovery->degraded)
		return replay_record(recovery, record);
	return recovery->observe ? recovery->observe(recovery->observe_ctx, record) : 0;
}

static int replay_remains(struct recovery *recovery, struct remains *remains, uint64_t *records)
{
	struct dwal_record record;
	struct dwal_lost lost;
	int rc = 0;

	while (rc >= 0) {
		rc = remains_next(remains, &record, &lost);
		if (rc == DWAL_END)
			return 0;
		if (rc == REMAINS_LOST)
			rc = replay_lost(recovery, remains, &lost, records);
		else if (!rc && ++*records)
			rc = replay_remaining(recovery, &record);
	}
	return rc;
}

/* From the damage at which a scan has ended. */
static int replay_behind(struct recovery *recovery, const struct operation_scan *scan, bool active)
{
	struct segment *segment = scan->scan.segment;
	struct remains remains;
	int rc;

	remains_init(&remains, segment, segment->end, scan->scan.limit, active);
	rc = replay_remains(recovery, &remains, &segment->records);
	remains_release(&remains);
	if (!rc)
		segment->end = scan->scan.limit;
	return rc;
}

/* Where an index file would have kept the open from reading what is damaged, that is
 * passed as well, if it is certain whose it was: else an older value of a key could show. */
static bool may_pass(const struct recovery *recovery, bool active, enum dwal_frame_status reason)
{
	return recovery->verify == DWAL_VERIFY_INDEX && !active && !recovery->degraded &&
	       reason == DWAL_BAD_CRC;
}

static int replay_damaged(struct recovery *recovery, const struct operation_scan *scan, bool active,
			  enum dwal_frame_status reason, struct dwal_error *error)
{
	int rc = DWAL_ECORRUPT;

	if (may_pass(recovery, active, reason))
		rc = replay_behind(recovery, scan, active);
	if (rc == DWAL_ECORRUPT)
		rc = replay_damage(recovery, scan, active, reason, error);
	else if (rc)
		rc = cannot_replay(recovery, scan->scan.segment, rc, error);
	if (rc || !recovery->degraded)
		return rc;
	rc = replay_behind(recovery, scan, active);
	return rc ? cannot_replay(recovery, scan->scan.segment, rc, error) : 0;
}

static int replay_scan(struct recovery *recovery, struct segment *segment, bool active,
		       struct dwal_error *error)
{
	struct operation_scan scan = {0};
	enum dwal_frame_status status;
	uint64_t records = 0;
	int rc;

	segment->is_tolerant = recovery->degraded;
	operation_scan_move(&scan, segment, 0, segment->end, active);
	rc = replay_records(recovery, &scan, &records, &status);
	operation_scan_release(&scan);
	if (rc)
		return cannot_replay(recovery, segment, rc, error);
	segment->end = scan.scan.offset;
	segment->records = records;
	recovery->report->pub.files_scanned++;
	return status == DWAL_FRAME_OK ? 0 : replay_damaged(recovery, &scan, active, status, error);
}

int recover_replay(struct recovery *recovery, struct segment *segment, bool active,
		   struct dwal_error *error)
{
	int rc = may_use_index(recovery, segment, active) ? replay_index(recovery, segment) : 0;

	if (rc < 0)
		return cannot_replay(recovery, segment, rc, error);
	return rc ? 0 : replay_scan(recovery, segment, active, error);
}

/* A name that somebody else keeps is passed over. what: how it begins. */
static int create_temp(const struct io *io, int dirfd, const struct segment *segment,
		       const char *what, char temp[SIDE_TEMP_SIZE])
{
	struct file_like like;
	int rc = file_like_fd(io, segment->fd, &like);

	if (rc)
		return rc;
	rc = -EEXIST;
	for (unsigned int n = 1; rc == -EEXIST && n; n++) {
		(void)snprintf(temp, SIDE_TEMP_SIZE, "%s.%u" LOGNAME_TEMP_SUFFIX, what,
			       n); /* fits */
		rc = file_create(io, dirfd, temp, O_RDWR, &like);
	}
	if (rc < 0)
		temp[0] = '\0';
	return rc;
}

/* A synced copy of the torn bytes under a temporary name, "" if none was
 * made. */
static int copy_tail(const struct io *io, int dirfd, struct segment *segment, uint64_t bytes,
		     char temp[SIDE_TEMP_SIZE])
{
	int fd = create_temp(io, dirfd, segment, "torn", temp);
	int rc, close_rc;

	if (fd < 0)
		return fd;
	rc = io_copy(io, segment->fd, segment->end, bytes, fd);
	if (!rc)
		rc = io->fsync(io, fd);
	close_rc = io_close(io, &fd);
	return rc ? rc : close_rc;
}

/* Gives the copy the first free name: NAME.torn-OFFSET, then .2, .3 ... */
static int name_tail(const struct io *io, int dirfd, const struct segment *segment,
		     const char *temp, char **out)
{
	int rc = -EEXIST;

	for (unsigned int n = 1; rc == -EEXIST && n; n++) {
		cleanup_free char *side = logname_side_file(segment->id, segment->end, n);

		if (!side)
			return -ENOMEM;
		rc = io_rename_noreplace(io, dirfd, temp, side);
		if (!rc)
			*out = steal_pointer(&side);
	}
	return rc;
}

static int save_tail(const struct io *io, int dirfd, struct segment *segment, uint64_t bytes,
		     char **side_file)
{
	char temp[SIDE_TEMP_SIZE];
	int rc = copy_tail(io, dirfd, segment, bytes, temp);

	if (!rc)
		rc = name_tail(io, dirfd, segment, temp, side_file);
	if (rc && temp[0])
		(void)io->unlinkat(io, dirfd, temp, 0); /* else the next open does */
	return rc ? rc : io->fsync(io, dirfd);
}

int recover_cut_tail(const struct io *io, int dirfd, struct segment *segment, struct report *report,
		     int *why)
{
	uint64_t bytes = report->pub.tail_bytes_discarded;
	char *side_file = NULL;
	int rc = save_tail(io, dirfd, segment, bytes, &side_file);

	free(report->made_side_file); /* of a first try */
	report->made_side_file = side_file;
	report->pub.made_side_file = side_file;
	if (rc) {
		*why = rc;
		return 1;
	}
	/* its time is that of records which say none */
	return file_cut(io, segment->fd, segment->end);
}

/* All bytes and the time of the file, synced. */
static int copy_all(const struct io *io, const struct segment *segment, const struct stat *st,
		    int fd)
{
	int rc = io_copy(io, segment->fd, 0, (uint64_t)st->st_size, fd);

	if (rc)
		return rc;
	file_keep_time(io, fd, st);
	return io->fsync(io, fd);
}

/* The file that is open at fd is the segment's from now on. */
static int exchange(const struct io *io, struct segment *segment, int fd)
{
	struct stat st;
	int rc = io->fstat(io, fd, &st);

	if (rc) {
		(void)io_close(io, &fd); /* the first error tells */
		return rc;
	}
	(void)io_close(io, &segment->fd); /* nothing was written */
	segment->fd = fd;
	segment->dev = st.st_dev;
	segment->ino = st.st_ino;
	return 0;
}

int recover_own_copy(const struct io *io, int dirfd, struct segment *segment, int *why)
{
	char temp[SIDE_TEMP_SIZE], name[LOGNAME_SIZE];
	struct stat st;
	int fd, rc = io->fstat(io, segment->fd, &st);

	if (rc || st.st_nlink < 2)
		return rc;
	logname_segment(segment->id, name);
	fd = rc = create_temp(io, dirfd, segment, "own", temp);
	if (fd >= 0)
		rc = copy_all(io, segment, &st, fd);
	if (!rc)
		rc = io->renameat2(io, dirfd, temp, dirfd, name, 0);
	if (rc) {
		(void)io_close(io, &fd); /* the first error tells */
		if (temp[0])
			(void)io->unlinkat(io, dirfd, temp, 0); /* else the next open does */
		*why = rc;
		return 1;
	}
	rc = exchange(io, segment, fd);
	return rc ? rc : io->fsync(io, dirfd);
}
