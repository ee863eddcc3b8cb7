/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the tests of the record log share: files in a log directory, and
 * records whose payload is their number.
 */
#ifndef CORE_H
#define CORE_H

#include "log.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

struct core_bytes {
	unsigned char *data;
	size_t len;
};

/* A path in the directory; valid until eight calls later. */
static inline const char *core_path(const char *dir, const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];

	CHECK((size_t)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name) < sizeof(paths[0]));
	return path;
}

static inline bool core_exists(const char *dir, const char *name)
{
	struct stat st;

	return stat(core_path(dir, name), &st) == 0;
}

static inline struct core_bytes core_read(const char *dir, const char *name)
{
	FILE *f = fopen(core_path(dir, name), "r");
	struct core_bytes b = {0};
	struct stat st;

	CHECK(f && fstat(fileno(f), &st) == 0);
	b.len = (size_t)st.st_size;
	b.data = malloc(b.len + 1);
	CHECK(b.data && fread(b.data, 1, b.len, f) == b.len);
	fclose(f);
	return b;
}

static inline void core_write(const char *dir, const char *name, const void *data, size_t len)
{
	FILE *f = fopen(core_path(dir, name), "w");

	CHECK(f && fwrite(data, 1, len, f) == len);
	CHECK(fclose(f) == 0);
}

/* A record with a number: the number, then size - 8 bytes made from it. */
static inline void core_payload(uint64_t number, size_t size, unsigned char *out)
{
	uint64_t state = number + 1;

	memcpy(out, &number, 8);
	for (size_t i = 8; i < size; i++)
		out[i] = (unsigned char)unit_random(&state);
}

static inline int core_append(dwal_log *log, uint64_t number, size_t size)
{
	unsigned char payload[4096];

	CHECK(size >= 8 && size <= sizeof(payload));
	core_payload(number, size, payload);
	return dwal_log_append_raw(log, payload, size, NULL);
}

/* The number of such a record, checked whole. */
static inline uint64_t core_number(const struct dwal_record *record)
{
	unsigned char wanted[4096];
	uint64_t number;

	CHECK(record->payload.len >= 8 && record->payload.len <= sizeof(wanted));
	memcpy(&number, record->payload.data, 8);
	core_payload(number, record->payload.len, wanted);
	CHECK(memcmp(record->payload.data, wanted, record->payload.len) == 0);
	return number;
}

/* Opens, or shows the message and fails. */
static inline dwal_log *core_open_io(const struct io *io, const char *dir,
				     const struct dwal_options *options)
{
	struct dwal_error error;
	dwal_log *log = NULL;

	if (log_open(io, dir, options, &log, &error)) {
		fprintf(stderr, "%s\n", error.message);
		abort();
	}
	return log;
}

static inline dwal_log *core_open(const char *dir, const struct dwal_options *options)
{
	return core_open_io(NULL, dir, options);
}

/* The numbers of all records in the log but for the headers of operations, at
 * most room; returns how many. */
static inline size_t core_numbers(dwal_log *log, uint64_t *numbers, size_t room)
{
	struct dwal_record record;
	struct dwal_header header;
	dwal_iter *iter;
	size_t n = 0;
	int rc;

	CHECK_INT(dwal_log_iterate(log, 0, 0, &iter, NULL), 0);
	while ((rc = dwal_iter_next(iter, &record, NULL)) == 0) {
		if (dwal_header_parse(&record, &header))
			continue;
		CHECK(n < room);
		numbers[n++] = core_number(&record);
	}
	CHECK_INT(rc, DWAL_END);
	dwal_iter_close(iter);
	return n;
}

/* How many descriptors this process has open. */
static inline unsigned core_open_files(void)
{
	DIR *stream = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n - 3; /* "." and ".." and the stream's */
}

#endif
