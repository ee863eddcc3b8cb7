/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Compaction in place: the order of its calls, what a rewritten segment is like,
 * and moments that chance seldom finds. See the obligations in contrib/formal.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fault_io.h"
#include "past.h"

static struct fault_io fault;

static dwal_kv *begin(void)
{
	dir = unit_dir_make();
	fault_init(&fault);
	return open_io(&fault.io, NULL);
}

static void end(dwal_kv *kv)
{
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* After the first segment, what makes the record of the second superfluous. */
static int supersede(void *ctx, const struct dwal_rewrite_stats *so_far)
{
	if (so_far->segments_done == 1)
		put(ctx, "b", "new, and not synced");
	return 0;
}

static void what_superseded_a_record_is_durable_before_it_goes(void)
{
	struct dwal_rewrite_options options = plain;
	dwal_kv *kv = begin();

	put(kv, "a", "old");
	rotate(kv);
	put(kv, "b", "old");
	rotate(kv);
	put(kv, "a", "new");
	options.progress = supersede;
	options.progress_ctx = kv;
	fault.trace[0] = '\0';
	CHECK_INT(compact(kv, &options).segments_rewritten, 2);
	fault_check_order(&fault, (const char *const[]){"fsync 00000001.dwal-tmp\n",
							"rename 00000001.dwal\nfsync dir\n",
							"write 00000003.dwal\n",
							"fsync 00000002.dwal-tmp\n",
							"fdatasync 00000003.dwal\n",
							"rename 00000002.dwal\nfsync dir\n", NULL});
	check_value(kv, "b", "new, and not synced");
	end(kv);
}

static void check_header_of(uint32_t id, uint64_t txid, const char *op)
{
	char path[128], text[32];
	struct dwal_record record;
	struct dwal_header header;
	dwal_iter *iter;

	snprintf(path, sizeof(path), "%s/%08u.dwal", dir.path, id);
	CHECK_INT(dwal_file_iterate(path, &iter, &error), 0);
	do
		CHECK_INT(dwal_iter_next(iter, &record, &error), 0);
	while (!dwal_header_parse(&record, &header));
	CHECK_INT(record.txid, txid);
	CHECK_INT(header.n, 0);
	CHECK(dwal_header_line(&header, "op", text, sizeof(text)));
	CHECK(strcmp(text, op) == 0);
	dwal_iter_close(iter);
}

static void a_header_stays_with_its_lines_and_announces_nothing(void)
{
	const struct dwal_op ops[] = {{DWAL_PUT, {"a", 1}, {"old", 3}},
				      {DWAL_PUT, {"b", 1}, {"b", 1}}};
	const struct dwal_line lines[] = {{"op", "some"}};
	dwal_kv *kv = begin();

	CHECK_INT(dwal_kv_batch(kv, ops, 2, lines, 1, NULL), 0);
	rotate(kv);
	put(kv, "a", "new");
	CHECK_INT(compact(kv, &plain).records_dropped, 1);
	check_header_of(1, 1, "some");
	check_value(kv, "b", "b");
	end(kv);
}

static void a_rewritten_segment_has_the_time_of_the_old_one(void)
{
	const struct timespec then[2] = {{1000, 1}, {1234567, 891}};
	dwal_kv *kv = begin();
	char path[128];
	struct stat st;

	put(kv, "a", "old");
	put(kv, "b", "kept");
	rotate(kv);
	put(kv, "a", "new");
	snprintf(path, sizeof(path), "%s/00000001.dwal", dir.path);
	CHECK_INT(utimensat(AT_FDCWD, path, then, 0), 0);
	fault.trace[0] = '\0';
	CHECK_INT(compact(kv, &plain).segments_rewritten, 1);
	fault_check_order(&fault, (const char *const[]){"futimens 00000001.dwal-tmp\n",
							"fsync 00000001.dwal-tmp\n", NULL});
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mtim.tv_sec, then[1].tv_sec);
	CHECK_INT(st.st_mtim.tv_nsec, then[1].tv_nsec);
	end(kv);
}

