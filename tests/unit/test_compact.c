/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * compact_to and export_jsonl: what they write, byte for byte, and that a
 * failure at any step leaves nothing.
 */
#include "fault_io.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <sys/file.h>

static struct unit_dir targets;

/* A path in targets. */
static const char *in_dir(const char *name)
{
	static char paths[4][160];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", targets.path, name);
	return path;
}

/* A store in dir, and an empty directory for targets. */
static dwal_kv *begin(const struct io *io)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	targets = unit_dir_make();
	kv = open_io(io, NULL);
	put(kv, "zeta", "1");
	put(kv, "alpha", "2");
	put(kv, "gone", "3");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "zeta", "last");
	put(kv, "alphabet", "");
	CHECK_INT(dwal_kv_delete(kv, "gone", 4), 0);
	CHECK_INT(dwal_kv_batch(kv, &(struct dwal_op){DWAL_RAW, {NULL, 0}, {"raw", 3}}, 1, NULL, 0,
				NULL),
		  0);
	return kv;
}

static void end(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&targets);
	unit_dir_remove(&dir);
}

static int count_names(const char *path)
{
	DIR *stream = opendir(path);
	int n = -2; /* "." and ".." */

	CHECK(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n;
}

static size_t read_file(const char *path, unsigned char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, buffer, size);

	CHECK(got >= 0 && (size_t)got < size);
	close(fd);
	return (size_t)got;
}

/* The frames that the target must consist of, and nothing else. */
static void check_target(const char *path)
{
	static const char *const live[][2] = {{"alpha", "2"}, {"alphabet", ""}, {"zeta", "last"}};
	unsigned char wanted[256], got[256];
	char segment[200];
	size_t size = 0;

	for (size_t i = 0; i < 3; i++) {
		const struct dwal_bytes key = {live[i][0], strlen(live[i][0])};
		const struct dwal_bytes value = {live[i][1], strlen(live[i][1])};

		CHECK_INT(dwal_frame_encode(DWAL_PUT, i + 1, key, value, wanted + size), 0);
		size += dwal_frame_size(key.len, value.len);
	}
	snprintf(segment, sizeof(segment), "%s/00000001.dwal", path);
	CHECK_INT(read_file(segment, got, sizeof(got)), size);
	CHECK(memcmp(got, wanted, size) == 0);
	CHECK_INT(count_names(path), 2); /* and .lock */
}

static void target_holds_live_keys_in_byte_order_and_nothing_else(void)
{
	struct dwal_compact_stats stats;
	dwal_kv *kv = begin(NULL);

	CHECK_INT(dwal_kv_compact_to(kv, in_dir("absent"), NULL, &stats, &error), 0);
	check_target(in_dir("absent"));
	CHECK_INT(stats.live_keys, 3);
	CHECK_INT(stats.records_written, 3);
	CHECK_INT(stats.bytes_written, 3 * 28 + 5 + 1 + 8 + 4 + 4);
	CHECK(mkdir(in_dir("empty"), 0700) == 0);
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("empty/"), NULL, NULL, &error), 0);
	check_target(in_dir("empty"));
	struct stat st;
	CHECK(stat(in_dir("empty"), &st) == 0 && (st.st_mode & 0777) == 0700);
	CHECK_INT(count_names(in_dir("")), 2);
	check_value(kv, "zeta", "last");
	CHECK_INT(count_names(dir.path), 3); /* two segments and .lock */
	end(kv);
}

static void empty_store_compacts_to_an_empty_log(void)
{
	struct dwal_compact_stats stats;
	struct dwal_segment_stats *segments;
	dwal_kv *kv, *copy;
	size_t n;

	dir = unit_dir_make();
	targets = unit_dir_make();
	kv = open_store();
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("t"), NULL, &stats, &error), 0);
	CHECK_INT(stats.records_written, 0);
	CHECK_INT(dwal_kv_open(in_dir("t"), NULL, &copy, &error), 0);
	CHECK_INT(dwal_kv_stats(copy, &segments, &n), 0);
	CHECK_INT(n, 1);
	CHECK_INT(segments[0].bytes, 0);
	free(segments);
	CHECK_INT(dwal_kv_close(copy), 0);
	end(kv);
}

