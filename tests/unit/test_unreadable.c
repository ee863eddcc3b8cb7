/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Damage of a sealed segment that an open with DWAL_VERIFY_INDEX reads, since no index file
 * stands before it: that is passed where it is certain whose it was, and refused else. No
 * older value of any key shows, none is missing, none is back.
 */
#include "damaged_log.h"
#include "sanitized.h"

#include <errno.h>

static const struct dwal_options reading = {.read_only = true, .verify = DWAL_VERIFY_INDEX};
static const struct dwal_options writing = {.verify = DWAL_VERIFY_INDEX};

/* Bytes of one segment that are not what they were. */
struct change {
	uint32_t segment;
	uint64_t offset, n;
};

static bool is_hit(const struct one *one, const struct change *change)
{
	return one->segment == change->segment && one->offset < change->offset + change->n &&
	       change->offset < one->offset + one->length;
}

/* What the log says of a key, whatever can be read of it. */
static const struct one *last_of(const char *key)
{
	const struct one *last = NULL;

	for (size_t i = 0; i < record_count; i++)
		if (records[i].type != DWAL_RAW && strcmp(records[i].key, key) == 0)
			last = &records[i];
	return last;
}

static void check_key(dwal_kv *kv, const char *key, const struct change *change)
{
	const struct one *last = last_of(key);
	void *value = NULL;
	size_t len = 0;
	int err = dwal_kv_get(kv, key, strlen(key), &value, &len, &error);

	if (!last || last->type == DWAL_DELETE)
		CHECK_INT(err, DWAL_ABSENT);
	else if (is_hit(last, change))
		CHECK_INT(err, DWAL_ECORRUPT);
	else
		CHECK(!err && len == last->value_len && memcmp(value, last->value, len) == 0);
	free(value);
}

