/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What of one segment stays. A record goes because of what facts.c says; a
 * header stays with its records, and where records without one take their time
 * from it; a horizon is written where a state was given up. Changes nothing.
 */
#include "header.h"
#include "horizon.h"
#include "kv.h"
#include "reclaim.h"
#include "util.h"

#include <errno.h>

/* A record that stays only if another one does. */
struct tied {
	bool is;
	uint64_t i, txid;
	uint32_t length; /* as it would be written */
};

struct planner {
	struct reclaim *reclaim;
	struct plan *plan;
	struct tied header; /* the last one */
	struct tied teller; /* of the time of what has no header: a header, or another record */
	bool untold;        /* something stays before the first of them */
	bool found;         /* a header has said when that was */
	struct dwal_horizon old; /* the segment's own horizons, as one */
	uint64_t old_at, old_txid, old_bytes, old_count;
	uint64_t gone_at, gone_txid; /* the last record that goes */
};

void plan_release(struct plan *plan)
{
	free(plan->stays);
	plan->stays = NULL;
}

static int make_room(struct plan *plan)
{
	uint64_t room = plan->room ? 2 * plan->room : 1024;
	unsigned char *grown;

	if (plan->records < plan->room)
		return 0;
	grown = realloc(plan->stays, room / 8);
	if (!grown)
		return -ENOMEM;
	memset(grown + plan->room / 8, 0, (room - plan->room) / 8);
	plan->stays = grown;
	plan->room = room;
	return 0;
}

static void keep(struct plan *plan, uint64_t i, uint32_t length)
{
	if (plan_stays(plan, i))
		return;
	plan->stays[i / 8] |= (unsigned char)(1 << i % 8);
	plan->kept += length;
}

static void keep_tied(struct plan *plan, const struct tied *tied)
{
	if (tied->is)
		keep(plan, tied->i, tied->length);
}

int reclaim_header(const struct dwal_record *record, const struct dwal_header *header, void **out,
		   size_t *len)
{
	const struct header_text text = {.txid = record->txid, .written_lines = header->lines};
	char *crcs;
	int err = header_measure(&text, len);

	if (err)
		return err;
	*out = malloc(*len);
	if (!*out)
		return -ENOMEM;
	header_put(&text, *out, &crcs);
	return 0;
}

static uint32_t header_length(const struct dwal_record *record, const struct dwal_header *header)
{
	const struct header_text text = {.txid = record->txid, .written_lines = header->lines};
	size_t len = 0;

	(void)header_measure(&text, &len); /* shorter than what there is */
	return dwal_frame_size(record->key.len, len);
}

static void tell_time(struct planner *planner, const struct tied *teller)
{
	planner->teller = *teller;
	if (teller->txid == planner->reclaim->facts.highest)
		keep_tied(planner->plan, teller);
}

/* Of its lines the mount's time, and what it found of the segment's: see
 * ATTRIBUTES.md. The first of these tells of what stands before it. */
static void plan_header(struct planner *planner, const struct dwal_record *record,
			const struct dwal_header *header)
{
	const struct tied *tied = &planner->header;
	char text[64];

	planner->header = (struct tied){true, planner->plan->records, record->txid,
					header_length(record, header)};
	if (record->txid == planner->reclaim->facts.highest)
		keep_tied(planner->plan, tied);
	if (dwal_header_line(header, "time", text, sizeof(text)))
		tell_time(planner, tied);
	if (planner->found || !dwal_header_line(header, "found", text, sizeof(text)))
		return;
	planner->found = true;
	if (planner->untold)
		keep_tied(planner->plan, tied);
}

/* It stays unless another one takes its place. */
static void plan_horizon(struct planner *planner, const struct dwal_record *record,
			 struct dwal_horizon horizon)
{
	planner->old = horizon_merge(planner->old, horizon);
	planner->old_at = planner->plan->records;
	planner->old_txid = record->txid;
	planner->old_bytes += record->length;
	planner->old_count++;
	keep(planner->plan, planner->plan->records, record->length);
}

