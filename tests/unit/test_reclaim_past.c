/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Compaction in place of logs at random: the state as of every txid is what it
 * was, or refused. DATAWAL_ROUNDS says how many logs; DATAWAL_SEED makes the one
 * that failed again.
 */
#include "fault_io.h"
#include "past.h"

#define KEYS  5
#define LATER "e" /* written only after a call has failed */

static const char *const keys[KEYS] = {"a", "b", "c", "d", ""};
static struct past before, after;

static int no_sync(const struct io *io, int fd)
{
	return 0;
}

/* A store that syncs nothing, for speed. */
static dwal_kv *open_fast(void)
{
	static struct io fast;

	fast = io_system;
	fast.fsync = fast.fdatasync = no_sync;
	return open_io(&fast, NULL);
}

static void write_operation(dwal_kv *kv, uint64_t *dice, int step)
{
	struct dwal_op ops[3];
	char payloads[3][32], when[32];
	struct dwal_line lines[2] = {{"time", when}, {"found", when}};
	const size_t n_lines = unit_random(dice) % 4 ? unit_random(dice) % 3 : 0;
	size_t n = 1 + unit_random(dice) % 3;

	for (size_t i = 0; i < n; i++) {
		const char *key = keys[unit_random(dice) % KEYS];
		static const struct {
			enum dwal_type type;
			const char *head;
		} kinds[] = {{DWAL_PUT, "value"}, {DWAL_PUT, "value"}, {DWAL_DELETE, ""},
			     {DWAL_RAW, "attr"},  {DWAL_RAW, "dir"},   {DWAL_RAW, "none"},
			     {DWAL_RAW, "other"}, {DWAL_DELETE, ""},   {DWAL_RAW, "clock"}};
		/* clocks only at times: they tell of what stands behind them */
		size_t kind = unit_random(dice) % (unit_random(dice) % 16 ? 8 : 9);

		snprintf(payloads[i], sizeof(payloads[i]), "%s%d.%zu", kinds[kind].head, step, i);
		if (kinds[kind].type == DWAL_DELETE)
			payloads[i][0] = '\0';
		ops[i] = (struct dwal_op){
			kinds[kind].type, {key, strlen(key)}, {payloads[i], strlen(payloads[i])}};
	}
	snprintf(when, sizeof(when), "%d", step);
	CHECK_INT(dwal_kv_batch(kv, ops, n, lines, n_lines, NULL), 0);
}

static void check_states(uint64_t highest)
{
	for (uint64_t txid = 0; txid <= highest; txid++) {
		if (past_covers(&after, txid)) {
			CHECK(txid < highest);
			continue;
		}
		for (int i = 0; i < KEYS; i++) {
			struct past_state was = past_state(&before, keys[i], txid);
			struct past_state is = past_state(&after, keys[i], txid);

			if (!past_states_equal(&was, &is))
				fprintf(stderr, "as of %llu, %s: %s %s %s, not %s %s %s\n",
					(unsigned long long)txid, keys[i], is.value, is.attributes,
					is.entry, was.value, was.attributes, was.entry);
			CHECK(past_states_equal(&was, &is));
		}
	}
}

static bool rises(const struct past *past)
{
	for (size_t i = 1; i < past->n; i++)
		if (past->of[i].txid < past->of[i - 1].txid)
			return false;
	return true;
}

/* All that is left was there, in the same order, with the same txid and of the
 * same time. */
static void check_records(void)
{
	size_t k = 0;

	for (size_t i = 0; i < after.n; i++) {
		const struct past_record *is = &after.of[i];

		if (past_is_header(is) || strcmp(is->key, "datawal.horizon") == 0 ||
		    strcmp(is->key, LATER) == 0)
			continue;
		while (k < before.n &&
		       (before.of[k].txid != is->txid || before.of[k].segment != is->segment ||
			strcmp(before.of[k].key, is->key) != 0 ||
			strcmp(before.of[k].payload, is->payload) != 0 ||
			before.of[k].type != is->type))
			k++;
		CHECK(k < before.n);
		if (!past_same(past_time(&before, k), past_time(&after, i)))
			fprintf(stderr, "txid %llu in %u is of %s, not of %s\n",
				(unsigned long long)is->txid, is->segment, past_time(&after, i),
				past_time(&before, k));
		CHECK(past_same(past_time(&before, k), past_time(&after, i)));
		k++;
	}
	for (size_t i = 1; i < after.n && rises(&before); i++)
		CHECK(after.of[i].txid >= after.of[i - 1].txid);
}

static void check_live(dwal_kv *kv)
{
	for (int i = 0; i < KEYS; i++)
		check_value(kv, keys[i], past_state(&before, keys[i], UINT64_MAX).value);
}

