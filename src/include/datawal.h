/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libdatawal: an append-only log of CRC-framed records in a directory of
 * segment files, a lock-free reader of such a log, and a last-write-wins
 * key/value store derived from it. The only public header.
 *
 * Return values. Functions that return int return 0 on success, 1 where
 * something is absent or at its end (DWAL_ABSENT, DWAL_END), -errno from
 * the system as it came, or one of the DWAL_E* codes, which lie below
 * -4095. A missing key is never -ENOENT. Outputs are untouched on failure.
 * Where a function takes a struct dwal_error *, it may be NULL; otherwise
 * it is filled in when the return value is negative.
 *
 * Sizes, lengths and offsets are in bytes.
 *
 * Threads. A dwal_log and a dwal_kv may be used from any number of threads;
 * closing one must be the last thing done with it. A dwal_iter, dwal_cursor
 * or dwal_reader belongs to one thread at a time. Different objects are
 * independent. The library keeps no global state, never prints and never
 * exits.
 *
 * Durability. "Written" means: whole records in the kernel's page cache;
 * they survive the death of the process, not a power cut. "Durable" means
 * that they survive a power cut as well, with everything appended before.
 * Appending writes; dwal_log_sync() and dwal_kv_sync() make durable.
 */
#ifndef DATAWAL_H
#define DATAWAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DWAL_PUBLIC __attribute__((visibility("default")))

/* Of this header; that of the library which is loaded is dwal_version(). The
 * build reads the three numbers here. */
#define DWAL_VERSION_MAJOR 0
#define DWAL_VERSION_MINOR 1
#define DWAL_VERSION_PATCH 0

#define DWAL_VERSION_TEXT_(number) #number
#define DWAL_VERSION_TEXT(number)  DWAL_VERSION_TEXT_(number)
#define DWAL_VERSION_STRING                   \
	DWAL_VERSION_TEXT(DWAL_VERSION_MAJOR) \
	"." DWAL_VERSION_TEXT(DWAL_VERSION_MINOR) "." DWAL_VERSION_TEXT(DWAL_VERSION_PATCH)

/* ------------------------------------------------------------------------
 * Format and limits (corpus/FORMAT.md, wire version 1)
 */

#define DWAL_WIRE_VERSION   1u
#define DWAL_HEADER_SIZE    24u       /* fixed part before the key */
#define DWAL_TRAILER_SIZE   4u        /* CRC-32C behind the payload */
#define DWAL_MAX_KEY        65536u    /* 64 KiB */
#define DWAL_MAX_PAYLOAD    67108864u /* 64 MiB */
#define DWAL_MAX_SEGMENT_ID 99999999u /* eight decimal digits */

enum dwal_type { DWAL_RAW = 0, DWAL_PUT = 1, DWAL_DELETE = 2 };

/* What a decoder finds at a place in a segment; also the reason of a
 * damage. Never found by a decoder: DWAL_PARTIAL, where a log ends before an
 * operation that a crash has cut short. Everything from DWAL_BAD_MAGIC on is structural: no power
 * cut leaves it, wherever it stands. */
enum dwal_frame_status {
	DWAL_FRAME_OK = 0,
	DWAL_TRUNCATED,     /* shorter than its header says, or than a header */
	DWAL_BAD_CRC,       /* whole, but the CRC differs */
	DWAL_ZEROED_HEADER, /* a header that a power cut can leave: FORMAT.md */
	DWAL_PARTIAL,       /* the header of an operation that is not whole */
	DWAL_BAD_MAGIC,
	DWAL_BAD_VERSION,
	DWAL_BAD_TYPE,
	DWAL_BAD_FLAGS,
	DWAL_KEY_TOO_LONG,
	DWAL_PAYLOAD_TOO_LONG,
};

/* A short English phrase for a status, such as "CRC mismatch". Static. */
DWAL_PUBLIC const char *dwal_frame_status_text(enum dwal_frame_status status);

/* "Raw", "Put" or "Delete". Static; "?" for anything else. */
DWAL_PUBLIC const char *dwal_type_name(enum dwal_type type);

/* Borrowed bytes. data may be NULL when len is 0. */
struct dwal_bytes {
	const void *data;
	size_t len;
};

/* One record as found in a log. key and payload are borrowed: each function
 * that hands one out says for how long. */
struct dwal_record {
	uint32_t segment; /* id; 0 when decoded from memory */
	uint64_t offset;  /* of the frame in its segment */
	uint32_t length;  /* of the whole frame, header to CRC */
	enum dwal_type type;
	uint64_t txid;
	uint32_t crc32c; /* as stored (and, once decoded, as computed) */
	struct dwal_bytes key;
	struct dwal_bytes payload;
	bool is_text; /* told by an index file: the payload, whose data is NULL, is 1 to 4095 bytes
		       * and none of them is 0 */
};

/* CRC-32C (Castagnoli, RFC 3720 B.4) of len bytes, continuing from crc,
 * which is 0 for the first piece. */
DWAL_PUBLIC uint32_t dwal_crc32c(uint32_t crc, const void *data, size_t len);

/* Size of the frame of a record with such a key and payload; 0 when either
 * is over its limit. */
DWAL_PUBLIC uint32_t dwal_frame_size(size_t key_len, size_t payload_len);

/* Encodes one frame into out, which has room for dwal_frame_size() bytes.
 * Returns 0, -EINVAL for an unknown type, DWAL_EKEYSIZE or
 * DWAL_EPAYLOADSIZE. */
DWAL_PUBLIC int dwal_frame_encode(enum dwal_type type, uint64_t txid, struct dwal_bytes key,
				  struct dwal_bytes payload, void *out);

/* Decodes the frame at the start of data. On DWAL_FRAME_OK out is filled in,
 * its key and payload pointing into data; on any other status it is
 * untouched. Never gives DWAL_ZEROED_HEADER: that depends on where in a
 * file the bytes stand. */
DWAL_PUBLIC enum dwal_frame_status dwal_frame_decode(const void *data, size_t len,
						     struct dwal_record *out);

/* ------------------------------------------------------------------------
 * Operations (FORMAT.md): records that are in the log as a whole or not at
 * all, with one txid, behind a Raw record that announces them, the header
 */

