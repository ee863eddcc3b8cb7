/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Who is told before a thread waits for the disk.
 */
#include "datawal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unit.h"

#define SIZE 100000

static unsigned waited;

static void waits(void)
{
	waited++;
}

static dwal_kv *open_kv(const struct unit_dir *dir, bool read_only)
{
	const struct dwal_options options = {.waits = waits, .read_only = read_only};
	struct dwal_error error;
	dwal_kv *kv = NULL;

	CHECK_INT(dwal_kv_open(dir->path, &options, &kv, &error), 0);
	waited = 0;
	return kv;
}

static void get(dwal_kv *kv)
{
	void *value;
	size_t len;

	CHECK_INT(dwal_kv_get(kv, "key", 3, &value, &len, NULL), 0);
	CHECK_INT(len, SIZE);
	free(value);
}

/* Not in memory any more: is that so, and can it be told? */
static bool drop_pages(const struct unit_dir *dir)
{
	char path[128], byte;
	const struct iovec iov = {&byte, 1};
	bool told;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/00000001.dwal", dir->path);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	told = preadv2(fd, &iov, 1, SIZE / 2, RWF_NOWAIT) < 0 && errno == EAGAIN;
	CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	CHECK_INT(close(fd), 0);
	return told;
}

static void a_read_is_told_of_when_it_is_going_to_wait(void)
{
	struct unit_dir dir = unit_dir_make();
	dwal_kv *kv = open_kv(&dir, false);
	char *value = calloc(1, SIZE);
	bool told;

	CHECK(value);
	CHECK_INT(dwal_kv_put(kv, "key", 3, value, SIZE), 0);
	get(kv);
	CHECK_INT(waited, 0);
	CHECK_INT(dwal_kv_sync(kv), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		waited = 0;
		get(kv);
		CHECK_INT(waited, 0);
		told = false;
		for (int tries = 0; !waited && tries < 10; tries++) {
			told |= drop_pages(&dir);
			get(kv);
		}
		CHECK((waited > 0) == told);
		CHECK_INT(dwal_kv_close(kv), 0);
		kv = open_kv(&dir, true);
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
	free(value);
}

static void a_sync_is_told_of(void)
{
	struct unit_dir dir = unit_dir_make();
	dwal_kv *kv = open_kv(&dir, false);

	CHECK_INT(dwal_kv_put(kv, "key", 3, "value", 5), 0);
	CHECK_INT(waited, 0);
	CHECK_INT(dwal_kv_sync(kv), 0);
	CHECK_INT(waited, 1);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(a_read_is_told_of_when_it_is_going_to_wait), UNIT(a_sync_is_told_of))
