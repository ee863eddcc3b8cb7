/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What fuzz targets share: the input piece by piece, and a scratch directory.
 * A target is one function that takes any bytes and aborts when a property
 * does not hold; libFuzzer calls it, or replay.c for kept seeds.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/unit.h"
#include "datawal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* What is left of an input; at its end there are only zeros. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint64_t take_number(struct input *input, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes && input->left; i++, input->left--)
		number |= (uint64_t)*input->at++ << 8 * i;
	return number;
}

/* So many bytes, or what there is. They lie in the input. */
static inline struct dwal_bytes take_bytes(struct input *input, size_t len)
{
	struct dwal_bytes bytes = {input->at, len < input->left ? len : input->left};

	input->at += bytes.len;
	input->left -= bytes.len;
	return bytes;
}

/* A copy of exactly that size, so that AddressSanitizer sees a byte read too
 * many; with a NUL behind it where it is a string. */
static inline char *copy_of(struct dwal_bytes bytes, bool is_string)
{
	char *copy = malloc(bytes.len + (is_string || !bytes.len));

	CHECK(copy);
	if (bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	if (is_string)
		copy[bytes.len] = '\0';
	return copy;
}

static inline bool same_bytes(struct dwal_bytes one, struct dwal_bytes other)
{
	return one.len == other.len && (!one.len || memcmp(one.data, other.data, one.len) == 0);
}

/* ------------------------------------------------------------------------
 * A directory of this process alone, in memory where there is such a file
 * system. Removed when the process ends well.
 */

static char scratch_path[128];

static inline void scratch_remove(void)
{
	CHECK(nftw(scratch_path, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static inline const char *scratch(void)
{
	/* libFuzzer ends without atexit(3); who gives one removes it */
	const char *given = getenv("FUZZ_SCRATCH");
	const char *memory = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";

	if (scratch_path[0])
		return scratch_path;
	snprintf(scratch_path, sizeof(scratch_path), "%s/datawal-fuzz-XXXXXX",
		 given ? given : memory);
	CHECK(mkdtemp(scratch_path));
	CHECK(atexit(scratch_remove) == 0);
	return scratch_path;
}

/* An empty directory of that name in it; the path is valid until the next
 * call. */
static inline const char *scratch_dir(const char *name)
{
	static char path[sizeof(scratch_path) + 32];

	snprintf(path, sizeof(path), "%s/%s", scratch(), name);
	if (access(path, F_OK) == 0)
		CHECK(nftw(path, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
	CHECK_INT(mkdir(path, 0700), 0);
	return path;
}

static inline void write_file(const char *dir, const char *name, struct dwal_bytes bytes)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, bytes.data, bytes.len), (long long)bytes.len);
	CHECK_INT(close(fd), 0);
}

/* The caller frees its data; NULL when there is no such file. */
static inline struct dwal_bytes read_file(const char *dir, const char *name)
{
	struct dwal_bytes bytes = {0};
	char path[512];
	struct stat st;
	char *data;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return bytes;
	CHECK_INT(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size + 1);
	CHECK(data);
	CHECK_INT(read(fd, data, (size_t)st.st_size), st.st_size);
	CHECK_INT(close(fd), 0);
	bytes = (struct dwal_bytes){data, (size_t)st.st_size};
	return bytes;
}

#endif