/* A line of a header, beside those that announce: a name [a-z][a-z0-9.-]* that
 * is none of txid, n, bytes and crc, and any value without a NUL. */
struct dwal_line {
	const char *name, *value;
};

/* What a header says. n records follow it, or, n being 0, those that bear its
 * txid. */
struct dwal_header {
	uint64_t txid, n;
	uint64_t bytes;          /* of the n frames */
	struct dwal_bytes crc;   /* eight hexadecimal digits for each of them */
	struct dwal_bytes lines; /* NAME=VALUE and a newline each, as written */
};

/* Whether a record is a header: key and form decide, so that anybody's Raw
 * record may bear that key. What *out points to lies in the record. */
DWAL_PUBLIC bool dwal_header_parse(const struct dwal_record *record, struct dwal_header *out);

/* The value of the first line of that name, with its NUL. False: there is
 * none, or it does not fit or holds a NUL. */
DWAL_PUBLIC bool dwal_header_line(const struct dwal_header *header, const char *name, char *out,
				  size_t size);

/* ------------------------------------------------------------------------
 * Errors
 */

enum {
	DWAL_ABSENT = 1, /* no such key */
	DWAL_END = 1,    /* iteration is over */

	DWAL_ELOCKED = -5001,      /* another writer holds the log */
	DWAL_ECORRUPT = -5002,     /* damage that no crash explains; detail says where */
	DWAL_EPOISONED = -5003,    /* an earlier write or sync failed: reopen, check the disk */
	DWAL_EREADONLY = -5004,    /* opened for reading only, or fallen back to it */
	DWAL_EKEYSIZE = -5005,     /* key over DWAL_MAX_KEY */
	DWAL_EPAYLOADSIZE = -5006, /* payload over DWAL_MAX_PAYLOAD */
	DWAL_ESEGMENTS = -5007,    /* segment 99999999 cannot be rotated past */
	DWAL_EBEHIND = -5008,      /* strict: intact records behind a torn tail */
	DWAL_ETARGET = -5009,      /* target exists and is not an empty directory */
	DWAL_EUNSTABLE = -5010,    /* segments kept changing while being opened */
	DWAL_EUNSYNCED = -5011,    /* with sync_apart: nothing is written; the segment is full, and
				    * must be synced before the next one begins: call
				    * dwal_log_sync() or dwal_kv_sync(), without a lock that others
				    * need for appending, then try again */
	DWAL_ENOTFILE = -5012,     /* what bears a file's name in the log is no regular file */
	DWAL_EGONE = -5013,        /* what stood at a place that was given earlier is no more: its
				    * segment has gone, or another file has taken its name */
	DWAL_EHORIZON = -5014,     /* the state as of that txid was given up by a compaction, or no
				    * record has so high a txid */
};

/* One line about a return code, without details. Static for our own codes
 * and for 0 and 1; for -errno the text of strerror, valid as that is. */
DWAL_PUBLIC const char *dwal_strerror(int code);

/* Detail of a failure. The message is one complete line without a newline:
 * what happened, where (directory or file, segment, offset), what to do. */
struct dwal_error {
	int code;                      /* what the function returned */
	uint32_t segment;              /* 0 where none is meant */
	uint64_t offset;               /* in that segment */
	enum dwal_frame_status reason; /* DWAL_FRAME_OK where none applies */
	int holder_pid;                /* DWAL_ELOCKED: the process that holds the lock;
					* 0 where the system does not tell */
	char message[512];
};

/* ------------------------------------------------------------------------
 * Recovery report
 */

/* Whole valid frames behind a damage: never replayed, and lost to who does
 * not look. A power cut can leave some behind a record that did not reach
 * the disk, so that alone they do not tell damage from a crash. */
struct dwal_intact {
	uint64_t records;
	uint64_t bytes;       /* of their frames */
	uint64_t lowest_txid; /* 0 for none, as is the next */
	uint64_t highest_txid;
	bool at_least; /* hostile bytes ended the search: there may be more */
};

struct dwal_damage {
	uint32_t segment;
	uint64_t offset;
	uint64_t bytes; /* from offset to the end of that segment */
	enum dwal_frame_status reason;
	bool torn_tail;            /* tolerated; false: a hard error */
	struct dwal_intact intact; /* behind it, in the same segment */
};

/* Bytes of a damaged file in which no record is intact, up to the next one that
 * is. What they held is told where the bytes are those of one frame by its
 * length, only its CRC is wrong, and no single changed byte in type, lengths or
 * key would explain that. */
struct dwal_lost {
	const char *file; /* a segment's name or a side file's, in the directory */
	uint32_t segment; /* its id */
	uint64_t offset, bytes;
	enum dwal_frame_status reason; /* of what stands at offset */
	bool key_known;                /* then: */
	struct dwal_record record;     /* the payload's data is NULL */
};

/* What was lost, in a few words without a newline, such as "Put of key "a/b",
 * txid 7, 12 bytes"; for a key that is not known it says so. Cut to size bytes
 * with its NUL; 512 are enough. */
DWAL_PUBLIC void dwal_lost_text(const struct dwal_lost *lost, char *out, size_t size);

/* Writes one line about a damage, without a newline: where, what, how many
 * intact records lie behind it, what was done and what to do. side_file: the
 * name of the file that what was cut off is kept in; NULL: nothing was
 * changed. Cut to size bytes with its NUL; 512 are enough. */
DWAL_PUBLIC void dwal_damage_text(const struct dwal_damage *damage, const char *side_file,
				  char *out, size_t size);

/* Where txids are missing: between these two records. after_txid is 0 when
 * the later one is the first of the log. */
struct dwal_gap {
	uint64_t after_txid, before_txid;
	uint32_t after_segment, before_segment;
};

/* Writes where a gap is, in a few words, such as "between txid 3 (segment 1)
 * and txid 7 (segment 3)". 128 bytes are enough. */
DWAL_PUBLIC void dwal_gap_text(const struct dwal_gap *gap, char *out, size_t size);

/* The sequence of the txids of a log, to be given each record in log order.
 * Zero is ready; the last four members are its own. */
