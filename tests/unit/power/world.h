/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A disk, what was done to the log on it, and the crashes that led there. A
 * run does something to a log; at each change that it makes, all that a crash
 * may leave is opened and checked, and that opening is crashed into again.
 */
#ifndef POWER_WORLD_H
#define POWER_WORLD_H

#include "crash.h"
#include "kv.h"
#include "oracle.h"

#define WORLD_DEPTH        4
#define WORLD_PAYLOADS     16
#define WORLD_SEGMENTS     16
#define WORLD_PAYLOAD_MOST 2048

struct world;

struct run {
	const char *name;
	void (*run)(struct world *world);
};

/* Which crash led to a world. */
struct crash_step {
	unsigned point; /* before the n-th change */
	char kind;      /* 'c' power cut, 'k' kill, 'f' kill after a failed sync */
	uint64_t state; /* which of them */
};

struct campaign {
	const struct run *run;
	const char *root;
	uint64_t seed;
	bool indexed;               /* with index files, which each open believes */
	unsigned depth;             /* so many crashes in a row are enumerated */
	uint64_t most[WORLD_DEPTH]; /* states of a power cut, at each depth */
	const char *replay;         /* the steps to one state, or NULL */
	struct crash_step steps[WORLD_DEPTH];
	unsigned step_count;
	uint64_t fail_at; /* of world_faults(): only this call; 0: each */
	unsigned fault;   /* and so; 0: in each way */
	unsigned stride;  /* so many calls are left out between two */
	/* counted */
	uint64_t points, states, checked, sampled;
	/* the states that were checked */
	uint64_t *known;
	size_t known_room, known_count;
};

/* What was behind the end of the active segment when it was last opened after
 * a power cut: it must be found for ever. */
struct torn {
	uint32_t segment;
	uint64_t offset;
	struct disk_bytes bytes;
};

/* A compaction into a directory of its own. */
struct target {
	bool begun, acked; /* acked: it has said that it is there */
	size_t live;
	struct oracle_record values[8]; /* what was live */
};

struct world {
	struct disk disk;
	struct campaign *campaign;
	const struct world *before; /* the world that the last crash was in */
	struct crash_step step;
	unsigned depth, point;
	uint64_t serial; /* of what is written, and never again */
	struct torn torn;
	struct target target;
	struct timespec mtimes[WORLD_SEGMENTS]; /* of sealed segments, before a compaction */
	char dir[80];
	dwal_kv *kv;
	struct dwal_options options;
	bool faulty;    /* calls may fail here */
	uint64_t calls; /* before the step that is being made */
	bool lies;      /* a sync has failed: the cache shows what is not on the disk */
	struct oracle oracle;
	unsigned char payloads[WORLD_PAYLOADS][WORLD_PAYLOAD_MOST];
};

/* Runs the whole campaign. */
void world_campaign(struct campaign *campaign);

/* A fresh log to run on; then from here on each change is a place to crash at,
 * unless there were crashes enough. */
struct world *world_new(struct campaign *campaign);
void world_watch(struct world *world);
void world_free(struct world *world);

/* fault.c: runs it again and again, and each time another call fails. */
void world_faults(struct campaign *campaign);

/* Forgets which states were checked. */
void world_forget(struct campaign *campaign);

/* The world after a crash, but for its disk; checks one, unless it is known,
 * and ends it. */
struct world *world_next(const struct world *world, struct crash_step step);
void world_visit(struct world *next);

/* For SIGABRT: tells how to see it again. */
void world_abort(int signal_number);

/* Ends the program with a message, and with how to see it again. */
__attribute__((noreturn, format(printf, 2, 3))) void world_fail(const struct world *world,
								const char *format, ...);

/* Steps of a run. Each gives what the call returned. */
int world_open(struct world *world, const struct dwal_options *options);
int world_write(struct world *world, const struct dwal_op *ops, size_t n, bool has_line);
/* An operation with a line, written ahead of a Put of k7, durable. */
int world_write_ahead(struct world *world, const struct dwal_op *ops, size_t n);
int world_append(struct world *world, const struct dwal_op *ops, size_t n);
int world_sync(struct world *world);
int world_rotate(struct world *world);
int world_close(struct world *world);
int world_compact_to(struct world *world);
int world_compact(struct world *world, const struct dwal_rewrite_options *options);
int world_tag(struct world *world, uint64_t txid);

/* Makes a file of the log directory, or adds to it, as somebody else may. */
void world_file(struct world *world, const char *name, const void *data, size_t len);

/* Of the next event: a record with a payload that was never there before. The
 * key is "k" and the number. size: of the payload. */
struct dwal_op world_put(struct world *world, unsigned key, size_t size);
struct dwal_op world_attributes(struct world *world, unsigned key, size_t size);
struct dwal_op world_entry(struct world *world, unsigned key, bool ends);
struct dwal_op world_raw(struct world *world, size_t size);
struct dwal_op world_delete(unsigned key);

/* world_check.c: what a crash has left is opened, and goes on. */
void world_check(struct world *world);
/* check_target.c: what a compaction to another directory has left. */
void world_check_target(struct world *world);
/* The file of a segment; NULL: there is none. */
const struct disk_file *world_segment(const struct world *world, uint32_t id);
/* That it is right, and no more. */
void world_check_last(struct world *world);
/* The living store shows what the oracle says. */
void world_check_living(struct world *world);

extern const struct run world_runs[];
extern const size_t world_run_count;
const struct run *world_run(const char *name); /* NULL: there is none */

#endif
