/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * dump: the headers of frames, of a log or of one file, also behind damage.
 * It takes no lock and changes nothing.
 */
#include <sys/stat.h>

#include "cli.h"

/* How far a dump is, behind the first damage. */
struct behind {
	bool begins_cut; /* the next frame is the header of an operation that is cut short */
	bool is_cut;     /* there was one: */
	uint64_t txid;   /* its */
};

static const char *part_text(const struct behind *behind, const struct walk *walk, uint64_t txid)
{
	if (behind->is_cut && behind->txid == txid)
		return " (of an operation cut short)";
	return walk->damaged ? " (behind damage)" : "";
}

static void print_frame(const struct args *args, const struct dwal_record *r, const char *part)
{
	struct json json;

	if (!args->json) {
		print_record_head(r, dwal_type_name(r->type));
		printf(" key_len=%zu payload_len=%zu%s\n", r->key.len, r->payload.len, part);
		return;
	}
	json = json_record("frame", r);
	json_number(&json, "key_len", r->key.len);
	json_number(&json, "payload_len", r->payload.len);
	json_close(&json, '}');
}

/* Of one file it is not known whether it is sealed, nor who will write it. */
static enum status tell_file_damage(const struct args *args, const struct dwal_damage *damage)
{
	const struct dwal_intact *intact = &damage->intact;
	char behind[128] = "";

	if (intact->records)
		(void)snprintf(behind, sizeof(behind),
			       "; intact behind it: %s%llu records, txids %llu to %llu%s",
			       intact->at_least ? "at least " : "",
			       (unsigned long long)intact->records,
			       (unsigned long long)intact->lowest_txid,
			       (unsigned long long)intact->highest_txid,
			       args->all ? "" : " (--all lists them)");
	complain("%s: offset %llu: %s, %llu bytes to the end%s", args->operand[0],
		 (unsigned long long)damage->offset, dwal_frame_status_text(damage->reason),
		 (unsigned long long)damage->bytes, behind);
	return damage->torn_tail ? RECOVERABLE : HARD_ERROR;
}

/* Says what the walk stands at. DONE with *more: goes on behind it, or the
 * log is at its end. A torn tail is no failure of dump. */
static enum status pass_damage(const struct args *args, struct walk *walk, struct behind *behind,
			       bool *more)
{
	struct dwal_damage damage;
	enum status status = DONE;
	int ret = walk_damage(walk, &damage);

	*more = false;
	if (ret < 0)
		return fail(walk->dir, ret, NULL);
	if (ret)
		return DONE;
	status = walk->reader ? tell_damage(walk->dir, &damage) : tell_file_damage(args, &damage);
	if (args->all) {
		ret = walk_pass_damage(walk, damage.segment);
		if (ret)
			return fail(walk->dir, ret, NULL);
		*behind = (struct behind){.begins_cut = damage.reason == DWAL_PARTIAL};
		*more = true;
	}
	return status == HARD_ERROR ? HARD_ERROR : DONE;
}

static enum status dump_frames(const struct args *args, struct walk *walk)
{
	struct dwal_error error = {0};
	enum status worst = DONE, status;
	struct dwal_record record;
	struct behind behind = {0};
	uint64_t n = 0;
	bool more = true;

	while (more && n < args->limit && !ferror(stdout)) {
		int ret = walk->reader ? walk_next(walk, &record, &error)
				       : dwal_iter_next(walk->iter, &record, &error);

		if (!ret) {
			if (behind.begins_cut)
				behind = (struct behind){.is_cut = true, .txid = record.txid};
			print_frame(args, &record, part_text(&behind, walk, record.txid));
			n++;
			continue;
		}
		if (ret != DWAL_END && ret != DWAL_ECORRUPT)
			return fail(walk->dir, ret, &error);
		status = pass_damage(args, walk, &behind, &more);
		if (status != DONE)
			worst = status;
	}
	return worst;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) || S_ISDIR(st.st_mode); /* what is not there is told as one */
}

enum status cmd_dump(const struct args *args)
{
	const char *path = args->operand[0];
	struct dwal_error error = {0};
	struct walk walk = {.dir = path, .torn = true};
	const bool directory = is_directory(path);
	enum status status = directory ? check_log(path, false) : DONE;
	int ret;

	if (status != DONE)
		return status;
	ret = directory ? walk_open(&walk, path, 0, 0, &error)
			: dwal_file_iterate(path, &walk.iter, &error);
	status = ret ? fail(path, ret, &error) : dump_frames(args, &walk);
	walk_close(&walk);
	return status;
}
