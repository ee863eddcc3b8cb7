/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * load: puts every line of an export. A file is gone through before the log
 * is opened, so that one with a bad line puts nothing; what comes through a
 * pipe is put line by line. Holds one line at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base64.h"
#include "cli.h"

#define CHUNK (1u << 16) /* read at once, at least */
/* The longest key and value in base64, each '/' written as "\/", and room for
 * names and blanks. */
#define MAX_LINE (2u * 4u * ((DWAL_MAX_KEY + DWAL_MAX_PAYLOAD) / 3u + 2u) + CHUNK)

struct load {
	const char *name; /* of the input, for messages */
	int fd;
	uint64_t size; /* of a file that can be gone through twice; else 0 */
	uint64_t done; /* bytes read */
	char *buffer;
	size_t start, end, room; /* what of it is not used yet */
	uint64_t line, puts;
	struct progress progress;
};

/* ---- lines ---- */

static int make_room(struct load *load)
{
	char *grown;

	if (load->start) {
		memmove(load->buffer, load->buffer + load->start, load->end - load->start);
		load->end -= load->start;
		load->start = 0;
	}
	if (load->end > MAX_LINE)
		return -E2BIG;
	if (load->room - load->end >= CHUNK / 2)
		return 0;
	grown = realloc(load->buffer, 2 * load->room);
	if (!grown)
		return -ENOMEM;
	load->buffer = grown;
	load->room *= 2;
	return 0;
}

/* 1: some more bytes; 0: the end; -errno. */
static int read_more(struct load *load)
{
	ssize_t n;
	int ret = make_room(load);

	if (ret)
		return ret;
	do
		n = read(load->fd, load->buffer + load->end, load->room - load->end);
	while (n < 0 && errno == EINTR && !interrupt_came());
	if (n < 0)
		return -errno;
	load->end += (size_t)n;
	load->done += (uint64_t)n;
	return n > 0;
}

/* The next line, without its newline: *text is valid, and may be written to,
 * until the next call. 0, DWAL_END, -E2BIG, -errno. */
static int next_line(struct load *load, char **text, size_t *len)
{
	size_t seen = 0;
	int more = 1;

	for (;;) {
		char *from = load->buffer + load->start;
		char *newline = seen < load->end - load->start
					? memchr(from + seen, '\n', load->end - load->start - seen)
					: NULL;

		if (newline || (!more && load->end > load->start)) {
			*text = from;
			*len = newline ? (size_t)(newline - from) : load->end - load->start;
			load->start += *len + (newline != NULL);
			load->line++;
			return 0;
		}
		seen = load->end - load->start;
		if (!more)
			return DWAL_END;
		more = read_more(load);
		if (more < 0)
			return more;
	}
}

/* ---- one line ---- */

struct text {
	char *at, *end;
};

static void skip_blanks(struct text *t)
{
	while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\r'))
		t->at++;
}