/* A name that vanishes can hide a key from who reads without a lock. */
static void a_segment_of_which_nothing_is_left_keeps_its_name(void)
{
	dwal_kv *kv = begin();
	char path[128];

	put(kv, "a", "old");
	rotate(kv);
	CHECK_INT(dwal_kv_delete(kv, "a", 1), 0);
	rotate(kv);
	put(kv, "b", "kept");
	(void)compact(kv, &plain);
	for (int id = 1; id <= 3; id++) {
		snprintf(path, sizeof(path), "%s/%08d.dwal", dir.path, id);
		CHECK_INT(access(path, F_OK), 0);
	}
	end(kv);
}

static void a_dry_run_seals_nothing(void)
{
	struct dwal_rewrite_options options = plain;
	dwal_kv *kv = begin();

	put(kv, "a", "old");
	put(kv, "a", "new");
	options.dry_run = true;
	CHECK_INT(compact(kv, &options).records_dropped, 1);
	CHECK_INT(dwal_kv_active_segment(kv), 1);
	end(kv);
}

/* The number of the call behind the rename, which syncs the directory; with
 * fail_at the compaction whose call of that number fails. */
static unsigned sync_of_the_name(unsigned fail_at)
{
	unsigned n = 1;
	dwal_kv *kv = begin();

	put(kv, "a", "old");
	rotate(kv);
	put(kv, "a", "new");
	fault.fail_at = fail_at;
	fault.fail_with = -EIO;
	CHECK_INT(dwal_kv_compact(kv, &plain, NULL, &error), fail_at ? -EIO : 0);
	CHECK_INT(dwal_kv_is_poisoned(kv), fail_at != 0);
	check_value(kv, "a", "new");
	for (const char *at = strstr(fault.trace, "rename 00000001.dwal\n"); at > fault.trace; at--)
		n += *at == '\n';
	end(kv);
	return n + 1;
}

static void a_name_that_cannot_be_synced_poisons(void)
{
	(void)sync_of_the_name(sync_of_the_name(0));
}

/* Attributes lie below it, in a segment that it is not worth to rewrite. */
static void a_later_value_does_not_make_a_tombstone_superfluous(void)
{
	struct dwal_rewrite_options options = plain;
	const struct dwal_op attributes = {DWAL_RAW, {"a", 1}, {"attr", 4}};
	static struct past after;
	dwal_kv *kv = begin();

	put(kv, "b", "a value of some length that stays, so that little of this segment can go");
	put(kv, "a", "old");
	CHECK_INT(dwal_kv_batch(kv, &attributes, 1, NULL, 0, NULL), 0);
	rotate(kv);
	CHECK_INT(dwal_kv_delete(kv, "a", 1), 0);
	for (int i = 0; i < 10; i++)
		put(kv, "c", "a value of some length that goes, so that this segment is worth it");
	rotate(kv);
	put(kv, "c", "new");
	put(kv, "a", "new");
	put(kv, "d", "last");
	options.least_percent = 60;
	CHECK_INT(compact(kv, &options).segments_rewritten, 1);
	past_read(&after);
	CHECK(!past_state(&after, "a", UINT64_MAX).attributes);
	end(kv);
}

static void a_segment_that_somebody_has_replaced_is_left_alone(void)
{
	dwal_kv *kv = begin();
	char path[128], text[8] = "";
	int fd;

	put(kv, "a", "old");
	rotate(kv);
	put(kv, "a", "new");
	snprintf(path, sizeof(path), "%s/00000001.dwal", dir.path);
	CHECK_INT(unlink(path), 0);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CHECK_INT(write(fd, "theirs", 6), 6);
	CHECK(dwal_kv_compact(kv, &plain, NULL, &error) < 0);
	CHECK_INT(close(fd), 0);
	fd = open(path, O_RDONLY);
	CHECK_INT(read(fd, text, 7), 6);
	CHECK(strcmp(text, "theirs") == 0);
	CHECK_INT(close(fd), 0);
	end(kv);
}

#define MANY 140 /* more than are open at a time */