static void many_and_large_values_come_through_in_one_segment(void)
{
	const size_t large = 5u << 20;
	char *big = malloc(large), key[16];
	dwal_kv *kv = begin(NULL), *copy;
	struct dwal_compact_stats stats;
	size_t n;

	memset(big, 'x', large);
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		CHECK_INT(dwal_kv_put(kv, key, strlen(key), big, i % 100 ? 100 : large), 0);
	}
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("t"), NULL, &stats, &error), 0);
	CHECK_INT(stats.live_keys, 1003);
	CHECK_INT(count_names(in_dir("t")), 2);
	CHECK_INT(dwal_kv_open(in_dir("t"), NULL, &copy, &error), 0);
	CHECK_INT(dwal_kv_len(copy), 1003);
	CHECK_INT(dwal_kv_report(copy)->txids.out_of_order, 0);
	CHECK_INT(dwal_kv_report(copy)->last_txid_seen, 1003);
	for (int i = 0; i < 1000; i++) {
		void *value;

		snprintf(key, sizeof(key), "k%d", i);
		CHECK_INT(dwal_kv_get(copy, key, strlen(key), &value, &n, &error), 0);
		CHECK(n == (i % 100 ? 100 : large) && memcmp(value, big, n) == 0);
		free(value);
	}
	CHECK_INT(dwal_kv_close(copy), 0);
	free(big);
	end(kv);
}

static void check_refuses(dwal_kv *kv, const char *target)
{
	CHECK_INT(dwal_kv_compact_to(kv, target, NULL, NULL, &error), DWAL_ETARGET);
	CHECK(strlen(error.message) > 0 && !strchr(error.message, '\n'));
}

static void target_that_is_something_else_is_refused_and_left_alone(void)
{
	char path[200];
	dwal_kv *kv = begin(NULL);

	CHECK(mkdir(in_dir("full"), 0777) == 0);
	CHECK_INT(dwal_write_once(in_dir("full/file"), "x", 1), 0);
	CHECK_INT(dwal_write_once(in_dir("file"), "x", 1), 0);
	CHECK(symlink("nowhere", in_dir("dangling")) == 0);
	check_refuses(kv, in_dir("full"));
	check_refuses(kv, in_dir("file"));
	check_refuses(kv, in_dir("dangling"));
	check_refuses(kv, dir.path);
	snprintf(path, sizeof(path), "%s/inside", dir.path);
	check_refuses(kv, path);
	CHECK(symlink(dir.path, in_dir("link")) == 0);
	check_refuses(kv, in_dir("link/inside"));
	snprintf(path, sizeof(path), "%s/../%s", in_dir(""), strrchr(dir.path, '/') + 1);
	check_refuses(kv, path);
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("none/target"), NULL, NULL, &error), -ENOENT);
	CHECK_INT(dwal_kv_compact_to(kv, "", NULL, NULL, &error), -ENOENT);
	CHECK_INT(count_names(in_dir("")), 4);
	CHECK_INT(count_names(in_dir("full")), 1);
	CHECK_INT(count_names(dir.path), 3);
	end(kv);
}

static void target_whose_name_begins_like_the_source_is_fine(void)
{
	dwal_kv *kv = begin(NULL);
	struct unit_dir target;
	int len = snprintf(target.path, sizeof(target.path), "%.60s-2", dir.path);

	CHECK((size_t)len < sizeof(target.path));
	CHECK_INT(dwal_kv_compact_to(kv, target.path, NULL, NULL, &error), 0);
	check_target(target.path);
	unit_dir_remove(&target);
	end(kv);
}

static void what_a_crash_left_is_deleted_and_not_continued(void)
{
	dwal_kv *kv = begin(NULL);
	int fd;

	CHECK(mkdir(in_dir(".t.dwal-compact"), 0777) == 0);
	CHECK_INT(dwal_write_once(in_dir(".t.dwal-compact/00000001.dwal"), "half", 4), 0);
	CHECK_INT(dwal_write_once(in_dir(".t.dwal-compact/00000002.dwal"), "more", 4), 0);
	CHECK_INT(dwal_write_once(in_dir(".t.dwal-compact/.lock"), "", 0), 0);
	fd = open(in_dir(".t.dwal-compact"), O_RDONLY);
	CHECK(flock(fd, LOCK_EX) == 0); /* another process at work */
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("t"), NULL, NULL, &error), DWAL_ELOCKED);
	CHECK_INT(count_names(in_dir(".t.dwal-compact")), 3);
	close(fd);
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("t"), NULL, NULL, &error), 0);
	check_target(in_dir("t"));
	CHECK_INT(count_names(in_dir("")), 1);

	CHECK(mkdir(in_dir(".u.dwal-compact"), 0777) == 0);
	CHECK_INT(dwal_write_once(in_dir(".u.dwal-compact/mine"), "x", 1), 0);
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("u"), NULL, NULL, &error), 0);
	check_target(in_dir("u"));
	CHECK_INT(count_names(in_dir(".u.dwal-compact")), 1);
	CHECK_INT(count_names(in_dir("")), 3);
	end(kv);
}