struct dwal_txids {
	uint64_t highest;
	uint64_t out_of_order;     /* records whose txid is not above the one before; those of
				    * an operation bear the txid of its header, and are not */
	uint64_t missing;          /* txids from 1 to the highest that no record has; where
				    * some are out of order, at least so many */
	struct dwal_gap first_gap; /* the first hole, when any are missing */
	uint64_t previous;
	uint32_t highest_segment;
	bool begun;
	bool in_operation; /* the record before was a header, or one of its records */
};
DWAL_PUBLIC void dwal_txids_add(struct dwal_txids *txids, const struct dwal_record *record);

struct dwal_report {
	/* the reference implementation's fields */
	uint64_t files_scanned;
	uint64_t records_replayed;
	uint64_t tail_truncated; /* segments with a torn tail: 0 or 1 */
	uint64_t tail_bytes_discarded;
	uint64_t mid_stream_errors;    /* hard errors other than the next */
	uint64_t unsupported_versions; /* records of an unknown wire version */
	uint64_t last_txid_seen;       /* the highest; 0 for none */
	/* ours */
	uint64_t raw_records;
	struct dwal_txids txids;   /* of the records that were replayed */
	struct dwal_intact intact; /* behind the first damage, in all segments */
	size_t damage_count;
	const struct dwal_damage *damage;
	size_t side_file_count;
	const char *const *side_files; /* names of *.torn-* files in the directory */
	const char *made_side_file;    /* the one this open made, or NULL */
	/* the ranges without an intact record, in log order, of a degraded open; the
	 * records that one with DWAL_VERIFY_INDEX has passed */
	uint64_t lost_ranges; /* all of them */
	uint64_t lost_bytes;
	size_t lost_count; /* of those listed: the first DWAL_LOST_LISTED */
	const struct dwal_lost *lost;
	/* DWAL_VERIFY_INDEX: */
	uint64_t indexes_used;
	size_t indexes_ignored;                   /* and so the segment was read */
	const struct dwal_index_ignored *ignored; /* these */
};
#define DWAL_LOST_LISTED 10000

/* An index file that was there and told nothing. */
struct dwal_index_ignored {
	uint32_t segment;
	const char *why; /* constant: words for a person */
};

/* ------------------------------------------------------------------------
 * Record log
 */

typedef struct dwal_log dwal_log;
typedef struct dwal_reader dwal_reader;
typedef struct dwal_iter dwal_iter;
typedef struct dwal_kv dwal_kv;
typedef struct dwal_cursor dwal_cursor;
typedef struct dwal_value dwal_value;
typedef struct dwal_ahead dwal_ahead;

/* Called for every record replayed by an open, in log order, before the
 * open returns. The record is valid during the call. A negative return
 * value ends the open with that code. */
typedef int (*dwal_observe_fn)(void *ctx, const struct dwal_record *record);

/* Called by a degraded open where the log has lost something, between the records
 * around that. Valid during the call. As dwal_observe_fn. */
typedef int (*dwal_lost_fn)(void *ctx, const struct dwal_lost *lost);

/* Called for every live record that dwal_kv_compact_to() or an export has read,
 * before it is written; bytes are those of its frame. A negative return value
 * ends it with that code, and nothing is made. */
typedef int (*dwal_progress_fn)(void *ctx, uint64_t bytes);

/* What of the sealed segments an open reads. With DWAL_VERIFY_INDEX an index file
 * that fits its segment tells what the segment holds, and only the last frame's
 * header and CRC are read of that. A record of it is observed without the payload
 * (data is NULL, len is right) but for Raw records, which have theirs. Values are
 * checked when they are read, as always. One that it reads and finds damaged is treated
 * alike, and listed in the report as lost, if that it is of this key is certain. */
enum dwal_verify {
	DWAL_VERIFY_FULL, /* all: every frame and its CRC */
	DWAL_VERIFY_INDEX,
};

/* Zero is the default of every field; NULL options mean all defaults. */
struct dwal_options {
	bool read_only;          /* dwal_kv_open: take no lock, change nothing, see
				  * the state at this moment */
	bool degraded;           /* dwal_kv_open, read_only: damage does not refuse; every intact
				  * record counts, those behind damage too. A key whose last
				  * Put is lost, and known, is DWAL_ECORRUPT when it is read,
				  * until a later record of it; where it is not known, an older
				  * value shows. A lost Delete takes nothing back. */
	bool must_exist;         /* do not create the directory or a first segment:
				  * -ENOENT */
	bool strict;             /* refuse to open for writing when intact records
				  * lie behind a torn tail: DWAL_EBEHIND */
	uint32_t lock_wait_ms;   /* wait so long for another writer's lock */
	uint64_t segment_size;   /* rotate before an append that would exceed it,
				  * unless the segment is empty; 0: only when told to */
	bool sync_apart;         /* somebody else syncs, every few MiB: an append that
				  * must rotate does not wait for it, DWAL_EUNSYNCED, and
				  * while 8 MiB or more are not synced, a segment may take
				  * up to twice segment_size */
	bool reserve;            /* keep room so that something can be removed on a full
				  * disk: dwal_kv_write() */
	enum dwal_verify verify; /* degraded: always full */
	dwal_observe_fn observe;
	dwal_lost_fn lost;         /* degraded */
	void *observe_ctx;         /* of both */
	dwal_progress_fn progress; /* dwal_kv_open */
	void *progress_ctx;
	void (*waits)(void); /* dwal_kv_open: called by a thread before it waits for the disk,
			      * in a read (not with every file system) and in
			      * dwal_kv_sync(). It must not use the store. */
};

/* Opens dir for writing, creating it (and missing parents) unless
 * must_exist, and takes the exclusive lock. What is found is synced before it
 * is read; a torn tail is copied to a side file and cut off, so that what is
 * appended next can be read again. Where the copy cannot be made the log
 * opens without an error but read-only: dwal_log_refusal() says why.
 * Errors: DWAL_ELOCKED, DWAL_ECORRUPT, DWAL_EBEHIND, -errno.
 * On success *out is the caller's, to be closed with dwal_log_close(). */
DWAL_PUBLIC int dwal_log_open(const char *dir, const struct dwal_options *options, dwal_log **out,
			      struct dwal_error *error);

/* Releases the lock and the object, also when it fails; takes NULL. Does not
 * sync. Returns the first -errno of closing a descriptor, or 0. */
