/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What the tests of the store share: opening one in a fresh directory, short
 * ways to put and to look, changing bytes behind its back.
 */
#ifndef STORE_H
#define STORE_H

#include "io.h"
#include "kv.h"
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct unit_dir dir;
static struct dwal_error error;

static inline dwal_kv *open_io(const struct io *io, const struct dwal_options *options)
{
	dwal_kv *kv = NULL;
	int err = kv_open(io, dir.path, options, &kv, &error);

	if (err)
		fprintf(stderr, "open: %s\n", error.message);
	CHECK_INT(err, 0);
	return kv;
}

static inline dwal_kv *open_with(const struct dwal_options *options)
{
	return open_io(NULL, options);
}

static inline dwal_kv *open_store(void)
{
	return open_with(NULL);
}

static inline dwal_kv *open_reading(void)
{
	return open_with(&(struct dwal_options){.read_only = true});
}

static inline void put(dwal_kv *kv, const char *key, const char *value)
{
	CHECK_INT(dwal_kv_put(kv, key, strlen(key), value, strlen(value)), 0);
}

static inline void check_value(dwal_kv *kv, const char *key, const char *wanted)
{
	void *value;
	size_t len;
	int err = dwal_kv_get(kv, key, strlen(key), &value, &len, &error);

	CHECK_INT(err, wanted ? 0 : DWAL_ABSENT);
	CHECK_INT(dwal_kv_contains(kv, key, strlen(key)), wanted != NULL);
	if (!wanted)
		return;
	CHECK_INT(len, strlen(wanted));
	CHECK(memcmp(value, wanted, len) == 0);
	free(value);
}

static inline int open_segment(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/00000001.dwal", dir.path);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	return fd;
}

static inline void flip(uint64_t offset)
{
	int fd = open_segment();
	unsigned char byte;

	CHECK_INT(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 1;
	CHECK_INT(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

static inline struct dwal_place place_of(dwal_kv *kv, const char *key)
{
	struct dwal_place place;
	uint32_t len;

	CHECK_INT(dwal_kv_ref_of(kv, key, strlen(key), &place, &len), 0);
	return place;
}

#endif