/* True: it was opened, and what it shows is right. */
static bool shows_what_is_right(const struct change *change)
{
	static const char *const keys[] = {"k1",    "k2",   "k3", "k4",   "k9",
					   "holds", "from", "to", "last", "ghost"};
	dwal_kv *kv;
	int err = dwal_kv_open(dir.path, &reading, &kv, &error);

	if (err) {
		CHECK_INT(err, DWAL_ECORRUPT);
		CHECK_INT(error.segment, change->segment);
		CHECK(strstr(error.message, "'datawal salvage DIR OUT'"));
		return false;
	}
	CHECK(dwal_kv_report(kv)->lost_count && !dwal_kv_report(kv)->damage_count);
	CHECK_INT(dwal_kv_report(kv)->records_replayed, record_count);
	CHECK_INT(dwal_kv_report(kv)->txids.missing, 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		check_key(kv, keys[i], change);
	CHECK_INT(dwal_kv_close(kv), 0);
	return true;
}

/* Of a Put or Delete, behind its key. */
static bool is_in_value(const struct one *hit, uint64_t offset)
{
	return hit->type != DWAL_RAW && offset >= hit->offset + DWAL_HEADER_SIZE + strlen(hit->key);
}

static void check_changed(const struct one *hit, uint64_t offset)
{
	const struct change change = {.segment = hit->segment, .offset = offset, .n = 1};

	CHECK_INT(shows_what_is_right(&change), is_in_value(hit, offset));
}

static void a_changed_byte_of_a_sealed_value_is_that_key_s_trouble_alone(void)
{
	make_log();
	each_byte_of(1, 1, check_changed);
	each_byte_of(2, 0xff, check_changed);
	if (!IS_SANITIZED)
		each_byte_of(2, 0x40, check_changed);
	unit_dir_remove(&dir);
}

/* Two bytes or more from somewhere in the key or just behind it on: then all looks well
 * but the CRC. */
static void change_some(const struct one *hit, uint64_t *seed, struct change *change)
{
	const uint64_t key_len = strlen(hit->key), rest = hit->length - DWAL_HEADER_SIZE - key_len;

	change->segment = hit->segment;
	change->offset = hit->offset + DWAL_HEADER_SIZE + unit_random(seed) % (key_len + 1);
	change->n = 2 + unit_random(seed) % (rest < 64 ? rest - 1 : 63);
}

static void what_may_have_been_of_any_key_is_refused(void)
{
	unsigned opened = 0;
	uint64_t seed = 7;

	make_log();
	for (int round = 0; round < (IS_SANITIZED ? 200 : 1000); round++) {
		const struct one *hit = &records[unit_random(&seed) % record_count];
		unsigned char old[64], junk[64];
		struct change change;
		int fd;

		if (hit->segment == 3)
			continue;
		change_some(hit, &seed, &change);
		for (size_t i = 0; i < change.n; i++)
			junk[i] = round % 3 ? (unsigned char)unit_random(&seed) : 0;
		fd = open_named(hit->segment);
		CHECK_INT(pread(fd, old, change.n, (off_t)change.offset), (long)change.n);
		CHECK_INT(pwrite(fd, junk, change.n, (off_t)change.offset), (long)change.n);
		if (memcmp(old, junk, change.n) != 0)
			opened += shows_what_is_right(&change);
		CHECK_INT(pwrite(fd, old, change.n, (off_t)change.offset), (long)change.n);
		close(fd);
	}
	CHECK(opened <= 2); /* where no more than a byte has changed */
	unit_dir_remove(&dir);
}

static void change_byte(const struct one *one, uint64_t from_end)
{
	const off_t at = (off_t)(one->offset + one->length - from_end);
	int fd = open_named(one->segment);
	unsigned char byte;

	CHECK_INT(pread(fd, &byte, 1, at), 1);
	byte ^= 8;
	CHECK_INT(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* Where "a" and "d" have an older value, the last of each changed. */
static void make_two_damages(void)
{
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "a", "old");
	put(kv, "d", "was");
	put(kv, "dead", "1");
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "a", "new");
	put(kv, "dead", "2");
	CHECK_INT(dwal_kv_delete(kv, "d", 1), 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	put(kv, "dead", "3");
	CHECK_INT(dwal_kv_close(kv), 0);
	take_all_down();
	change_byte(last_of("a"), DWAL_TRAILER_SIZE + 1);
	change_byte(last_of("d"), 1);
}

static void check_two_damages(dwal_kv *kv, const char *dead)
{
	void *value;
	size_t len;

	CHECK_INT(dwal_kv_get(kv, "a", 1, &value, &len, &error), DWAL_ECORRUPT);
	check_value(kv, "d", NULL);
	check_value(kv, "dead", dead);
}

static void a_store_with_damage_that_was_passed_goes_on_and_drops_nothing_of_it(void)
{
	struct dwal_rewrite_stats stats;
	const struct dwal_report *report;
	struct stat before, after;
	char text[256];
	dwal_kv *kv;

	make_two_damages();
	CHECK(stat(core_path(dir.path, "00000002.dwal"), &before) == 0);
	CHECK_INT(dwal_kv_open(dir.path, NULL, &kv, &error), DWAL_ECORRUPT);
	kv = open_with(&writing);
	report = dwal_kv_report(kv);
	CHECK_INT(report->lost_count, 2);
	dwal_lost_text(&report->lost[1], text, sizeof(text));
	CHECK(strcmp(text, "Delete of key \"d\", txid 6, 0 bytes") == 0);
	CHECK_INT(report->last_txid_seen, 7);
	check_two_damages(kv, "3");
	put(kv, "dead", "4");
	CHECK_INT(place_of(kv, "dead").txid, 8);
	CHECK_INT(dwal_kv_compact(kv, NULL, &stats, &error), 0);
	CHECK(stats.segments_damaged == 1 && stats.records_dropped == 2);
	check_two_damages(kv, "4");
	CHECK_INT(dwal_kv_close(kv), 0);
	kv = open_with(&writing);
	check_two_damages(kv, "4");
	CHECK_INT(dwal_kv_scrub(kv, NULL, NULL), 0);
	put(kv, "a", "whole again");
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK(access(core_path(dir.path, "00000002.dwal-index"), F_OK) != 0);
	CHECK(stat(core_path(dir.path, "00000002.dwal"), &after) == 0);
	CHECK(before.st_ino == after.st_ino && before.st_size == after.st_size);
	kv = open_with(&writing);
	check_value(kv, "a", "whole again");
	check_value(kv, "d", NULL);
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

/* Too many bytes of it would explain whatever happened. */
static void a_value_of_more_than_a_mebibyte_is_not_certain(void)
{
	static char value[(1 << 20) + 1];

	for (size_t size = sizeof(value) - 1; size <= sizeof(value); size++) {
		dwal_kv *kv;
		uint64_t at;

		dir = unit_dir_make();
		kv = open_store();
		CHECK_INT(dwal_kv_put(kv, "f", 1, value, size), 0);
		at = place_of(kv, "f").offset;
		CHECK_INT(dwal_kv_rotate(kv), 0);
		CHECK_INT(dwal_kv_close(kv), 0);
		flip(at + 5000);
		CHECK_INT(dwal_kv_open(dir.path, &reading, &kv, &error),
			  size == sizeof(value) ? DWAL_ECORRUPT : 0);
		if (size < sizeof(value))
			CHECK_INT(dwal_kv_close(kv), 0);
		unit_dir_remove(&dir);
	}
}

UNIT_MAIN(UNIT(a_changed_byte_of_a_sealed_value_is_that_key_s_trouble_alone),
	  UNIT(what_may_have_been_of_any_key_is_refused),
	  UNIT(a_store_with_damage_that_was_passed_goes_on_and_drops_nothing_of_it),
	  UNIT(a_value_of_more_than_a_mebibyte_is_not_certain))