DWAL_PUBLIC int dwal_log_close(dwal_log *log);

/* One record to append. */
struct dwal_op {
	enum dwal_type type;
	struct dwal_bytes key;
	struct dwal_bytes payload;
};

/* Where a record stands. */
struct dwal_place {
	uint32_t segment;
	uint32_t generation; /* of the segment's file: 0 for the file as it was written or found,
			      * one more each time another file takes its name */
	uint64_t offset;
	uint32_t length; /* of the whole frame */
	uint64_t txid;
};

/* Appends n records with one system call (several where they are more than 1.5 MiB), in order,
 * with rising txids, all in one segment. All or nothing to the living process; a crash can keep the
 * first few, never a part of one (dwal_log_batch() prevents that). places (n of them) may be NULL.
 * Written on return. One that rotates waits for a sync of the old segment; meanwhile others append
 * to it what still fits. A failed or short write is cut back, synced and reported (-ENOSPC leaves
 * the log usable); if cutting back fails the log is poisoned.
 * Errors: -EINVAL (n is 0, unknown type, a Raw record that reads like a
 * header), DWAL_EKEYSIZE, DWAL_EPAYLOADSIZE, DWAL_EREADONLY, DWAL_EPOISONED,
 * DWAL_ESEGMENTS (when it must rotate), DWAL_EUNSYNCED (with sync_apart),
 * -EOVERFLOW (more than 2 GiB, where size_t has 32 bits), -errno. */
DWAL_PUBLIC int dwal_log_append(dwal_log *log, const struct dwal_op *ops, size_t n,
				struct dwal_place *places);

/* The same as one operation: all n records bear one txid, and after any crash
 * the log holds all of them or none. A header with the caller's lines stands
 * before them; one record without lines needs none, and has none. places are
 * those of the n records. Errors: also -EINVAL for a line that cannot be
 * written, DWAL_EPAYLOADSIZE where the header would be too large. */
DWAL_PUBLIC int dwal_log_batch(dwal_log *log, const struct dwal_op *ops, size_t n,
			       const struct dwal_line *lines, size_t n_lines,
			       struct dwal_place *places);

/* Appends one Raw record without a key. Otherwise as dwal_log_append(). */
DWAL_PUBLIC int dwal_log_append_raw(dwal_log *log, const void *payload, size_t len,
				    struct dwal_place *place);

/* Makes durable all that was appended before the call. Concurrent callers
 * share one fdatasync. A failure poisons the log. */
DWAL_PUBLIC int dwal_log_sync(dwal_log *log);

/* Looks whether the files are still this writer's own, as each sync does:
 * the directory is there, the active segment's name leads to its file, which
 * nobody has cut or written to, and no segment was added. Otherwise the log is
 * poisoned. A .lock that is gone or was replaced is made and locked again.
 * For programs that seldom sync. 0, DWAL_EPOISONED or DWAL_EREADONLY. */
DWAL_PUBLIC int dwal_log_check(dwal_log *log);

/* Seals the active segment (synced) and starts the next one (its name
 * durable). Appends go on during the sync. Errors: DWAL_ESEGMENTS, -errno; after a failed sync the
 * log is poisoned, otherwise unchanged. */
DWAL_PUBLIC int dwal_log_rotate(dwal_log *log);

/* Id of the segment that is appended to. */
DWAL_PUBLIC uint32_t dwal_log_active_segment(dwal_log *log);

/* The directory, as given to open. Valid until close. */
DWAL_PUBLIC const char *dwal_log_dir(const dwal_log *log);

/* True once a failed sync, or a failed cut-back, has stopped all mutation. */
DWAL_PUBLIC bool dwal_log_is_poisoned(dwal_log *log);

/* NULL while the log takes mutations; else one line that says why not
 * (poisoned, or read-only since a torn tail could not be copied) and what to
 * do. Valid until close. */
DWAL_PUBLIC const char *dwal_log_refusal(dwal_log *log);

/* What this open found and did. Valid until close. */
DWAL_PUBLIC const struct dwal_report *dwal_log_report(const dwal_log *log);

/* Iterates over what is in the log at the moment of the call, from the
 * record at or behind (segment, offset); 0, 0 is the start. offset must be
 * one at which a record starts. Later appends are not seen. The iterator is
 * the caller's; close it before the log. */
DWAL_PUBLIC int dwal_log_iterate(dwal_log *log, uint32_t segment, uint64_t offset, dwal_iter **out,
				 struct dwal_error *error);

/* 0 and the next record (valid until the next call on this iterator, CRC
 * checked), DWAL_END, DWAL_ECORRUPT, or -errno. Memory: the largest record
 * and at most 2 MiB. */
DWAL_PUBLIC int dwal_iter_next(dwal_iter *iter, struct dwal_record *record,
			       struct dwal_error *error);
DWAL_PUBLIC void dwal_iter_close(dwal_iter *iter);

/* ------------------------------------------------------------------------
 * Lock-free reader
 */

/* Opens dir for reading beside any writer: takes no lock, creates and changes
 * nothing. The set of segments and the size of each are those of one moment
 * between call and return. An existing directory without segments is an
 * empty log. Does not read any record: iterate, or ask for the report.
 * Keeps a descriptor of each segment that is not empty, and of the last; where
 * the process may not have so many (-EMFILE), the message says how many it takes.
 * Errors: -ENOENT (no such directory), DWAL_EUNSTABLE, -errno. */
DWAL_PUBLIC int dwal_reader_open(const char *dir, dwal_reader **out, struct dwal_error *error);
DWAL_PUBLIC void dwal_reader_close(dwal_reader *reader);

struct dwal_segment_info {
	uint32_t id;
	uint64_t size;
	bool active; /* the highest id */
};

/* Number of segments, and the i-th in ascending order of id. */
DWAL_PUBLIC size_t dwal_reader_segment_count(const dwal_reader *reader);
DWAL_PUBLIC struct dwal_segment_info dwal_reader_segment(const dwal_reader *reader, size_t i);

/* As dwal_log_iterate(). A torn tail ends the iteration with DWAL_END. */
DWAL_PUBLIC int dwal_reader_iterate(dwal_reader *reader, uint32_t segment, uint64_t offset,
				    dwal_iter **out, struct dwal_error *error);

