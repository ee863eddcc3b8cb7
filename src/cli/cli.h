/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the commands of the datawal program share. It knows the library by
 * its public header only.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "complain.h"
#include "datawal.h"
#include "json.h"
#include "mountctl.h"
#include "when.h"

#define CLI_CUT 64u /* bytes of a field that people are shown on a terminal */

/* Exit statuses. */
enum status {
	DONE = 0,
	WRONG_USE = 1,   /* also bad input, and locked by another writer */
	RECOVERABLE = 2, /* a torn tail; an absent key */
	HARD_ERROR = 3,  /* the storage is damaged or failed */
};

enum bytes_form { BYTES_AUTO, BYTES_RAW, BYTES_BASE64, BYTES_HEX };

/* How much of the history is to stay, as it is asked for. */
struct keep {
	enum mountctl_keep how;
	uint64_t amount; /* as there */
};

/* The command line, checked as far as that can be done without its log.
 * Strings are borrowed from argv. */
struct args {
	const struct command *command;
	const char *operand[3]; /* DIR, then OUT or "-", or NAME and WHEN */
	unsigned operands;
	uint32_t given; /* set of 1u << enum cli_option */

	bool json;
	bool raw;
	bool sync;
	bool strict;
	enum dwal_verify verify;
	bool all;
	bool no_truncate;
	bool values_only;
	size_t cut; /* bytes of a field that are shown: all, but on a terminal */
	enum bytes_form bytes;
	uint32_t wait_seconds; /* for the lock of another writer */
	uint64_t limit;        /* records; UINT64_MAX unless given */
	uint32_t from_segment;
	uint64_t from_offset;
	void *key; /* owned; NULL unless given */
	size_t key_len;
	const char *value;
	const char *file;
	const char *remove; /* a name */
	bool drop_tags;
	bool dry_run;
	struct keep keep; /* all zero unless given: the present only */
	struct when when; /* all zero unless given */
};

struct command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *summary;
	const char *help; /* more lines, ending in examples */
	uint32_t options; /* set of 1u << enum cli_option */
	unsigned min_operands, max_operands;
	enum status (*run)(const struct args *args);
};

/* args.c. ARGS_STOP: help, version or a complaint has been printed. */
enum { ARGS_RUN, ARGS_STOP };
int args_parse(struct args *args, int argc, char **argv, enum status *status);
void args_release(struct args *args);

/* nearest.c. The name that word may have been meant for, or NULL. name(i) gives
 * the names, then NULL. */
const char *nearest(const char *word, const char *(*name)(size_t i));

/* What a command accepts; --json and --help are everybody's. */
enum cli_option {
	OPT_HELP,
	OPT_VERSION,
	OPT_JSON,
	OPT_KEY,
	OPT_KEY_BASE64,
	OPT_KEY_HEX,
	OPT_VALUE,
	OPT_FILE,
	OPT_SYNC,
	OPT_LIMIT,
	OPT_FROM_SEGMENT,
	OPT_FROM_OFFSET,
	OPT_BYTES,
	OPT_NO_TRUNCATE,
	OPT_RAW,
	OPT_STRICT,
	OPT_WAIT,
	OPT_ALL,
	OPT_VALUES_ONLY,
	OPT_REMOVE,
	OPT_KEEP,
	OPT_DROP_TAGS,
	OPT_DRY_RUN,
	OPT_VERIFY,
};
#define OPTS_ALL (1u << OPT_HELP | 1u << OPT_VERSION | 1u << OPT_JSON)
#define OPTS_KEY (1u << OPT_KEY | 1u << OPT_KEY_BASE64 | 1u << OPT_KEY_HEX)

/* main.c. Ends with a NULL name. */
extern const struct command commands[];

