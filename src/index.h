/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The index file of a sealed segment: what its records are, without their values.
 * FORMAT.md, section 12. It is disposable: nothing is lost with it, and one that
 * does not fit tells nothing. Knows neither what a log is nor when one is written.
 */
#ifndef DWAL_INDEX_H
#define DWAL_INDEX_H

#include "datawal.h"
#include "file.h"
#include "logname.h"
#include "segment.h"

/* ------------------------------------------------------------------ bytes */

#define INDEX_HEAD_SIZE    12
#define INDEX_ENTRY_SIZE   22 /* and the key, and the payload where it is kept */
#define INDEX_TAIL_SIZE    52
#define INDEX_PAYLOAD_MOST 65536u /* of a Raw record, to be kept */
#define INDEX_TEXT_MOST    4095u  /* of a Put's value, to be looked at */

/* Which file the entries are of. */
struct index_tail {
	uint64_t size, ino;
	struct timespec mtime;
	uint64_t records, last_offset; /* the last frame begins there, */
	uint32_t last_crc;             /* and has this CRC */
};

void index_put_head(unsigned char out[INDEX_HEAD_SIZE]);
void index_put_entry(const struct dwal_record *record, unsigned char out[INDEX_ENTRY_SIZE]);

/* By its length: then an entry says whether it is. */
bool index_may_be_text(const struct dwal_record *record);

/* The payload that stands behind the key, or none. */
struct dwal_bytes index_kept(const struct dwal_record *record);

/* crc: of all before it. */
void index_put_tail(const struct index_tail *tail, uint32_t crc,
		    unsigned char out[INDEX_TAIL_SIZE]);

/* What a file begins with, and then one entry more: the CRC of all so far. */
uint32_t index_crc_begin(void);
uint32_t index_crc_add(uint32_t crc, const struct dwal_record *record);

bool index_is_head(const unsigned char p[INDEX_HEAD_SIZE]);

/* out has all but segment, offset and data. False: no entry has such bytes. */
bool index_parse_entry(const unsigned char p[INDEX_ENTRY_SIZE], struct dwal_record *out);

/* *crc: of the whole file but itself, as stored. */
void index_parse_tail(const unsigned char p[INDEX_TAIL_SIZE], struct index_tail *out,
		      uint32_t *crc);

/* ---------------------------------------------------------------- reading */

struct index {
	struct segment *segment; /* borrowed */
	const struct io *io;
	int fd;
	struct index_tail tail;
	struct timespec compared; /* when the segment was last found to be as it says */
	uint64_t end;             /* of the entries */
	uint32_t stored_crc;
	uint32_t crc; /* once loaded: index_crc_add() of all its records */
	unsigned char *window;
	uint64_t window_start;
	size_t window_len;
};

/* Opens the one of a sealed segment that is not empty, and looks whether it is of
 * that very file. False: it is not there (*why is NULL), or is not to be used
 * (*why tells). To be released in any case. */
bool index_open(struct index *index, int dirfd, struct segment *segment, const char **why);

/* Reads all of it: whether it is whole, and ends as the segment does. */
bool index_load(struct index *index, const char **why);

/* Once loaded: hands out each record, a large Raw one read from the segment. A
 * negative value from fn, or -errno: then some were handed out. */
typedef int (*index_record_fn)(void *ctx, const struct dwal_record *record);
int index_each(struct index *index, index_record_fn fn, void *ctx);

/* The segment was found to be as it says, now. */
void index_note_compared(const struct index *index);

void index_release(struct index *index);

/* ---------------------------------------------------------------- writing */

struct index_writer {
	const struct io *io;
	int dirfd, fd; /* fd: -1: only counts the CRC */
	struct index_tail tail;
	char temp[LOGNAME_TEMP_SIZE];
	unsigned char *buffer;
	size_t buffered;
	uint64_t end; /* of what was written, the buffer included */
	uint32_t crc;
};

/* Only for comparing: writes nothing. */
void index_writer_init(struct index_writer *writer);

/* A temporary file beside the segment, like it. 0 or -errno. Within segment_enter(). */
int index_create(struct index_writer *writer, int dirfd, struct segment *segment);

/* The next record. 0 or -errno. */
int index_add(struct index_writer *writer, const struct dwal_record *record);

/* All were added: syncs it. */
int index_finish(struct index_writer *writer);

/* Gives it its name, of which nothing is known after a crash. */
int index_publish(struct index_writer *writer, uint32_t segment);

/* Gives it up, or forgets what was published. */
void index_writer_release(struct index_writer *writer);

#endif