/* Iterates over one file of frames, whatever directory it lies in: a segment
 * or a side file. The records' segment is the number that its name begins
 * with, or 0. What would be a torn tail in an active segment ends the
 * iteration with DWAL_END. -EINVAL: not a regular file. */
DWAL_PUBLIC int dwal_file_iterate(const char *path, dwal_iter **out, struct dwal_error *error);

/* After DWAL_END or DWAL_ECORRUPT: the damage at which the iteration stopped,
 * with what is intact behind it, for which this call reads the rest of the
 * segment. 0, DWAL_ABSENT when it came to a sound end, -errno. */
DWAL_PUBLIC int dwal_iter_damage(dwal_iter *iter, struct dwal_damage *out);

/* After a damage: goes on with the intact records behind it in the same
 * segment, before them the header and the whole records of an operation that is
 * cut short there, then with the next segment. They are not part of the log. 0, or
 * DWAL_ABSENT as dwal_iter_damage(). */
DWAL_PUBLIC int dwal_iter_pass_damage(dwal_iter *iter);

/* Scans the whole log, past hard errors too (each ends its segment, not the
 * scan), and says what was found. Returns 0 also for a damaged log:
 * the report tells. -errno when a file cannot be read. The report is valid
 * until close. */
DWAL_PUBLIC int dwal_reader_report(dwal_reader *reader, const struct dwal_report **out,
				   struct dwal_error *error);

/* ------------------------------------------------------------------------
 * Key/value store: the last Put of a key that no later Delete took back
 */

/* Opens as dwal_log_open() does, or with read_only as dwal_reader_open()
 * followed by one scan; then a hard error is DWAL_ECORRUPT (unless degraded) and
 * mutations are DWAL_EREADONLY. degraded without read_only is -EINVAL. Holds each live key in
 * memory, no value. */
DWAL_PUBLIC int dwal_kv_open(const char *dir, const struct dwal_options *options, dwal_kv **out,
			     struct dwal_error *error);
DWAL_PUBLIC int dwal_kv_close(dwal_kv *kv);

/* One Put. Written on return. Errors as dwal_log_append(). */
DWAL_PUBLIC int dwal_kv_put(dwal_kv *kv, const void *key, size_t key_len, const void *value,
			    size_t value_len);

/* One Delete, also of a key that is absent. */
DWAL_PUBLIC int dwal_kv_delete(dwal_kv *kv, const void *key, size_t key_len);

/* Any records as one operation, applied in order: as dwal_log_batch(). */
DWAL_PUBLIC int dwal_kv_batch(dwal_kv *kv, const struct dwal_op *ops, size_t n,
			      const struct dwal_line *lines, size_t n_lines,
			      struct dwal_place *places);

/* The same, of which more can be said. */
struct dwal_batch {
	const struct dwal_op *ops;
	size_t n;
	const struct dwal_line *lines;
	size_t n_lines;
	bool may_use_reserve; /* it removes something, which must go on a full disk */
	dwal_ahead *ahead;    /* written ahead of it, or NULL; the caller's to free; used once */
};

/* What may do so can use the room that is kept by dwal_options.reserve, or was
 * kept by whoever had the log open before. With that option up to 2 MiB more are
 * used on the disk: .reserve, a file of 1 MiB that stays when the log is closed,
 * and blocks behind the end of the active segment, where the file system can (du
 * tells, the file's size does not). Others' appends leave 64 KiB of those blocks,
 * or are -ENOSPC with nothing written; so they are while .reserve, once given up,
 * cannot be made again. dwal_kv_delete() may. */
DWAL_PUBLIC int dwal_kv_write(dwal_kv *kv, const struct dwal_batch *batch,
			      struct dwal_place *places);

/* Writes a large batch ahead, durably, while others write: dwal_kv_write() of it with
 * *out then makes that the next segment, and has only its headers to write and a few
 * syncs to wait for, whatever its size; it is durable on return. Where the batch is
 * not what it was (keys, sizes, lines' lengths, payloads' addresses) all of it is
 * written as if there were nothing ahead. The payloads' bytes stay as they are until
 * then. Nobody sees anything of it before. -errno as of an append: nothing is left
 * behind. */
DWAL_PUBLIC int dwal_kv_ahead(dwal_kv *kv, const struct dwal_batch *batch, dwal_ahead **out);

/* Also takes away what was not used. Before the store is closed. Takes NULL. */
DWAL_PUBLIC void dwal_ahead_free(dwal_ahead *ahead);

/* The live value, newly allocated (free() it; never NULL on success, also
 * when empty). Frame, CRC and stored key are checked. DWAL_ABSENT,
 * DWAL_ECORRUPT, DWAL_EGONE, -errno. */
DWAL_PUBLIC int dwal_kv_get(dwal_kv *kv, const void *key, size_t key_len, void **value,
			    size_t *value_len, struct dwal_error *error);

DWAL_PUBLIC bool dwal_kv_contains(dwal_kv *kv, const void *key, size_t key_len);
DWAL_PUBLIC size_t dwal_kv_len(dwal_kv *kv); /* number of live keys */
DWAL_PUBLIC bool dwal_kv_is_empty(dwal_kv *kv);

/* Where the live Put of a key stands. 0, DWAL_ABSENT or DWAL_EGONE. */
DWAL_PUBLIC int dwal_kv_ref_of(dwal_kv *kv, const void *key, size_t key_len,
			       struct dwal_place *place, uint32_t *value_len);

/* A live value as it is now, to be read piece by piece however often the key
 * is written or deleted meanwhile. The whole frame is checked (CRC, stored
 * key) by the first dwal_value_read(), with at most 1 MiB of memory; where that
 * asks for all of the value its bytes are read once. The handle is the caller's;
 * close it before the store. It may be used by one thread at a time. DWAL_ABSENT,
 * DWAL_EGONE, -errno. */
DWAL_PUBLIC int dwal_kv_value(dwal_kv *kv, const void *key, size_t key_len, dwal_value **out);

/* The same for the Put of key at a place that dwal_kv_batch() gave, which need
 * not be live any more; the key is not looked up. -EINVAL: too short a place
 * for such a key. DWAL_EGONE, -ENOMEM. */
