/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * hostile DIR: reads log directories from stdin, one after the other, makes
 * each in DIR, reads it, opens it for writing, appends to it, and prints on
 * one line what it was told and what then lies there. Whether that is right
 * is judged by somebody else (tests/test_hostile_input.py).
 *
 * On stdin, a directory is the number of its files, and each file the size
 * of its name, the size of its content, name and content; numbers are 32 bits,
 * little-endian.
 */
#include "datawal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- the directory */

static bool read_number(uint32_t *out)
{
	unsigned char raw[4];

	if (fread(raw, 1, sizeof(raw), stdin) != sizeof(raw))
		return false;
	*out = raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
	return true;
}

static void *read_bytes(uint32_t size)
{
	char *bytes = malloc((size_t)size + 1);

	if (!bytes || fread(bytes, 1, size, stdin) != size)
		fail("stdin");
	bytes[size] = 0;
	return bytes;
}

static void make_file(int dirfd)
{
	uint32_t name_size, size;
	char *name, *content;
	int fd;

	if (!read_number(&name_size) || !read_number(&size))
		fail("stdin");
	name = read_bytes(name_size);
	content = read_bytes(size);
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 || write(fd, content, size) != (ssize_t)size || close(fd))
		fail(name);
	free(name);
	free(content);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in the directory but .lock, sorted; the array and each are the
 * caller's. */
static size_t list(const char *dir, char ***out)
{
	char **names = NULL;
	size_t n = 0;
	const struct dirent *entry;
	DIR *stream = opendir(dir);

	if (!stream)
		fail(dir);
	while ((entry = readdir(stream))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    !strcmp(entry->d_name, ".lock"))
			continue;
		names = realloc(names, (n + 1) * sizeof(*names));
		if (!names || !(names[n++] = strdup(entry->d_name)))
			fail(dir);
	}
	closedir(stream);
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	*out = names;
	return n;
}