/* A first segment as another implementation may leave one: its txids fall. */
static void write_foreign(uint64_t *dice)
{
	static const enum dwal_type types[] = {DWAL_PUT, DWAL_PUT, DWAL_DELETE, DWAL_RAW};
	char path[128], payload[32];
	unsigned char frame[128];
	int fd;

	snprintf(path, sizeof(path), "%s/00000001.dwal", dir.path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	for (int i = 0; i < 20; i++) {
		const char *key = keys[unit_random(dice) % KEYS];
		enum dwal_type type = types[unit_random(dice) % 4];
		struct dwal_bytes key_bytes = {key, strlen(key)}, bytes = {payload, 0};

		snprintf(payload, sizeof(payload), type == DWAL_RAW ? "attr %d" : "foreign %d", i);
		bytes.len = type == DWAL_DELETE ? 0 : strlen(payload);
		CHECK_INT(dwal_frame_encode(type, 1 + unit_random(dice) % 20, key_bytes, bytes,
					    frame),
			  0);
		CHECK(write(fd, frame, dwal_frame_size(key_bytes.len, bytes.len)) > 0);
	}
	close(fd);
}

static void one_log(uint64_t seed)
{
	const bool falling = seed % 3 == 0;
	uint64_t dice = seed * 2 + 1, highest = 0, kept = 0;
	dwal_kv *kv;
	int steps;

	dir = unit_dir_make();
	if (falling)
		write_foreign(&dice);
	kv = open_fast();
	steps = 5 + (int)(unit_random(&dice) % 60);
	for (int step = 0; step < steps; step++) {
		write_operation(kv, &dice, step);
		if (unit_random(&dice) % 6 == 0)
			rotate(kv);
	}
	past_read(&before);
	for (size_t i = 0; i < before.n; i++)
		highest = before.of[i].txid > highest ? before.of[i].txid : highest;
	for (int round = 0; round < 3; round++) {
		struct dwal_rewrite_options options = plain;

		options.keep_txid = unit_random(&dice) % (highest + 2);
		options.most_dead_first = unit_random(&dice) % 2;
		options.least_percent = unit_random(&dice) % 3 ? 0 : 40;
		options.enough = unit_random(&dice) % 3 ? 0 : 60;
		(void)compact(kv, &options);
		kept = options.keep_txid ? options.keep_txid > kept ? options.keep_txid : kept
					 : UINT64_MAX;
		past_read(&after);
		check_states(highest);
		check_records();
		check_live(kv);
		for (uint64_t txid = kept; txid <= highest; txid++)
			CHECK(!past_covers(&after, txid));
		if (unit_random(&dice) % 2) {
			CHECK_INT(dwal_kv_close(kv), 0);
			kv = open_fast();
			check_live(kv);
		}
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	unit_dir_remove(&dir);
}

static void every_state_is_right_or_refused(void)
{
	const char *only = getenv("DATAWAL_SEED"), *rounds = getenv("DATAWAL_ROUNDS");
	uint64_t n = rounds ? strtoull(rounds, NULL, 10) : 60;

	for (uint64_t seed = 1; seed <= n; seed++) {
		uint64_t which = only ? strtoull(only, NULL, 10) : seed;

		fprintf(stderr, "DATAWAL_SEED=%llu\n", (unsigned long long)which);
		one_log(which);
		if (only)
			break;
	}
}

/* ------------------------------------------------------ calls that fail */

static void make_log(void)
{
	uint64_t dice = 77;
	dwal_kv *kv;

	dir = unit_dir_make();
	kv = open_fast();
	for (int step = 0; step < 24; step++) {
		write_operation(kv, &dice, step);
		if (step % 6 == 5)
			rotate(kv);
	}
	CHECK_INT(dwal_kv_close(kv), 0);
	past_read(&before);
}

/* What a failed or interrupted compaction has left, and that it goes on. */
static void check_what_is_there(uint64_t highest)
{
	dwal_kv *kv;
	int temps = 0;

	past_read(&after);
	check_states(highest);
	check_records();
	kv = open_fast();
	for (uint32_t id = 1; id <= 6; id++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%08u.dwal-tmp", dir.path, id);
		temps += access(path, F_OK) == 0;
	}
	CHECK_INT(temps, 0);
	check_live(kv);
	(void)compact(kv, &plain);
	check_live(kv);
	CHECK_INT(dwal_kv_close(kv), 0);
	past_read(&after);
	check_states(highest);
}

/* True if there was such a call. dead: and everything after it. */
static bool fail_call(unsigned n, bool dead, int with)
{
	struct fault_io fault;
	dwal_kv *kv;
	unsigned first;
	bool there;
	int err;

	make_log();
	fault_init(&fault);
	fault.no_sync = true;
	kv = open_io(&fault.io, NULL);
	first = dead ? fault.calls : fault.every;
	fault.fail_with = with;
	fault.dead = dead;
	*(dead ? &fault.fail_at : &fault.fail_every) = first + n;
	err = dwal_kv_compact(kv, &plain, NULL, &error);
	there = (dead ? fault.calls : fault.every) >= first + n;
	if (!dead && there && !err)
		check_live(kv); /* it was one that could fail */
	if (!dead && !dwal_kv_is_poisoned(kv)) {
		fault.fail_every = 0;
		check_live(kv);
		put(kv, LATER, "goes on");
		CHECK_INT(dwal_kv_delete(kv, LATER, 1), 0);
	}
	(void)dwal_kv_close(kv);
	check_what_is_there(before.of[before.n - 1].txid);
	unit_dir_remove(&dir);
	return there;
}

static void whatever_call_fails_every_state_is_right_or_refused(void)
{
	for (unsigned n = 1; fail_call(n, false, -EIO); n++)
		;
	for (unsigned n = 1; fail_call(n, false, -ENOSPC); n++)
		;
}

static void wherever_it_dies_every_state_is_right_or_refused(void)
{
	for (unsigned n = 1; fail_call(n, true, -EIO); n++)
		;
}

UNIT_MAIN(UNIT(whatever_call_fails_every_state_is_right_or_refused),
	  UNIT(wherever_it_dies_every_state_is_right_or_refused),
	  UNIT(every_state_is_right_or_refused))