DWAL_PUBLIC int dwal_kv_value_at(dwal_kv *kv, const void *key, size_t key_len,
				 const struct dwal_place *place, dwal_value **out);
DWAL_PUBLIC uint32_t dwal_value_size(const dwal_value *value);
DWAL_PUBLIC struct dwal_place dwal_value_place(const dwal_value *value);

/* The CRC-32C stored in the value's frame. 0, -errno, DWAL_ECORRUPT when the
 * file ends before it. */
DWAL_PUBLIC int dwal_value_crc32c(const dwal_value *value, uint32_t *crc);

/* Reads up to n bytes from offset; *got is less than n only at the end.
 * DWAL_ECORRUPT (each time, once found), -errno. */
DWAL_PUBLIC int dwal_value_read(dwal_value *value, uint64_t offset, void *buffer, size_t n,
				size_t *got, struct dwal_error *error);

/* Whether a read has found out by now whether the frame is whole. */
DWAL_PUBLIC bool dwal_value_is_checked(const dwal_value *value);
DWAL_PUBLIC void dwal_value_close(dwal_value *value);

/* Live keys in byte order (as memcmp, a prefix first), as they are at the
 * call. dwal_cursor_next() gives 0 or DWAL_END; the key is valid until the
 * cursor is closed. Values are not read: ask dwal_kv_get(). */
struct dwal_item {
	struct dwal_bytes key;
	uint32_t value_len;
	struct dwal_place place;
};
DWAL_PUBLIC int dwal_kv_cursor(dwal_kv *kv, dwal_cursor **out);
DWAL_PUBLIC int dwal_cursor_next(dwal_cursor *cursor, struct dwal_item *item);
DWAL_PUBLIC void dwal_cursor_close(dwal_cursor *cursor);

/* As the functions of the log. On a read_only store sync and rotate are
 * DWAL_EREADONLY and refusal says so. */
DWAL_PUBLIC int dwal_kv_sync(dwal_kv *kv);
DWAL_PUBLIC int dwal_kv_check(dwal_kv *kv);
DWAL_PUBLIC int dwal_kv_rotate(dwal_kv *kv);
DWAL_PUBLIC uint32_t dwal_kv_active_segment(dwal_kv *kv); /* 0 when read_only */
DWAL_PUBLIC bool dwal_kv_is_poisoned(dwal_kv *kv);
DWAL_PUBLIC const char *dwal_kv_refusal(dwal_kv *kv);
DWAL_PUBLIC const struct dwal_report *dwal_kv_report(const dwal_kv *kv);

/* The highest txid of a record: that of the present. 0: there is none yet. */
DWAL_PUBLIC uint64_t dwal_kv_last_txid(dwal_kv *kv);

/* The ids of all segments, ascending, newly allocated (free() it). */
DWAL_PUBLIC int dwal_kv_segments(dwal_kv *kv, uint32_t **ids, size_t *n);

/* A descriptor of the file that the store reads a segment from, whatever has
 * become of its name: for pread(2) and fstat(2) alone, the caller's to close.
 * DWAL_ABSENT: there is no such segment, or, read_only, it is empty. -EIO: it
 * was sealed, is not open, and its name leads to another file. -errno. */
DWAL_PUBLIC int dwal_kv_open_segment(dwal_kv *kv, uint32_t id, int *fd);

struct dwal_segment_stats {
	uint32_t id;
	bool active;
	uint64_t bytes; /* up to the end of the last whole record */
	uint64_t records;
	uint64_t live_records; /* Puts that are some key's value */
	uint64_t live_bytes;   /* their frames */
};

/* One entry a segment, ascending, newly allocated (free() it). Takes no longer
 * with more keys. */
DWAL_PUBLIC int dwal_kv_stats(dwal_kv *kv, struct dwal_segment_stats **out, size_t *n);

/* ------------------------------------------------------------------------
 * History. Both of these are to be given every record of a log in log order,
 * as from dwal_reader_iterate() or an open that observes, and keep none. Of a log
 * that is compacted meanwhile, all are to come from one reader.
 */

/* An operation, and what its header says of it. Zero is ready, before the
 * first record. */
struct dwal_operation {
	uint64_t txid;
	bool has_header;
	uint64_t n;    /* records that the header announces; 0 also without one */
	char time[32]; /* its line of that name; empty where there is none, or a longer one */
	char op[64];   /* the same */
};

/* True: the record begins an operation, as its header or, having none, as all
 * of it, and *operation is that one now. False: it belongs to the one before. */
DWAL_PUBLIC bool dwal_operation_add(struct dwal_operation *operation,
				    const struct dwal_record *record);

/* A Put or a Delete of a key. */
struct dwal_version {
	struct dwal_record record;       /* the lengths of key and payload are set, data is NULL */
	struct dwal_operation operation; /* that the record belongs to */
};

typedef struct dwal_history dwal_history;

/* The versions of a key, which is copied: none yet. Of a key that is NULL there
 * never are any. The history is the caller's and belongs to one thread at a time.
 * 0 or -ENOMEM. */
DWAL_PUBLIC int dwal_history_open(const void *key, size_t key_len, dwal_history **out);
DWAL_PUBLIC void dwal_history_close(dwal_history *history); /* takes NULL */

/* Keeps, of a record that is a version of the key, the above, and what a horizon
 * covers. 0 or -ENOMEM. */
DWAL_PUBLIC int dwal_history_add(dwal_history *history, const struct dwal_record *record);

/* Points *out at all of them, in log order, and returns their number. Valid
 * until the next call of dwal_history_add(). */
DWAL_PUBLIC size_t dwal_history_versions(const dwal_history *history,
					 const struct dwal_version **out);

/* Whether the state as of a txid is to be had, of this key and any other: 0, or
 * DWAL_EHORIZON where a horizon covers it, or it is above the highest txid. */
DWAL_PUBLIC int dwal_history_has(const dwal_history *history, uint64_t txid);

/* The txid from which on every state is; 0 where none was given up. */
DWAL_PUBLIC uint64_t dwal_history_complete_from(const dwal_history *history);

/* The highest txid of a record; 0 for none. */
DWAL_PUBLIC uint64_t dwal_history_highest(const dwal_history *history);

/* The version whose value the key had as of a txid: the last one of that txid
 * or a lower one, if it is a Put. 0 or DWAL_ABSENT, or as dwal_history_has(). */
