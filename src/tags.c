/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Which tags are in force. There are few. Must not know where the records come
 * from.
 */
#include "tags.h"
#include "horizon.h"
#include "util.h"

struct tag {
	char *name;
	uint64_t txid;
};

static struct tag *find(const struct tags *tags, const char *name)
{
	for (size_t i = 0; i < tags->n; i++)
		if (strcmp(tags->of[i].name, name) == 0)
			return &tags->of[i];
	return NULL;
}

/* Takes the name over if there is memory. */
static bool add(struct tags *tags, char *name, uint64_t txid)
{
	struct tag *grown = reallocarray(tags->of, tags->n + 1, sizeof(*grown));

	if (!grown)
		return false;
	tags->of = grown;
	tags->of[tags->n++] = (struct tag){name, txid};
	return true;
}

void tags_give_up(struct tags *tags, struct dwal_horizon horizon)
{
	struct dwal_horizon *grown;

	if (horizon_is_empty(horizon))
		return;
	grown = reallocarray(tags->gone, tags->gone_n + 1, sizeof(*grown));
	if (!grown)
		return;
	tags->gone = grown;
	grown[tags->gone_n++] = horizon;
}

static bool is_gone(const struct tags *tags, uint64_t txid)
{
	for (size_t i = 0; i < tags->gone_n; i++)
		if (tags->gone[i].lo <= txid && txid < tags->gone[i].hi)
			return true;
	return false;
}

static void note_tag(struct tags *tags, const struct dwal_record *record)
{
	cleanup_free char *name = NULL;
	struct dwal_tag tag;
	struct tag *known;

	if (!dwal_tag_parse(record, &tag))
		return;
	name = malloc(tag.name.len + 1);
	if (!name) {
		tags->lost = true;
		return;
	}
	if (!dwal_tag_name(&tag, name, tag.name.len + 1))
		return; /* nobody can ask for it */
	known = find(tags, name);
	if (known)
		known->txid = tag.txid;
	else if (add(tags, name, tag.txid))
		(void)steal_pointer(&name);
	else
		tags->lost = true;
}

void tags_note(struct tags *tags, const struct dwal_record *record)
{
	struct dwal_horizon horizon;

	if (dwal_horizon_parse(record, &horizon))
		tags_give_up(tags, horizon);
	else
		note_tag(tags, record);
}

void tags_release(struct tags *tags)
{
	while (tags->n)
		free(tags->of[--tags->n].name);
	free(tags->of);
	free(tags->gone);
	*tags = (struct tags){0};
}

uint64_t tags_lowest(const struct tags *tags)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < tags->n; i++)
		if (tags->of[i].txid && tags->of[i].txid < lowest &&
		    !is_gone(tags, tags->of[i].txid))
			lowest = tags->of[i].txid;
	return tags->lost ? 0 : lowest;
}
