/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Horizons and tags: any payload is taken for one or not as FORMAT.md says, and
 * what is written is read again; a merged horizon covers what either did.
 */
#include "fuzz.h"
#include "horizon.h"
#include "lines.h"

static const char *const nobody[] = {NULL};

static struct dwal_record record_of(const char *key, const char *payload, size_t len)
{
	return (struct dwal_record){
		.type = DWAL_RAW, .key = {key, strlen(key)}, .payload = {payload, len}};
}

static bool is_horizon(const char *text, struct dwal_horizon *out)
{
	text = after_number(after(text, "datawal horizon 1\n"), "lo=", &out->lo);
	text = text ? after_number(text, "hi=", &out->hi) : NULL;
	return only_lines(text, nobody);
}

static bool is_tag(const char *text, struct dwal_bytes *name, uint64_t *txid)
{
	text = after(text, "datawal tag 1\nname=");
	name->data = text;
	text = after_value(text);
	if (!text)
		return false;
	name->len = (size_t)(text - (const char *)name->data);
	return name->len && only_lines(after_number(text + 1, "txid=", txid), nobody);
}

static void check_payload(struct dwal_bytes bytes)
{
	char *exact = copy_of(bytes, false), *string = copy_of(bytes, true);
	bool clean = strlen(string) == bytes.len;
	struct dwal_record record = record_of(HORIZON_KEY, exact, bytes.len);
	struct dwal_horizon horizon, wanted = {0};
	struct dwal_tag tag;
	struct dwal_bytes name = {0};
	uint64_t txid = 0;
	bool found = dwal_horizon_parse(&record, &horizon);

	CHECK_INT(found, clean && is_horizon(string, &wanted));
	if (found)
		CHECK(horizon.lo == wanted.lo && horizon.hi == wanted.hi);
	record = record_of(TAG_KEY, exact, bytes.len);
	CHECK(!dwal_horizon_parse(&record, &horizon));
	found = dwal_tag_parse(&record, &tag);
	CHECK_INT(found, clean && is_tag(string, &name, &txid));
	if (found)
		CHECK(tag.txid == txid && same_bytes(tag.name, name));
	free(string);
	free(exact);
}

static void check_tag(const char *name, uint64_t txid)
{
	size_t len = strlen(name), size = len + 1;
	char *payload, *back = malloc(size);
	struct dwal_record record;
	struct dwal_tag tag;
	int rc = tag_make(name, txid, &payload, &len);

	CHECK(back);
	CHECK_INT(rc == 0, *name != 0);
	if (rc == 0) {
		record = record_of(TAG_KEY, payload, len);
		CHECK(dwal_tag_parse(&record, &tag) && tag.txid == txid);
		CHECK(dwal_tag_name(&tag, back, size) && strcmp(back, name) == 0);
		CHECK(!dwal_tag_name(&tag, back, size - 1));
		free(payload);
	}
	free(back);
}

static void check_horizon(struct dwal_horizon horizon)
{
	char payload[HORIZON_SIZE];
	size_t len = horizon_put(horizon, payload);
	struct dwal_record record = record_of(HORIZON_KEY, payload, len);
	struct dwal_horizon back;

	CHECK(len <= HORIZON_SIZE && dwal_horizon_parse(&record, &back));
	CHECK(back.lo == horizon.lo && back.hi == horizon.hi);
}

static bool covers(struct dwal_horizon horizon, uint64_t txid)
{
	return horizon.lo <= txid && txid < horizon.hi;
}

static void check_merge(struct dwal_horizon a, struct dwal_horizon b)
{
	const struct dwal_horizon both = horizon_merge(a, b);
	const uint64_t edges[] = {a.lo, a.hi, b.lo, b.hi};

	for (size_t i = 0; i < COUNT(edges); i++)
		for (uint64_t txid = edges[i] - 1; txid != edges[i] + 2; txid++)
			if (covers(a, txid) || covers(b, txid))
				CHECK(covers(both, txid));
	if (horizon_is_empty(a) && horizon_is_empty(b))
		CHECK(horizon_is_empty(both));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct dwal_horizon a, b;
	uint64_t txid;
	char *name;

	check_payload((struct dwal_bytes){data, size});
	a.lo = take_number(&input, 8);
	a.hi = take_number(&input, 8);
	b.lo = take_number(&input, 1);
	b.hi = take_number(&input, 8);
	check_horizon(a);
	check_merge(a, b);
	txid = take_number(&input, 8);
	name = copy_of(take_bytes(&input, input.left), true);
	check_tag(name, txid);
	free(name);
	return 0;
}
