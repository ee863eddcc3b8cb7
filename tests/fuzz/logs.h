/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A log directory made from any bytes. The input is a sequence of steps, so
 * that also what has a CRC is varied: an operation with its header, told as it
 * is or with one lie; a frame; plain bytes; a changed bit; a cut.
 */
#ifndef LOGS_H
#define LOGS_H

#include "fuzz.h"

#define LOG_BYTES 65536 /* of all files together */

/* What may lie in a log directory. Segments come first. */
static const char *const log_names[] = {
	"00000001.dwal",
	"00000002.dwal",
	"00000003.dwal",
	"00000000.dwal",
	"99999999.dwal",
	"00000001.dwal.torn-0",
	"00000003.dwal.torn-34.2",
	"made.dwal-tmp",
	"notes",
	".lock",
};
#define LOG_SEGMENTS 5

struct log_file {
	bool there;
	uint8_t *data;
	size_t len;
};

struct log_files {
	struct log_file file[COUNT(log_names)];
	size_t bytes;
	uint64_t txid; /* of the last frame */
};

static inline void log_add(struct log_files *files, size_t name, const void *data, size_t len)
{
	struct log_file *file = &files->file[name];

	file->there = true;
	if (!len || files->bytes + len > LOG_BYTES)
		return;
	file->data = realloc(file->data, file->len + len);
	CHECK(file->data);
	memcpy(file->data + file->len, data, len);
	file->len += len;
	files->bytes += len;
}

/* One record from the input: type, then its key, by a number or byte for byte,
 * then its payload. */
static inline struct dwal_op log_take_record(struct input *input)
{
	static const char *const keys[] = {"a",
					   "a/b",
					   "a/b/c",
					   "",
					   "datawal.batch",
					   "datawal.horizon",
					   "datawal.tag",
					   "datawalfs.unfinished",
					   "datawalfs.clock",
					   "\\x2e",
					   "a\\value",
					   ".log"};
	uint64_t type = take_number(input, 1);
	size_t key = (size_t)take_number(input, 1);
	struct dwal_op op = {.type = (enum dwal_type)(type % 3)};

	if (key < COUNT(keys))
		op.key = (struct dwal_bytes){keys[key], strlen(keys[key])};
	else
		op.key = take_bytes(input, key - COUNT(keys));
	op.payload = take_bytes(input, (size_t)take_number(input, type & 128 ? 2 : 1));
	return op;
}

/* The frame, newly allocated, and its length. */
static inline uint8_t *log_frame(const struct dwal_op *op, uint64_t txid, uint32_t *len)
{
	uint8_t *frame;

	*len = dwal_frame_size(op->key.len, op->payload.len);
	frame = malloc(*len);
	CHECK(frame);
	CHECK_INT(dwal_frame_encode(op->type, txid, op->key, op->payload, frame), 0);
	return frame;
}

static inline void log_add_frame(struct log_files *files, size_t name, const struct dwal_op *op,
				 uint64_t txid)
{
	uint32_t len;
	uint8_t *frame = log_frame(op, txid, &len);

	log_add(files, name, frame, len);
	free(frame);
}

#define LOG_MOST 6 /* records of an operation */

static inline void log_add_operation(struct log_files *files, size_t name, struct input *input)
{
	uint64_t n = take_number(input, 1) % LOG_MOST, lie = take_number(input, 1);
	uint64_t there = take_number(input, 1) % (2 * LOG_MOST), txid = files->txid, bytes = 0;
	struct dwal_bytes lines = take_bytes(input, (size_t)take_number(input, 1));
	struct dwal_op op[LOG_MOST];
	uint32_t len;
	char text[1024];
	int at;

	for (uint64_t i = 0; i < n; i++) {
		op[i] = log_take_record(input);
		bytes += dwal_frame_size(op[i].key.len, op[i].payload.len);
	}
	at = snprintf(text, sizeof(text), "datawal batch 1\ntxid=%llu\nn=%llu\nbytes=%llu\ncrc=",
		      (unsigned long long)txid + (lie == 1),
		      (unsigned long long)n + (lie == 2) - (lie == 3 && n),
		      (unsigned long long)bytes + (lie == 4));
	for (uint64_t i = 0; i < n - (lie == 3 && n); i++) {
		uint8_t *frame = log_frame(&op[i], txid, &len);

		at += snprintf(text + at, sizeof(text) - (size_t)at, "%02x%02x%02x%02x",
			       frame[len - 1], frame[len - 2], frame[len - 3], frame[len - 4]);
		free(frame);
	}
	if (lie == 2)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "00000000");
	text[at++] = '\n';
	memcpy(text + at, lines.data, lines.len);
	log_add_frame(
		files, name,
		&(struct dwal_op){DWAL_RAW, {"datawal.batch", 13}, {text, (size_t)at + lines.len}},
		txid);
	/* mostly all of them */
	for (uint64_t i = 0; i < n && (there >= LOG_MOST || i < there); i++)
		log_add_frame(files, name, &op[i], txid + (lie == 5 && i + 1 == n));
}

static inline void log_damage(struct log_files *files, size_t name, struct input *input, bool cut)
{
	struct log_file *file = &files->file[name];
	size_t back = (size_t)take_number(input, 2) + 1;

	if (back > file->len)
		return;
	if (!cut) {
		file->data[file->len - back] ^= (uint8_t)(1 << take_number(input, 1) % 8);
		return;
	}
	file->len -= back;
	files->bytes -= back;
}

static inline void log_zeros(struct log_files *files, size_t name, struct input *input)
{
	static const uint8_t zeros[1024];

	log_add(files, name, zeros, (size_t)take_number(input, 2) % sizeof(zeros));
}

static inline void log_step(struct log_files *files, size_t *name, struct input *input)
{
	uint64_t step = take_number(input, 1);
	struct dwal_bytes bytes;
	struct dwal_op op;

	switch (step & 7) {
	case 0:
		*name = (size_t)take_number(input, 1) % COUNT(log_names);
		files->file[*name].there = true;
		return;
	case 1:
		bytes = take_bytes(input, (size_t)take_number(input, 2));
		log_add(files, *name, bytes.data, bytes.len);
		return;
	case 2:
		files->txid = take_number(input, 8); /* any */
		return;
	case 3:
		log_zeros(files, *name, input);
		return;
	case 4:
	case 5:
		log_damage(files, *name, input, step & 1);
		return;
	case 6:
		files->txid += step >> 3 & 1;
		log_add_operation(files, *name, input);
		return;
	default:
		files->txid += step >> 3 & 1;
		op = log_take_record(input);
		log_add_frame(files, *name, &op, files->txid);
	}
}

/* To be released. */
static inline struct log_files log_make(struct input *input)
{
	struct log_files files = {0};
	size_t name = 0;

	while (input->left)
		log_step(&files, &name, input);
	return files;
}

static inline void log_release(struct log_files *files)
{
	for (size_t i = 0; i < COUNT(log_names); i++)
		free(files->file[i].data);
}

static inline void log_write(const struct log_files *files, const char *dir)
{
	for (size_t i = 0; i < COUNT(log_names); i++)
		if (files->file[i].there)
			write_file(dir, log_names[i],
				   (struct dwal_bytes){files->file[i].data, files->file[i].len});
}

#endif