DWAL_PUBLIC int dwal_history_as_of(const dwal_history *history, uint64_t txid,
				   struct dwal_version *out);

/* ------------------------------------------------------------------------
 * Giving space back: compaction in place
 */

/* Where history was dropped (FORMAT.md): the state as of a txid T is not to be
 * had if lo <= T < hi. */
struct dwal_horizon {
	uint64_t lo, hi;
};

/* Whether a record is a horizon: key and form decide. */
DWAL_PUBLIC bool dwal_horizon_parse(const struct dwal_record *record, struct dwal_horizon *out);

/* A name for a txid; for 0 the name is taken back. */
struct dwal_tag {
	struct dwal_bytes name; /* as written, escapes and all: dwal_tag_name() */
	uint64_t txid;
};

/* Whether a record is a tag: key and form decide. What *out points to lies in
 * the record. */
DWAL_PUBLIC bool dwal_tag_parse(const struct dwal_record *record, struct dwal_tag *out);

/* The name, with its NUL. False: it does not fit, or holds a NUL. */
DWAL_PUBLIC bool dwal_tag_name(const struct dwal_tag *tag, char *out, size_t size);

/* Appends a tag, which holds horizons back; 0 takes the name back. Written on
 * return. -EINVAL for an empty name, and as dwal_kv_put(). */
DWAL_PUBLIC int dwal_kv_tag(dwal_kv *kv, const char *name, uint64_t txid);

/* What a Raw record is to a compaction. */
enum dwal_raw_kind {
	DWAL_RAW_OTHER = 0,  /* anybody's: always kept */
	DWAL_RAW_ATTRIBUTES, /* of the key's value, until the next of them, or a Delete of the key
			      */
	DWAL_RAW_ENTRY, /* a thing of its own under the key, until the next entry of the key, or */
	DWAL_RAW_ENTRY_END, /* its end */
	DWAL_RAW_TIME,      /* tells the time of the records behind it that have no header */
};

/* Called for Raw records that are neither headers nor horizons, with their
 * payload; must always say the same of one record. */
typedef enum dwal_raw_kind (*dwal_raw_kind_fn)(void *ctx, const struct dwal_record *record);

struct dwal_rewrite_stats {
	uint64_t segments;            /* sealed ones, to be looked at */
	uint64_t segments_done;       /* looked at */
	uint64_t segments_rewritten;  /* of these */
	uint64_t segments_damaged;    /* of these, and left alone */
	uint64_t bytes, bytes_done;   /* to be read, and read */
	uint64_t records_dropped;     /* headers of operations among them */
	uint64_t bytes_freed;         /* by which the segments are shorter */
	struct dwal_horizon given_up; /* by this run; lo = hi = 0: no state */
	uint64_t keep_txid;           /* in force, the tags considered; 0: the present only */
};

/* Called after each piece of work, of 64 KiB and a record at most. A negative value stops
 * the compaction with that code; what was rewritten stays. */
typedef int (*dwal_rewrite_fn)(void *ctx, const struct dwal_rewrite_stats *so_far);

/* Zero is the default of every field; NULL options mean all defaults. */
struct dwal_rewrite_options {
	dwal_raw_kind_fn raw_kind; /* NULL: every Raw record is kept */
	void *raw_kind_ctx;
	uint64_t keep_txid; /* states as of this txid and of later ones stay; 0: the present only */
	bool drop_tags;     /* else no horizon passes a tag */
	bool dry_run;       /* only says what it would do; changes nothing */
	bool most_dead_first;   /* else ascending, by which the most tombstones can go */
	unsigned least_percent; /* of a segment's bytes must be able to go, or it stays as it is */
	uint64_t enough;        /* stops once it has freed so many bytes; 0: goes on */
	dwal_rewrite_fn progress;
	void *progress_ctx;
};

/* Rewrites sealed segments, one at a time, without the records that no state
 * needs which is to stay; the active one is sealed first where something in it
 * can go. Reading and writing by other threads goes on; readers of the files,
 * and handles on values, keep what they have. A crash leaves each segment as it
 * was or rewritten, durable. The order of records, their txids and the names of
 * segments stay. Reads the whole log once before it drops anything, and drops
 * nothing because of a record that it has not read, or of one in a damaged
 * segment. Memory: about 120 bytes and the key for each key with a record that is not a
 * live Put, while it runs. options and stats may be NULL; stats are filled in
 * also when it fails. A dry run may be of a store that only reads. -EBUSY: another
 * one runs; DWAL_EREADONLY, DWAL_EPOISONED, -errno (then temporary files, if any,
 * go with the next open). */
DWAL_PUBLIC int dwal_kv_compact(dwal_kv *kv, const struct dwal_rewrite_options *options,
				struct dwal_rewrite_stats *stats, struct dwal_error *error);

/* From how much is to stay to dwal_rewrite_options.keep_txid; 1: all of it. Of
 * options, which may be NULL, the kinds of Raw records count, and progress, which
 * is told the bytes. What lies in a damaged segment is passed over, which never
 * makes less stay. DWAL_ECORRUPT never; -ENOMEM, -errno, the code of progress.
 *
 * Of age: the state as of since, in seconds since 1970, and all later ones. The
 * time of a record is that of its operation; of one that has none, at the latest
 * that of the next one that has, or, up to the end of its segment, the segment's
 * own. Reads the log up to the first operation since then. */
DWAL_PUBLIC int dwal_kv_keep_age(dwal_kv *kv, int64_t since,
				 const struct dwal_rewrite_options *options, uint64_t *txid,
				 struct dwal_error *error);

/* Of size: at most so many bytes of records that others have superseded, of the
 * latest to be superseded. Reads the whole log. Memory: about 150 bytes for each
 * key that a tombstone or an older value is found of. */
DWAL_PUBLIC int dwal_kv_keep_size(dwal_kv *kv, uint64_t bytes,
				  const struct dwal_rewrite_options *options, uint64_t *txid,
				  struct dwal_error *error);

/* ------------------------------------------------------------------------
 * Index files of sealed segments
 */