static struct fault_io fault;

/* A store whose every n-th system call can be made to fail, reads too. */
static dwal_kv *begin_faults(void)
{
	fault_init(&fault);
	return begin(&fault.io);
}

static void fail_nth(unsigned n)
{
	fault.fail_every = fault.every + n;
	memset(&error, 0, sizeof(error));
}

static bool has_failed(void)
{
	return fault.every >= fault.fail_every;
}

static void compaction_that_fails_at_any_step_leaves_nothing_or_all(void)
{
	dwal_kv *kv = begin_faults();
	unsigned n = 0, after_rename = 0;

	do {
		int err;

		fail_nth(++n);
		err = dwal_kv_compact_to(kv, in_dir("t"), NULL, NULL, &error);
		CHECK(!err || (err == error.code && *error.message));
		CHECK_INT(count_names(in_dir("")), access(in_dir("t"), F_OK) == 0);
		CHECK_INT(count_names(dir.path), 3); /* two segments and .lock */
		if (access(in_dir("t"), F_OK) == 0) {
			struct unit_dir made;

			after_rename += err != 0;
			check_target(in_dir("t"));
			snprintf(made.path, sizeof(made.path), "%.63s", in_dir("t"));
			unit_dir_remove(&made);
		} else {
			CHECK(err);
		}
	} while (has_failed());
	/* only the last step, the parent's sync, is behind the rename */
	CHECK_INT(after_rename, 1);
	CHECK(n >= 40);
	fault.fail_every = 0;
	end(kv);
}

/* Writes down what is written, synced and renamed while armed. */
struct recorder {
	struct io io;
	bool armed;
	char calls[256];
};

static void record(const struct io *io, char call)
{
	struct recorder *recorder = (struct recorder *)(uintptr_t)io;
	size_t n = strlen(recorder->calls);

	if (recorder->armed && n + 1 < sizeof(recorder->calls))
		recorder->calls[n] = call;
}

/* f: a file; d: a directory; P: the one that the target is in. */
static int record_sync(const struct io *io, int fd)
{
	struct stat synced, parent;

	CHECK(fstat(fd, &synced) == 0 && stat(targets.path, &parent) == 0);
	record(io, synced.st_ino == parent.st_ino ? 'P' : S_ISDIR(synced.st_mode) ? 'd' : 'f');
	return io_system.fsync(io, fd);
}

static ssize_t record_pwritev(const struct io *io, int fd, const struct iovec *iov, int n,
			      off_t offset)
{
	record(io, 'w');
	CHECK(access(in_dir("t"), F_OK) != 0); /* it is not complete */
	return io_system.pwritev(io, fd, iov, n, offset);
}

static int record_rename(const struct io *io, int from_dirfd, const char *from, int to_dirfd,
			 const char *to, unsigned flags)
{
	record(io, 'R');
	return io_system.renameat2(io, from_dirfd, from, to_dirfd, to, flags);
}

static void target_gets_its_name_once_all_in_it_is_durable(void)
{
	struct recorder recorder = {.io = io_system};
	const char *written;
	dwal_kv *kv;

	recorder.io.fsync = recorder.io.fdatasync = record_sync;
	recorder.io.pwritev = record_pwritev;
	recorder.io.renameat2 = record_rename;
	kv = begin(&recorder.io);
	recorder.armed = true;
	CHECK_INT(dwal_kv_compact_to(kv, in_dir("t"), NULL, NULL, &error), 0);
	recorder.armed = false;
	written = strrchr(recorder.calls, 'w');
	CHECK(written && strcmp(written, "wfdRP") == 0);
	end(kv);
}