static void what_is_held_open_stays_readable_among_many_segments(void)
{
	dwal_value *old;
	char text[8], key[8];
	size_t got;
	dwal_kv *kv = begin();

	fault.no_sync = true;
	put(kv, "a", "old");
	CHECK_INT(dwal_kv_value(kv, "a", 1, &old), 0);
	for (int i = 0; i < MANY; i++) {
		rotate(kv);
		snprintf(key, sizeof(key), "k%d", i);
		put(kv, key, "value");
	}
	put(kv, "a", "new");
	CHECK_INT(compact(kv, &plain).segments_rewritten, 1);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		check_value(kv, key, "value");
	}
	CHECK_INT(dwal_value_read(old, 0, text, sizeof(text), &got, &error), 0);
	CHECK(got == 3 && memcmp(text, "old", 3) == 0);
	dwal_value_close(old);
	end(kv);
}

#define KEYS 8000

static atomic_bool stop, slow;

/* The library's calls come here. Whoever changes the index lets others in before. */
int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	int (*next)(pthread_rwlock_t *);

	*(void **)&next = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
	if (atomic_load(&slow))
		(void)usleep(200);
	return next(lock);
}

static void *read_on(void *kv)
{
	char key[8];

	for (unsigned i = 0; !atomic_load(&stop); i += 7) {
		struct dwal_error why;
		void *value;
		size_t len;

		snprintf(key, sizeof(key), "k%u", i % KEYS);
		CHECK_INT(dwal_kv_get(kv, key, strlen(key), &value, &len, &why), 0);
		CHECK(len == strlen(key) && memcmp(value, key, len) == 0);
		free(value);
	}
	return NULL;
}

/* There are so many that the key directory is behind the file for a while. */
static void keys_are_read_while_they_move(void)
{
	pthread_t threads[2];
	dwal_kv *kv = begin();
	char key[8];

	fault.no_sync = true;
	put(kv, "a", "old");
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(kv, key, key);
	}
	rotate(kv);
	put(kv, "a", "new");
	for (int i = 0; i < 2; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, read_on, kv), 0);
	atomic_store(&slow, true);
	CHECK_INT(compact(kv, &plain).segments_rewritten, 1);
	atomic_store(&slow, false);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	end(kv);
}

struct looks {
	dwal_kv *kv;
	unsigned n, late; /* of them, the one at which something is put; 0: none */
};

static enum dwal_raw_kind look(void *ctx, const struct dwal_record *record)
{
	struct looks *looks = ctx;

	CHECK(record->type == DWAL_RAW);
	if (++looks->n == looks->late)
		put(looks->kv, "late", "after the survey");
	return DWAL_RAW_OTHER;
}

/* Each time it is read, but to be written, there is one look at its Raw record. */
static void what_comes_while_the_active_segment_is_judged_stays(void)
{
	for (unsigned late = 0; late <= 2; late++) {
		struct dwal_rewrite_options options = plain;
		dwal_kv *kv = begin();
		struct looks looks = {kv, 0, late};

		put(kv, "a", "old");
		put(kv, "a", "new");
		write_one(kv, DWAL_RAW, "x", "anybody's");
		options.raw_kind = look;
		options.raw_kind_ctx = &looks;
		CHECK_INT(compact(kv, &options).records_dropped, 1);
		CHECK_INT(looks.n, late ? 3 : 2);
		for (int again = 0; again < 2; again++) {
			check_value(kv, "a", "new");
			check_value(kv, "late", late ? "after the survey" : NULL);
			CHECK_INT(dwal_kv_close(kv), 0);
			kv = open_io(&fault.io, NULL);
		}
		end(kv);
	}
}

UNIT_MAIN(UNIT(what_superseded_a_record_is_durable_before_it_goes),
	  UNIT(a_header_stays_with_its_lines_and_announces_nothing),
	  UNIT(a_rewritten_segment_has_the_time_of_the_old_one),
	  UNIT(a_segment_of_which_nothing_is_left_keeps_its_name), UNIT(a_dry_run_seals_nothing),
	  UNIT(a_name_that_cannot_be_synced_poisons),
	  UNIT(a_later_value_does_not_make_a_tombstone_superfluous),
	  UNIT(a_segment_that_somebody_has_replaced_is_left_alone),
	  UNIT(what_is_held_open_stays_readable_among_many_segments),
	  UNIT(keys_are_read_while_they_move),
	  UNIT(what_comes_while_the_active_segment_is_judged_stays))
