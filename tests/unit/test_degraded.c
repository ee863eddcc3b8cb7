/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is left of a damaged log: whatever byte of a small one is changed, what
 * lies elsewhere is there, and nothing is there that never was.
 */
#include "damaged_log.h"
#include "sanitized.h"

#include <errno.h>

/* The change is in a record of an operation at the end of the highest segment:
 * none of that is in the log any more. */
static bool may_be_cut(const struct one *hit, const struct one *one)
{
	return hit->segment == 3 && one->segment == 3 && one->txid == hit->txid;
}

/* What a key has when the one record is not read. It must be so, unless a record
 * of the key itself was changed, or cut off. */
static const struct one *live_of(const char *key, const struct one *hit, bool *must)
{
	const struct one *live = NULL;

	*must = true;
	for (size_t i = 0; i < record_count; i++) {
		const struct one *one = &records[i];

		if (one->type == DWAL_RAW || strcmp(one->key, key) != 0)
			continue;
		*must = one != hit && !may_be_cut(hit, one);
		if (one != hit)
			live = one->type == DWAL_PUT ? one : NULL;
	}
	return live;
}

static bool was_once(const char *key, const void *value, size_t len)
{
	for (size_t i = 0; i < record_count; i++)
		if (records[i].type == DWAL_PUT && strcmp(records[i].key, key) == 0 &&
		    records[i].value_len == len && memcmp(records[i].value, value, len) == 0)
			return true;
	return false;
}

static void check_key(dwal_kv *kv, const char *key, const struct one *hit)
{
	void *value = NULL;
	size_t len = 0;
	bool must;
	const struct one *live = live_of(key, hit, &must);
	int err = dwal_kv_get(kv, key, strlen(key), &value, &len, &error);

	if (must) {
		CHECK_INT(err, live ? 0 : DWAL_ABSENT);
		CHECK(!live || (len == live->value_len && memcmp(value, live->value, len) == 0));
	} else if (err) {
		CHECK(err == DWAL_ABSENT || err == DWAL_ECORRUPT);
	} else {
		CHECK(was_once(key, value, len));
	}
	free(value);
}

/* Its value is damaged, and nothing came after it: no older one passes for it. */
static void check_hit(dwal_kv *kv, const struct one *hit, uint64_t offset)
{
	bool in_value = offset >= hit->offset + DWAL_HEADER_SIZE + strlen(hit->key) &&
			offset < hit->offset + hit->length - DWAL_TRAILER_SIZE;
	const struct one *last = NULL;
	void *value;
	size_t len;

	for (size_t i = 0; i < record_count; i++)
		if (records[i].type != DWAL_RAW && strcmp(records[i].key, hit->key) == 0)
			last = &records[i];
	if (last != hit || hit->type != DWAL_PUT || !in_value || may_be_cut(hit, hit))
		return;
	CHECK_INT(dwal_kv_get(kv, hit->key, strlen(hit->key), &value, &len, &error), DWAL_ECORRUPT);
}

static const struct dwal_options degraded = {.read_only = true, .degraded = true};

static void check_changed(const struct one *hit, uint64_t offset)
{
	static const char *const keys[] = {"k1",    "k2",   "k3", "k4",  "k9",
					   "holds", "from", "to", "last"};
	dwal_kv *kv = open_with(&degraded);
	const struct dwal_report *report = dwal_kv_report(kv);

	CHECK(report->damage_count == 1 && report->lost_count == report->lost_ranges);
	CHECK(report->lost_count >= 1 && report->lost[0].segment == hit->segment);
	CHECK(report->lost[0].offset <= offset && report->lost_bytes >= 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		check_key(kv, keys[i], hit);
	check_hit(kv, hit, offset);
	if (offset >= hit->offset + DWAL_HEADER_SIZE)
		CHECK(!dwal_kv_contains(kv, "ghost", 5));
	CHECK_INT(dwal_kv_close(kv), 0);
}

static void whatever_byte_is_changed_what_lies_elsewhere_is_there(void)
{
	static const unsigned char changes[] = {1, 3, 0x80, 0xff};
	const size_t most = IS_SANITIZED ? 1 : sizeof(changes);

	make_log();
	for (size_t i = 0; i < most; i++)
		for (uint32_t segment = 1; segment <= 3; segment++)
			each_byte_of(segment, changes[i], check_changed);
	unit_dir_remove(&dir);
}

/* Any bytes anywhere: it ends, and gives no value that never was. */
static void whatever_is_written_over_it_nothing_is_made_up(void)
{
	unsigned char old[64], junk[64];
	uint64_t seed = 5;
	struct stat st;

	make_log();
	for (int round = 0; round < 400; round++) {
		uint32_t segment = 1 + (uint32_t)(unit_random(&seed) % 3);
		int fd = open_named(segment);
		size_t n = 1 + unit_random(&seed) % sizeof(junk);
		dwal_kv *kv;
		off_t at;

		CHECK(fstat(fd, &st) == 0);
		at = (off_t)(unit_random(&seed) % (uint64_t)(st.st_size - (off_t)n));
		for (size_t i = 0; i < n; i++)
			junk[i] = round % 2 ? 0 : (unsigned char)unit_random(&seed);
		CHECK_INT(pread(fd, old, n, at), (long)n);
		CHECK_INT(pwrite(fd, junk, n, at), (long)n);
		kv = open_with(&degraded);
		for (size_t i = 0; i < record_count; i++) {
			void *value = NULL;
			size_t len;

			if (dwal_kv_get(kv, records[i].key, strlen(records[i].key), &value, &len,
					&error) == 0)
				CHECK(was_once(records[i].key, value, len));
			free(value);
		}
		CHECK_INT(dwal_kv_close(kv), 0);
		CHECK_INT(pwrite(fd, old, n, at), (long)n);
		close(fd);
	}
	unit_dir_remove(&dir);
}

static int note_lost(void *ctx, const struct dwal_lost *lost)
{
	char *text = ctx;

	dwal_lost_text(lost, text, 256);
	return 0;
}

static int ignore(void *ctx, const struct dwal_record *record)
{
	return 0;
}

static void what_is_lost_is_told_with_its_key(void)
{
	char text[256] = "";
	struct dwal_options options = degraded;
	struct dwal_place place;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_store();
	put(kv, "before", "1");
	put(kv, "a \"b\"\n", "value");
	place = place_of(kv, "a \"b\"\n");
	put(kv, "behind", "2");
	CHECK_INT(dwal_kv_close(kv), 0);
	flip(place.offset + place.length - DWAL_TRAILER_SIZE - 1);
	options.observe = ignore;
	options.lost = note_lost;
	options.observe_ctx = text;
	kv = open_with(&options);
	CHECK(strcmp(text, "Put of key \"a \\x22b\\x22\\x0a\", txid 2, 5 bytes") == 0);
	CHECK_INT(dwal_kv_report(kv)->lost_bytes, place.length);
	check_value(kv, "before", "1");
	check_value(kv, "behind", "2");
	CHECK_INT(dwal_kv_len(kv), 3);
	CHECK_INT(dwal_kv_close(kv), 0);
	CHECK_INT(dwal_kv_open(dir.path, &(struct dwal_options){.degraded = true}, &kv, &error),
		  -EINVAL);
	unit_dir_remove(&dir);
}

UNIT_MAIN(UNIT(whatever_byte_is_changed_what_lies_elsewhere_is_there),
	  UNIT(whatever_is_written_over_it_nothing_is_made_up),
	  UNIT(what_is_lost_is_told_with_its_key))