/* Adler-32, since the CRC of whole frames is the same for all of them. */
static uint32_t checksum(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint32_t a = 1, b = 0;

	while (size--) {
		a = (a + *p++) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static void print_file(int dirfd, const char *name)
{
	struct stat st;
	unsigned char *content;
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		fail(name);
	content = malloc((size_t)st.st_size + 1);
	if (!content || read(fd, content, (size_t)st.st_size) != st.st_size || close(fd))
		fail(name);
	printf(" %s:%jd:%08x", name, (intmax_t)st.st_size, checksum(content, (size_t)st.st_size));
	free(content);
}

static void each_file(const char *dir, int dirfd, void (*act)(int dirfd, const char *name))
{
	char **names;
	size_t n = list(dir, &names);

	for (size_t i = 0; i < n; i++) {
		act(dirfd, names[i]);
		free(names[i]);
	}
	free(names);
}

static void remove_file(int dirfd, const char *name)
{
	if (unlinkat(dirfd, name, 0))
		fail(name);
}

/* ---- what the library says */

static const char *status_name(enum dwal_frame_status status)
{
	static const char *const names[] = {
		[DWAL_FRAME_OK] = "ok",
		[DWAL_TRUNCATED] = "truncated",
		[DWAL_BAD_CRC] = "bad-crc",
		[DWAL_ZEROED_HEADER] = "zeroed-header",
		[DWAL_PARTIAL] = "partial-operation",
		[DWAL_BAD_MAGIC] = "bad-magic",
		[DWAL_BAD_VERSION] = "bad-version",
		[DWAL_BAD_TYPE] = "bad-type",
		[DWAL_BAD_FLAGS] = "bad-flags",
		[DWAL_KEY_TOO_LONG] = "key-too-long",
		[DWAL_PAYLOAD_TOO_LONG] = "payload-too-long",
	};

	return (size_t)status < sizeof(names) / sizeof(*names) ? names[status] : "?";
}

/* A complete line that names the segment and the offset. */
static bool is_good_message(const struct dwal_error *error)
{
	char segment[32], offset[32];

	snprintf(segment, sizeof(segment), "%u", error->segment);
	snprintf(offset, sizeof(offset), "%ju", (uintmax_t)error->offset);
	return memchr(error->message, 0, sizeof(error->message)) && !strchr(error->message, '\n') &&
	       strstr(error->message, segment) && strstr(error->message, offset) &&
	       strstr(error->message, dwal_frame_status_text(error->reason));
}

static void print_outcome(int rc, const struct dwal_error *error)
{
	if (rc == DWAL_ECORRUPT)
		printf(" corrupt:%08u:%ju:%s%s", error->segment, (uintmax_t)error->offset,
		       status_name(error->reason), is_good_message(error) ? "" : ":bad-message");
	else if (rc < 0)
		printf(" error:%d:%s", rc, error->message);
	else
		printf(" ok");
}

/* The bytes handed out are those that the CRC in the file was made of. */
static bool is_what_the_crc_says(const struct dwal_record *r)
{
	unsigned char *frame = malloc(r->length);
	uint32_t crc;
	bool same;

	if (!frame)
		fail("malloc");
	same = dwal_frame_size(r->key.len, r->payload.len) == r->length &&
	       dwal_frame_encode(r->type, r->txid, r->key, r->payload, frame) == 0;
	crc = dwal_crc32c(0, frame, r->length - DWAL_TRAILER_SIZE);
	free(frame);
	return same && crc == r->crc32c;
}

static void read_log(const char *dir)
{
	const struct dwal_report *report;
	struct dwal_error error = {0};
	struct dwal_record r;
	dwal_reader *reader;
	dwal_iter *iter;
	int rc;

	printf("records");
	if (dwal_reader_open(dir, &reader, &error) < 0 ||
	    dwal_reader_iterate(reader, 0, 0, &iter, &error) < 0) {
		fprintf(stderr, "hostile: cannot read: %s\n", error.message);
		exit(1);
	}
	while ((rc = dwal_iter_next(iter, &r, &error)) == 0)
		printf(" %08u:%ju:%u:%u:%ju:%08x:%zu%s", r.segment, (uintmax_t)r.offset, r.length,
		       r.type, (uintmax_t)r.txid, r.crc32c, r.key.len,
		       is_what_the_crc_says(&r) ? "" : ":other-bytes");
	printf(" | stop");
	print_outcome(rc, &error);
	dwal_iter_close(iter);

	printf(" | report");
	rc = dwal_reader_report(reader, &report, &error);
	if (rc < 0) {
		print_outcome(rc, &error);
		dwal_reader_close(reader);
		return;
	}
	printf(" %ju %ju %ju %ju %ju %ju %ju %ju %ju %ju %ju %ju %ju %ju | damage",
	       (uintmax_t)report->files_scanned, (uintmax_t)report->records_replayed,
	       (uintmax_t)report->tail_truncated, (uintmax_t)report->tail_bytes_discarded,
	       (uintmax_t)report->mid_stream_errors, (uintmax_t)report->unsupported_versions,
	       (uintmax_t)report->last_txid_seen, (uintmax_t)report->raw_records,
	       (uintmax_t)report->txids.out_of_order, (uintmax_t)report->intact.records,
	       (uintmax_t)report->intact.bytes, (uintmax_t)report->intact.lowest_txid,
	       (uintmax_t)report->intact.highest_txid, (uintmax_t)report->txids.missing);
	for (size_t i = 0; i < report->damage_count; i++) {
		const struct dwal_damage *d = &report->damage[i];

		printf(" %08u:%ju:%ju:%s:%d", d->segment, (uintmax_t)d->offset, (uintmax_t)d->bytes,
		       status_name(d->reason), d->torn_tail);
	}
	printf(" | side");
	for (size_t i = 0; i < report->side_file_count; i++)
		printf(" %s", report->side_files[i]);
	dwal_reader_close(reader);
}

static void print_live(dwal_kv *kv)
{
	struct dwal_error error = {0};
	struct dwal_item item;
	dwal_cursor *cursor;

	if (dwal_kv_cursor(kv, &cursor) < 0)
		fail("cursor");
	printf(" | live");
	while (dwal_cursor_next(cursor, &item) == 0) {
		void *value;
		size_t size;
		int rc = dwal_kv_get(kv, item.key.data, item.key.len, &value, &size, &error);

		printf(" %08x", checksum(item.key.data, item.key.len));
		if (rc) {
			print_outcome(rc, &error);
			continue;
		}
		printf(":%08x", checksum(value, size));
		free(value);
	}
	dwal_cursor_close(cursor);
}

static int open_store(const char *dir, bool strict, dwal_kv **kv, struct dwal_error *error)
{
	struct dwal_options options = {.strict = strict};

	return dwal_kv_open(dir, &options, kv, error);
}

static void write_log(const char *dir)
{
	struct dwal_error error = {0};
	dwal_kv *kv;
	int rc = open_store(dir, true, &kv, &error);

	printf(" | open");
	if (rc == DWAL_EBEHIND) {
		printf(" behind");
		rc = open_store(dir, false, &kv, &error);
	}
	print_outcome(rc, &error);
	if (rc)
		return;
	print_live(kv);
	printf(" | put %d", dwal_kv_put(kv, "new", 3, "value", 5));
	printf(" %d", dwal_kv_sync(kv));
	if (dwal_kv_close(kv))
		fail("close");
}

static size_t count_open_files(void)
{
	char **names;
	size_t n = list("/proc/self/fd", &names);

	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return n;
}

int main(int argc, char **argv)
{
	size_t open_files = count_open_files() + 1;
	uint32_t files;
	int dirfd;

	if (argc != 2 || (dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		fail("usage: hostile DIR");
	while (read_number(&files)) {
		while (files--)
			make_file(dirfd);
		read_log(argv[1]);
		write_log(argv[1]);
		printf(" | files");
		each_file(argv[1], dirfd, print_file);
		puts("");
		each_file(argv[1], dirfd, remove_file);
	}
	if (count_open_files() != open_files) {
		fprintf(stderr, "hostile: descriptors leaked\n");
		return 1;
	}
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
