/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * put, delete, append, rotate: what takes the writer's lock. All that can be
 * refused is refused before the log is opened, since opening may repair it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "holder.h"
#include "mountctl.h"

struct input {
	unsigned char *data;
	size_t len, room;
};

/* Reads to the end, or one byte more than a record can hold. */
static int read_all(int fd, struct input *in)
{
	for (;;) {
		ssize_t n;

		if (in->len == in->room) {
			size_t room = in->room ? in->room * 2 : 1 << 16;
			unsigned char *data;

			if (room > DWAL_MAX_PAYLOAD + 1)
				room = DWAL_MAX_PAYLOAD + 1;
			data = realloc(in->data, room);
			if (!data)
				return -ENOMEM;
			in->data = data;
			in->room = room;
		}
		n = read(fd, in->data + in->len, in->room - in->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		in->len += (size_t)n;
		if (!n || in->len > DWAL_MAX_PAYLOAD)
			return 0;
	}
}

static enum status refuse_size(const char *name)
{
	complain("%s: over 64 MiB (%u bytes), the most a record holds; nothing was written", name,
		 DWAL_MAX_PAYLOAD);
	return WRONG_USE;
}

static enum status read_input(int fd, const char *name, struct input *in)
{
	struct stat st;
	int ret;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size > DWAL_MAX_PAYLOAD)
		return refuse_size(name); /* without reading it */
	ret = read_all(fd, in);
	if (ret) {
		complain("%s: %s; nothing was written", name, strerror(-ret));
		return WRONG_USE;
	}
	return in->len > DWAL_MAX_PAYLOAD ? refuse_size(name) : DONE;
}

/* From --value, --file or stdin: args.c has seen to it that it is one. */
static enum status read_payload(const struct args *args, struct input *in)
{
	enum status status;
	int fd;

	if (args->value) {
		in->len = strlen(args->value);
		in->data = (unsigned char *)strdup(args->value);
		return in->data ? DONE : fail("value", -ENOMEM, NULL);
	}
	if (!args->file || !strcmp(args->file, "-"))
		return read_input(STDIN_FILENO, "standard input", in);
	fd = open(args->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		complain("%s: %s; nothing was written", args->file, strerror(errno));
		return WRONG_USE;
	}
	status = read_input(fd, args->file, in);
	(void)close(fd); /* only read */
	return status;
}

static enum status may_write(const char *dir, bool create)
{
	enum status status = refuse_mount(dir);

	return status == DONE ? check_log(dir, create) : status;
}

static void take_lock_options(const struct args *args, struct dwal_options *options)
{
	options->strict = args->strict;
	options->lock_wait_ms = args->wait_seconds * 1000;
}

static enum status not_opened(const char *dir, int code, struct dwal_error *error)
{
	if (code == DWAL_ELOCKED)
		holder_explain(dir, error->holder_pid, error->message, sizeof(error->message));
	return fail(dir, code, error);
}

enum status open_log(const struct args *args, bool create, dwal_log **out)
{
	struct dwal_options options = {.must_exist = !create};
	const char *dir = args->operand[0];
	struct dwal_error error = {0};
	enum status status = may_write(dir, create);
	int ret;

	if (status != DONE)
		return status;
	take_lock_options(args, &options);
	ret = dwal_log_open(dir, &options, out, &error);
	if (ret)
		return not_opened(dir, ret, &error);
	tell_repair(dir, dwal_log_report(*out));
	return DONE;
}

enum status open_kv(const struct args *args, struct dwal_options *options, dwal_kv **out)
{
	const char *dir = args->operand[0];
	struct dwal_error error = {0};
	enum status status = may_write(dir, false);
	int ret;

	if (status != DONE)
		return status;
	options->must_exist = true;
	take_lock_options(args, options);
	ret = dwal_kv_open(dir, options, out, &error);
	if (ret)
		return not_opened(dir, ret, &error);
	tell_repair(dir, dwal_kv_report(*out));
	return DONE;
}

/* why may be NULL: then the code tells. */
static enum status refused(const struct args *args, const char *why, int code)
{
	if (!why)
		return fail(args->operand[0], code, NULL);
	complain("%s", why);
	return HARD_ERROR;
}

enum status write_refused(const struct args *args, dwal_log *log, int code)
{
	return refused(args, dwal_log_refusal(log), code);
}

enum status kv_refused(const struct args *args, dwal_kv *kv, int code)
{
	return refused(args, dwal_kv_refusal(kv), code);
}

enum status close_log(const struct args *args, dwal_log *log, enum status status)
{
	int ret = dwal_log_close(log);

	return ret && status == DONE ? fail(args->operand[0], ret, NULL) : status;
}

enum status close_kv(const struct args *args, dwal_kv *kv, enum status status)
{
	int ret = dwal_kv_close(kv);

	return ret && status == DONE ? fail(args->operand[0], ret, NULL) : status;
}

static enum status append_op(const struct args *args, dwal_log *log, const struct dwal_op *op)
{
	struct dwal_place place;
	int ret = dwal_log_append(log, op, 1, &place);
	struct json json;

	if (!ret && args->sync)
		ret = dwal_log_sync(log);
	if (ret)
		return write_refused(args, log, ret);
	if (!args->json)
		return DONE;
	json = json_record("written", &(struct dwal_record){.segment = place.segment,
							    .offset = place.offset,
							    .length = place.length,
							    .type = op->type,
							    .txid = place.txid});
	json_close(&json, '}');
	return DONE;
}

static enum status write_record(const struct args *args, enum dwal_type type,
				struct dwal_bytes payload)
{
	const struct dwal_op op = {type, {args->key, args->key_len}, payload};
	dwal_log *log;
	enum status status = open_log(args, type != DWAL_DELETE, &log);

	if (status != DONE)
		return status;
	return close_log(args, log, append_op(args, log, &op));
}

static enum status write_payload(const struct args *args, enum dwal_type type)
{
	struct input in = {0};
	enum status status = read_payload(args, &in);

	if (status == DONE)
		status = write_record(args, type, (struct dwal_bytes){in.data, in.len});
	free(in.data);
	return status;
}

enum status cmd_put(const struct args *args)
{
	return write_payload(args, DWAL_PUT);
}

enum status cmd_append(const struct args *args)
{
	return write_payload(args, DWAL_RAW);
}

enum status cmd_delete(const struct args *args)
{
	return write_record(args, DWAL_DELETE, (struct dwal_bytes){NULL, 0});
}

static void print_rotated(const struct args *args, uint32_t active)
{
	struct json json;

	if (!args->json)
		return;
	json = json_line("rotate");
	json_number(&json, "active_segment", active);
	json_close(&json, '}');
}

enum status cmd_rotate(const struct args *args)
{
	dwal_log *log;
	enum status status;
	uint32_t active;
	int ret = ask_mount(args->operand[0], MOUNTCTL_ROTATE, &active);

	if (ret < 0)
		return fail(args->operand[0], ret, NULL);
	if (!ret) {
		print_rotated(args, active);
		return DONE;
	}
	status = open_log(args, false, &log);
	if (status != DONE)
		return status;
	ret = dwal_log_rotate(log);
	if (ret)
		status = write_refused(args, log, ret);
	else
		print_rotated(args, dwal_log_active_segment(log));
	return close_log(args, log, status);
}