static const char exported[] = "{\"key_b64\":\"YWxwaGE=\",\"value_b64\":\"Mg==\"}\n"
			       "{\"key_b64\":\"YWxwaGFiZXQ=\",\"value_b64\":\"\"}\n"
			       "{\"key_b64\":\"emV0YQ==\",\"value_b64\":\"bGFzdA==\"}\n";

static void check_file(const char *path, const char *wanted)
{
	unsigned char got[256];

	CHECK_INT(read_file(path, got, sizeof(got)), strlen(wanted));
	CHECK(memcmp(got, wanted, strlen(wanted)) == 0);
}

static void export_is_exact_to_a_file_and_to_a_descriptor(void)
{
	dwal_kv *kv = begin(NULL);
	int fd;

	CHECK_INT(dwal_kv_export_jsonl(kv, in_dir("e"), &error), 0);
	check_file(in_dir("e"), exported);
	fd = open(in_dir("fd"), O_WRONLY | O_CREAT, 0666);
	CHECK_INT(dwal_kv_export_jsonl_fd(kv, fd, &error), 0);
	close(fd);
	check_file(in_dir("fd"), exported);
	fd = open("/dev/full", O_WRONLY);
	CHECK_INT(dwal_kv_export_jsonl_fd(kv, fd, &error), -ENOSPC);
	close(fd);
	end(kv);
}

/* Lengths around the encoder's groups and the output's buffer. */
static void export_of_every_length_decodes_to_the_same(void)
{
	static const size_t lengths[] = {0, 1, 2, 3, 4, 49100, 49150, 49151, 49152, 49153, 200000};
	unsigned char *value = malloc(200000), *text = malloc(300000);
	char command[600];
	dwal_kv *kv = begin(NULL);
	uint64_t seed = 5;

	for (size_t i = 0; i < 200000; i++)
		value[i] = (unsigned char)unit_random(&seed);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		CHECK_INT(dwal_kv_put(kv, "zzz", 3, value, lengths[i]), 0);
		CHECK_INT(dwal_kv_export_jsonl(kv, in_dir("e"), &error), 0);
		snprintf(command, sizeof(command),
			 "tail -n 1 %s | sed 's/.*value_b64\":\"//; s/\"}$//' | base64 -d >%s",
			 in_dir("e"), in_dir("decoded"));
		CHECK(system(command) == 0);
		CHECK_INT(read_file(in_dir("decoded"), text, 300000), lengths[i]);
		CHECK(memcmp(text, value, lengths[i]) == 0);
	}
	free(value);
	free(text);
	end(kv);
}

static void export_that_fails_at_any_step_keeps_the_old_file(void)
{
	dwal_kv *kv = begin_faults();
	unsigned n = 0, after_rename = 0;

	do {
		unsigned char got[256];
		size_t size;
		int err;

		unlink(in_dir("e"));
		CHECK_INT(dwal_write_once(in_dir("e"), "old", 3), 0);
		fail_nth(++n);
		err = dwal_kv_export_jsonl(kv, in_dir("e"), &error);
		CHECK_INT(count_names(in_dir("")), 1);
		CHECK(!err || (err == error.code && *error.message));
		size = read_file(in_dir("e"), got, sizeof(got));
		after_rename += err && size > 3;
		check_file(in_dir("e"), size > 3 ? exported : "old");
		CHECK(err || size > 3);
	} while (has_failed());
	CHECK_INT(after_rename, 2); /* closing it, and syncing the directory */
	CHECK(n >= 15);
	fault.fail_every = 0;
	end(kv);
}

UNIT_MAIN(UNIT(target_holds_live_keys_in_byte_order_and_nothing_else),
	  UNIT(empty_store_compacts_to_an_empty_log),
	  UNIT(many_and_large_values_come_through_in_one_segment),
	  UNIT(target_that_is_something_else_is_refused_and_left_alone),
	  UNIT(target_whose_name_begins_like_the_source_is_fine),
	  UNIT(what_a_crash_left_is_deleted_and_not_continued),
	  UNIT(compaction_that_fails_at_any_step_leaves_nothing_or_all),
	  UNIT(target_gets_its_name_once_all_in_it_is_durable),
	  UNIT(export_is_exact_to_a_file_and_to_a_descriptor),
	  UNIT(export_of_every_length_decodes_to_the_same),
	  UNIT(export_that_fails_at_any_step_keeps_the_old_file))