/* The commands. */
enum status cmd_scan(const struct args *args);    /* read.c */
enum status cmd_get(const struct args *args);     /* read.c */
enum status cmd_list(const struct args *args);    /* read.c */
enum status cmd_report(const struct args *args);  /* report.c */
enum status cmd_verify(const struct args *args);  /* verify.c */
enum status cmd_dump(const struct args *args);    /* dump.c */
enum status cmd_check(const struct args *args);   /* check.c */
enum status cmd_history(const struct args *args); /* history.c */
enum status cmd_log(const struct args *args);     /* log.c */
enum status cmd_stats(const struct args *args);   /* stats.c */
enum status cmd_load(const struct args *args);    /* load.c */
enum status cmd_put(const struct args *args);     /* write.c */
enum status cmd_delete(const struct args *args);  /* write.c */
enum status cmd_append(const struct args *args);  /* write.c */
enum status cmd_rotate(const struct args *args);  /* write.c */
enum status cmd_tag(const struct args *args);     /* tag.c */
enum status cmd_export(const struct args *args);  /* derive.c */
enum status cmd_compact(const struct args *args); /* derive.c */
enum status cmd_salvage(const struct args *args); /* salvage.c */
enum status cmd_help(const struct args *args);    /* args.c */
enum status cmd_version(const struct args *args); /* args.c */

/* behind.c. The directory to read for DIR, which may be the mountpoint of a
 * mount; the caller's, NULL when DIR is what is to be read itself. */
char *log_behind(const char *dir);

/* Complains and gives WRONG_USE when dir lies in a mount, where it would make
 * a log inside a log. */
enum status refuse_mount(const char *dir);

/* common.c. Says what went wrong in where and gives the exit status for it.
 * error may be NULL. */
enum status fail(const char *where, int code, const struct dwal_error *error);

/* Complains and gives WRONG_USE unless dir is a log or an empty directory;
 * an absent one passes when may_create. Keeps typing errors from turning
 * somebody's directory into a log. */
enum status check_log(const char *dir, bool may_create);

/* Opens the store of args' DIR for reading, or complains. */
enum status open_store(const struct args *args, dwal_kv **out);

/* write.c. Opens the log of args' DIR for writing, says what that repaired,
 * or complains. */
enum status open_log(const struct args *args, bool create, dwal_log **out);
/* Why the log took no record, or did not keep it; the exit status. */
enum status write_refused(const struct args *args, dwal_log *log, int code);
/* Gives back status, or what closing gives. */
enum status close_log(const struct args *args, dwal_log *log, enum status status);
/* The same of the store of args' DIR, which is not made. The observer and the
 * progress of options are used. */
enum status open_kv(const struct args *args, struct dwal_options *options, dwal_kv **out);
enum status kv_refused(const struct args *args, dwal_kv *kv, int code);
enum status close_kv(const struct args *args, dwal_kv *kv, enum status status);

/* ask.c. Asks the daemon, when dir is the root of a live mount; request and answer
 * as mountctl.h has them. 0, DWAL_ABSENT: it is something else, -errno. */
int ask_mount(const char *dir, unsigned long request, void *answer);

/* derive.c. Bytes in all segments; 0, and no bar but a number, if that cannot be
 * told. */
uint64_t size_of_log(const char *dir);
/* Why OUT is not there: an error, or an interruption, which then ends the process. */
enum status not_made(const char *target, int code, const struct dwal_error *error);

/* interrupt.c. From now on SIGINT, SIGTERM and SIGHUP are noted, but for those
 * that are ignored; a second one kills. restart: system calls go on. */
void interrupt_catch(bool restart);
bool interrupt_came(void);
/* Has the noted one, if any, end the process after all. */
void interrupt_raise(void);

/* inplace.c. compact without OUT. */
enum status compact_in_place(const struct args *args);

/* progress.c. A bar on standard error, when that is a terminal. */
struct progress {
	bool shown;
	int64_t last_ms;
};
void progress_begin(struct progress *p);
bool progress_due(struct progress *p); /* ten times a second */
void progress_show(const struct progress *p, uint64_t done, uint64_t total); /* bytes */
void progress_end(const struct progress *p); /* erases it; also before a line */

/* decode.c. n characters into n / 2 bytes. False: not such a text. */
bool decode_hex(const char *text, size_t n, unsigned char *out, size_t *len);

/* print.c; whether writing to stdout failed is asked once, at the end.
 *
 * A field within a line, for people: quoted where it must be, cut to `cut`
 * bytes of the value. */