static struct mark live_of(struct reclaim *reclaim, const struct dwal_record *record)
{
	struct keydir_value live;

	if (record->type != DWAL_PUT || !kv_live(reclaim->kv, record->key, &live) ||
	    reclaim_is_damaged(reclaim, live.segment))
		return (struct mark){0};
	return (struct mark){true, live.segment, live.offset, live.txid};
}

static void drop(struct planner *planner, const struct dwal_record *record,
		 const struct judgement *judgement)
{
	struct plan *plan = planner->plan;

	planner->gone_at = plan->records;
	planner->gone_txid = record->txid;
	if (judgement->makes_past && judgement->by > record->txid)
		plan->given_up = horizon_merge(plan->given_up,
					       (struct dwal_horizon){record->txid, judgement->by});
}

static void plan_other(struct planner *planner, const struct dwal_record *record,
		       enum dwal_raw_kind kind)
{
	const struct mark live = live_of(planner->reclaim, record);
	const struct judgement judgement =
		facts_judge(&planner->reclaim->facts, record, kind, &live);

	if (judgement.can_go) {
		drop(planner, record, &judgement);
		return;
	}
	keep(planner->plan, planner->plan->records, record->length);
	if (planner->header.is && planner->header.txid == record->txid)
		keep_tied(planner->plan, &planner->header);
	keep_tied(planner->plan, &planner->teller);
	planner->untold |= !planner->teller.is;
}

static int plan_record(void *ctx, const struct dwal_record *record)
{
	struct planner *planner = ctx;
	const enum dwal_raw_kind kind = reclaim_kind(planner->reclaim, record);
	struct dwal_horizon horizon;
	struct dwal_header header;
	int err = make_room(planner->plan);

	if (err)
		return err;
	if (dwal_header_parse(record, &header)) {
		plan_header(planner, record, &header);
	} else if (dwal_horizon_parse(record, &horizon)) {
		plan_horizon(planner, record, horizon);
	} else if (kind == DWAL_RAW_TIME) {
		const struct tied teller = {true, planner->plan->records, record->txid,
					    record->length};

		tell_time(planner, &teller);
	} else {
		plan_other(planner, record, kind);
	}
	planner->plan->records++;
	return reclaim_tick(planner->reclaim, record->length);
}

/* Those that the segment had go into the one that it gets. */
static void place_horizon(struct planner *planner)
{
	struct plan *plan = planner->plan;
	char payload[HORIZON_SIZE];

	plan->dropped = plan->records;
	for (uint64_t i = 0; i < plan->records; i++)
		plan->dropped -= plan_stays(plan, i);
	if (horizon_is_empty(plan->given_up))
		return;
	plan->horizon = horizon_merge(plan->given_up, planner->old);
	plan->horizon_at = planner->gone_at;
	plan->horizon_txid = planner->gone_txid;
	if (planner->old_count && planner->old_at > planner->gone_at) {
		plan->horizon_at = planner->old_at;
		plan->horizon_txid = planner->old_txid;
	}
	plan->kept += dwal_frame_size(strlen(HORIZON_KEY), horizon_put(plan->horizon, payload));
	plan->kept -= planner->old_bytes;
}

int reclaim_plan(struct reclaim *reclaim, struct segment *segment, uint64_t end, struct plan *plan)
{
	struct planner planner = {.reclaim = reclaim, .plan = plan};
	int err;

	*plan = (struct plan){.end = end};
	err = reclaim_each(reclaim, segment, end, plan_record, &planner);
	if (err) {
		plan->damaged = err > 0;
		return err > 0 ? 0 : err;
	}
	if (reclaim->tells_time) /* of the records in the next segments */
		keep_tied(plan, &planner.teller);
	place_horizon(&planner);
	return 0;
}