struct dwal_scrub_stats {
	uint64_t segments; /* sealed ones that hold records */
	uint64_t fresh;    /* of these, compared or written lately, and not read */
	uint64_t compared; /* read, and as their index file says */
	uint64_t ignored;  /* index files that do not fit, or say something else */
	uint64_t damaged;
	uint64_t written; /* index files */
	uint64_t failed;  /* not written */
};

/* Zero is the default of every field; NULL options mean all defaults. */
struct dwal_scrub_options {
	uint64_t fresh_seconds; /* what was compared within so many is not read; 0: all is */
	/* After each MiB that was read: so many bytes. Under no lock; it may wait. A negative
	 * value ends the scrub with that code. */
	int (*progress)(void *ctx, uint64_t bytes);
	/* A place of a segment that is damaged, or cannot be read; or, with reason
	 * DWAL_FRAME_OK, a segment whose index file was wrong and told this open. */
	void (*damaged)(void *ctx, const struct dwal_error *damage);
	void (*ignored)(void *ctx, const struct dwal_index_ignored *index);
	void *ctx; /* of all */
};

/* Reads sealed segments, one at a time, beside reading and writing: compares each
 * with its index file, and writes one, durable when it has its name, where none fits:
 * never for the highest segment, nor, in a store that was opened with read_only, any.
 * What was compared leaves the page cache. That one cannot be written is no error.
 * options and stats may be NULL. The code of progress; -ENOMEM, -errno. */
DWAL_PUBLIC int dwal_kv_scrub(dwal_kv *kv, const struct dwal_scrub_options *options,
			      struct dwal_scrub_stats *stats);

/* ------------------------------------------------------------------------
 * Derived files
 */

struct dwal_compact_stats {
	uint64_t live_keys;
	uint64_t records_written; /* headers of operations among them */
	uint64_t bytes_written;   /* as framed */
};

/* What a compaction writes beside a Put. Zero: nothing. */
struct dwal_kept {
	const struct dwal_op *ops; /* behind the Put, as one operation with it */
	size_t n;
	const struct dwal_line *lines; /* of the header of that operation */
	size_t n_lines;
};

/* Called for each live key, in byte order, to say what is to be written with its
 * Put; then, with item NULL, for what belongs to no key, again and again for as
 * long as it gives ops, which are an operation each. *kept is zero before; what
 * it points to must stay until the next call. What the log holds beside values
 * can be gathered by dwal_options.observe. A negative return value ends the
 * compaction with that code, and nothing is made. */
typedef int (*dwal_keep_fn)(void *ctx, const struct dwal_item *item, struct dwal_kept *kept);

/* Zero is the default of every field; NULL options mean all defaults. */
struct dwal_compact_options {
	dwal_keep_fn keep;
	void *keep_ctx;
};

/* Writes a fresh log that holds one Put per live key, in byte order of keys,
 * txids from 1, in one segment whatever its size; and, where options.keep says
 * so, other records and headers. target must be absent or an empty directory
 * (DWAL_ETARGET). Built under a temporary name beside it and renamed: target
 * has all or nothing, durable on return. The source is not changed. options
 * and stats may be NULL. */
DWAL_PUBLIC int dwal_kv_compact_to(dwal_kv *kv, const char *target,
				   const struct dwal_compact_options *options,
				   struct dwal_compact_stats *stats, struct dwal_error *error);

struct dwal_salvage_stats {
	uint64_t records;      /* intact ones, kept; headers of operations are not counted */
	uint64_t side_records; /* of them, from side files */
	uint64_t lost_ranges;  /* without an intact record */
	uint64_t lost_bytes;
	uint64_t incomplete; /* operations of which not all records were kept */
	uint64_t left_out; /* intact records that name a txid, which would be another one: horizons,
			    * tags, headers that are not of what follows */
};

/* Zero is the default of every field; NULL options mean all defaults. */
struct dwal_salvage_options {
	dwal_lost_fn lost; /* what is lost, in log order, as it is found */
	void *lost_ctx;
	dwal_progress_fn progress; /* bytes: of what was read since the last call */
	void *progress_ctx;
};

/* Copies every intact record of a log, however damaged, into a fresh one: those
 * of each segment, also behind damage, and those of each side file, before what
 * stands where it was cut off. Bytes that the disk cannot read are damaged ones.
 * In order, with new txids; what was one operation is one, with the lines of its
 * header. The records of an operation that is cut short are not copied. dir is
 * read as dwal_reader_open() does, and not changed; target as for
 * dwal_kv_compact_to(), durable on return. Where anything is missing in it, and
 * where side files were there, a horizon says that no earlier state is known.
 * options and stats may be NULL. */
DWAL_PUBLIC int dwal_salvage(const char *dir, const char *target,
			     const struct dwal_salvage_options *options,
			     struct dwal_salvage_stats *stats, struct dwal_error *error);

/* One line {"key_b64":"...","value_b64":"..."} per live key in byte order of
 * keys, standard padded base64, a newline after each. To a file: missing
 * parents are made, it is replaced atomically, durable on return. To a
 * descriptor: as it goes. */
DWAL_PUBLIC int dwal_kv_export_jsonl(dwal_kv *kv, const char *path, struct dwal_error *error);
DWAL_PUBLIC int dwal_kv_export_jsonl_fd(dwal_kv *kv, int fd, struct dwal_error *error);

/* ------------------------------------------------------------------------
 * File-system primitives; each is durable on return
 */

/* Replaces path by a file with these bytes: old content or new, never less.
 * The mode is that of a new file (0666 less umask). */
DWAL_PUBLIC int dwal_write_atomic(const char *path, const void *data, size_t len);

/* Creates path with these bytes. -EEXIST leaves nothing behind and the
 * existing file as it is. */
DWAL_PUBLIC int dwal_write_once(const char *path, const void *data, size_t len);

/* Appends to path, creating it. */
DWAL_PUBLIC int dwal_write_append_fsync(const char *path, const void *data, size_t len);

/* Renames a file and syncs it and both parents. Both on one file system. */
DWAL_PUBLIC int dwal_rename_atomic(const char *from, const char *to);

/* Syncs a directory. */
DWAL_PUBLIC int dwal_fsync_dir(const char *path);

/* The library's version, "0.1.0". Static. */
DWAL_PUBLIC const char *dwal_version(void);

#ifdef __cplusplus
}
#endif
#endif