void print_field(FILE *to, struct dwal_bytes bytes, enum bytes_form form, size_t cut);
/* A value alone: as print_field(), but text stands as it is. */
void print_value(FILE *to, struct dwal_bytes bytes, enum bytes_form form, size_t cut);
/* One line on stderr: "where: what" and the bytes as a field, cut. */
void complain_bytes(const char *where, const char *what, struct dwal_bytes bytes);

/* read.c. What is said of a key that is not there; RECOVERABLE. */
enum status print_miss(const struct args *args, const char *what);

/* One JSON object on a line of stdout, begun; json_close() ends it. */
struct json json_line(const char *kind);
struct json json_line_to(FILE *to, const char *kind); /* the same, elsewhere */
/* The same, with what a record is and where. For people that begins a line; what:
 * the name of its type, or of what it is the header of. */
struct json json_record(const char *kind, const struct dwal_record *record);
void print_record_head(const struct dwal_record *record, const char *what);

/* when.c. What an operation's header says: time and name, where it has them. */
void print_operation(FILE *to, const struct dwal_operation *operation); /* " time=... op=..." */
void json_operation(struct json *json, const struct dwal_operation *operation);

/* walk.c. All records of a log in order, read beside any writer; at a torn
 * tail it looks again before it believes in it: a tail that moves is a
 * writer at work. */
struct walk {
	const char *dir;
	dwal_reader *reader;
	dwal_iter *iter;
	uint32_t segment; /* where the next record is expected: behind the last */
	uint64_t offset;
	bool damaged; /* a hard error was passed, the last one in: */
	uint32_t damaged_segment;
	unsigned looks;
	uint64_t tail; /* bytes behind the last record, found by the last look */
	bool torn;     /* at the end: the tail is torn, no writer is writing it */
};

/* To be closed with walk_close(), also when this failed. */
int walk_open(struct walk *walk, const char *dir, uint32_t segment, uint64_t offset,
	      struct dwal_error *error);
/* As dwal_iter_next(). After DWAL_ECORRUPT the walk can go on with the
 * segment that follows. */
int walk_next(struct walk *walk, struct dwal_record *record, struct dwal_error *error);
/* The same, but with what is intact behind the damage in its segment first. */
int walk_pass_damage(struct walk *walk, uint32_t segment);
int walk_past_damage(struct walk *walk, uint32_t segment, struct dwal_error *error);
void walk_close(struct walk *walk);
/* After DWAL_END or DWAL_ECORRUPT: the damage that the walk stands at. 0,
 * DWAL_ABSENT when there is none, or only a writer at work, -errno. */
int walk_damage(struct walk *walk, struct dwal_damage *damage);
/* One line about it, if any, and the exit status for it. */
enum status walk_tell_damage(struct walk *walk);
/* Looks again at a torn tail that was found: 0 and *tail as it is now, or
 * DWAL_END when it was a writer at work. Opens the walk; to be closed. */
int walk_tail(struct walk *walk, const char *dir, struct dwal_damage *tail,
	      struct dwal_error *error);

/* verify.c. What re-reading every frame of a log has found. */
struct verification {
	uint64_t segments, frames;
	uint64_t crc_failures, hard_errors; /* the first are among the others */
	bool torn;
	uint64_t tail_bytes;
	uint64_t intact_behind;  /* records behind the first damage */
	struct dwal_txids txids; /* up to it */
	uint32_t last_segment;   /* of the last frame; 0, 0 for none */
	uint64_t last_offset;
};
/* Says each damage. Not DONE: the log could not be read, which was said. */
enum status verify_log(const char *dir, struct verification *v);
void print_verification(const struct verification *v);
void json_verification(struct json *json, const struct verification *v);

/* tell.c. One line about a damage that nobody touched; the exit status. */
enum status tell_damage(const char *where, const struct dwal_damage *damage);
/* One line about what an open for writing cut off, if it did. */
void tell_repair(const char *dir, const struct dwal_report *report);
/* One line when a store that was opened for reading ends with intact records
 * behind a torn tail. Not DONE: that could not be read. */
enum status tell_intact(const char *dir, const struct dwal_report *report);

#endif