static bool take(struct text *t, char c)
{
	skip_blanks(t);
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

/* A string, unescaped where it stands. The only escape that base64 can need
 * is "\/". */
static bool take_string(struct text *t, struct text *out)
{
	char *to;

	if (!take(t, '"'))
		return false;
	out->at = to = t->at;
	for (; t->at < t->end && *t->at != '"'; t->at++) {
		if (*t->at == '\\' && (++t->at == t->end || *t->at != '/'))
			return false;
		*to++ = *t->at;
	}
	out->end = to;
	return take(t, '"');
}

static bool is_word(const struct text *t, const char *word)
{
	return (size_t)(t->end - t->at) == strlen(word) && !memcmp(t->at, word, strlen(word));
}

/* Both members, each once, in any order, and nothing else. */
static bool parse_members(struct text *t, struct text *key, struct text *value)
{
	struct text name, text;

	*key = *value = (struct text){NULL, NULL};
	if (!take(t, '{'))
		return false;
	for (int i = 0; i < 2; i++) {
		struct text *member;

		if ((i && !take(t, ',')) || !take_string(t, &name) || !take(t, ':') ||
		    !take_string(t, &text))
			return false;
		member = is_word(&name, "key_b64")     ? key
			 : is_word(&name, "value_b64") ? value
						       : NULL;
		if (!member || member->at)
			return false;
		*member = text;
	}
	if (!take(t, '}'))
		return false;
	skip_blanks(t);
	return t->at == t->end;
}

/* Decodes where the text stands. */
static bool decode(const struct text *t, struct dwal_bytes *out)
{
	out->data = t->at;
	return base64_decode(t->at, (size_t)(t->end - t->at), (unsigned char *)t->at, &out->len);
}

/* What is wrong with a line, or NULL. op is a Put whose bytes are in it. */
static const char *parse_line(char *line, size_t len, struct dwal_op *op)
{
	struct text t = {line, line + len}, key, value;

	if (!parse_members(&t, &key, &value))
		return "not of the form {\"key_b64\":\"...\",\"value_b64\":\"...\"}";
	op->type = DWAL_PUT;
	if (!decode(&key, &op->key))
		return "key_b64 is not standard padded base64";
	if (!decode(&value, &op->payload))
		return "value_b64 is not standard padded base64";
	if (op->key.len > DWAL_MAX_KEY)
		return "the key is over 64 KiB (65536 bytes)";
	if (op->payload.len > DWAL_MAX_PAYLOAD)
		return "the value is over 64 MiB (67108864 bytes), the most a record holds";
	return NULL;
}

static bool is_blank(const char *line, size_t len)
{
	struct text t = {(char *)(uintptr_t)line, (char *)(uintptr_t)line + len};

	skip_blanks(&t);
	return t.at == t.end;
}

/* ---- all lines ---- */

/* How many of the lines before are in the log now. */
static void tell_puts(const struct load *load, const dwal_log *log, char *out, size_t size)
{
	if (!log || !load->puts)
		(void)snprintf(out, size, "nothing was written");
	else
		(void)snprintf(out, size, "%" PRIu64 " keys before it were put and stay",
			       load->puts);
}

static enum status bad_line(const struct load *load, const dwal_log *log, const char *what)
{
	char puts[64];

	progress_end(&load->progress);
	tell_puts(load, log, puts, sizeof(puts));
	complain("%s: line %" PRIu64 ": %s; %s", load->name, load->line, what, puts);
	return WRONG_USE;
}

static enum status not_read(const struct load *load, const dwal_log *log, int code)
{
	char puts[64];

	if (code == -E2BIG) {
		struct load at = *load;

		at.line++; /* the one that is being read */
		return bad_line(&at, log, "longer than any line of an export");
	}
	progress_end(&load->progress);
	tell_puts(load, log, puts, sizeof(puts));
	complain("%s: %s; %s", load->name, interrupt_came() ? "interrupted" : strerror(-code),
		 puts);
	return WRONG_USE;
}

static enum status not_put(const struct args *args, const struct load *load, dwal_log *log,
			   int code)
{
	const char *why = dwal_log_refusal(log);
	struct dwal_error error = {0};
	char puts[64];

	progress_end(&load->progress);
	tell_puts(load, log, puts, sizeof(puts));
	(void)snprintf(error.message, sizeof(error.message), "%s: line %" PRIu64 ": %.300s; %s",
		       load->name, load->line, why ? why : dwal_strerror(code), puts);
	return fail(args->operand[0], code, &error);
}

/* With a log each line is put, without one only looked at. */
static enum status go_through(const struct args *args, struct load *load, dwal_log *log)
{
	struct dwal_op op = {0};
	const char *wrong;
	size_t len;
	char *line;
	int ret;

	while (!(ret = interrupt_came() ? -EINTR : next_line(load, &line, &len))) {
		if (progress_due(&load->progress))
			progress_show(&load->progress, load->done + (log ? load->size : 0),
				      2 * load->size);
		if (is_blank(line, len))
			continue;
		wrong = parse_line(line, len, &op);
		if (wrong)
			return bad_line(load, log, wrong);
		ret = log ? dwal_log_append(log, &op, 1, NULL) : 0;
		if (ret)
			return not_put(args, load, log, ret);
		load->puts++;
	}
	return ret == DWAL_END ? DONE : not_read(load, log, ret);
}

/* Back to where the input began, which need not be the start of the file. */
static bool rewind_input(struct load *load)
{
	if (lseek(load->fd, -(off_t)load->done, SEEK_CUR) < 0)
		return false;
	load->start = load->end = 0;
	load->done = load->line = load->puts = 0;
	return true;
}

static enum status put_lines(const struct args *args, struct load *load)
{
	dwal_log *log;
	enum status status = open_log(args, true, &log);
	int ret;

	if (status != DONE)
		return status;
	status = go_through(args, load, log);
	progress_end(&load->progress);
	if (status == DONE && args->sync) {
		ret = dwal_log_sync(log);
		if (ret)
			status = write_refused(args, log, ret);
	}
	return close_log(args, log, status);
}

static enum status load_input(const struct args *args, struct load *load)
{
	struct stat st;
	enum status status = DONE;
	struct json json;

	interrupt_catch(false); /* between two lines everything is whole */
	progress_begin(&load->progress);
	if (!fstat(load->fd, &st) && S_ISREG(st.st_mode) && lseek(load->fd, 0, SEEK_CUR) >= 0) {
		load->size = (uint64_t)st.st_size;
		status = go_through(args, load, NULL);
		if (status == DONE && !rewind_input(load))
			status = not_read(load, NULL, -errno);
	}
	if (status == DONE)
		status = put_lines(args, load);
	progress_end(&load->progress);
	if (status != DONE || !args->json)
		return status;
	json = json_line("load");
	json_number(&json, "puts", load->puts);
	json_close(&json, '}');
	return DONE;
}

enum status cmd_load(const struct args *args)
{
	const char *path = args->operand[1];
	const bool piped = !strcmp(path, "-");
	struct load load = {.name = piped ? "standard input" : path, .room = CHUNK};
	enum status status;

	load.fd = piped ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (load.fd < 0) {
		complain("%s: %s; nothing was written", path, strerror(errno));
		return WRONG_USE;
	}
	load.buffer = malloc(load.room);
	status = load.buffer ? load_input(args, &load) : fail(path, -ENOMEM, NULL);
	free(load.buffer);
	if (!piped)
		(void)close(load.fd); /* only read */
	interrupt_raise();
	return status;
}
