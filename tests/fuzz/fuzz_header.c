/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The header of an operation: any payload is taken for one or not as FORMAT.md
 * says, which is written here once more; one that is written is read again.
 */
#include "fuzz.h"
#include "header.h"
#include "lines.h"

/* text has no NUL but the one behind it. */
static bool is_header(const char *text, uint64_t txid, uint64_t *n)
{
	static const char *const ours[] = {"txid=", "n=", "bytes=", "crc=", NULL};
	uint64_t said, bytes;

	text = after_number(after(text, "datawal batch 1\n"), "txid=", &said);
	text = text && said == txid ? after_number(text, "n=", n) : NULL;
	text = after(after_number(text, "bytes=", &bytes), "crc=");
	if (!text || *n > (uint64_t)1 << 32 || strspn(text, "0123456789abcdef") != 8 * *n)
		return false;
	return only_lines(after(text + 8 * *n, "\n"), ours);
}

static void check_payload(struct dwal_bytes bytes, uint64_t txid)
{
	char *exact = copy_of(bytes, false), *string = copy_of(bytes, true);
	const struct dwal_record record = {.type = DWAL_RAW,
					   .txid = txid,
					   .key = {HEADER_KEY, strlen(HEADER_KEY)},
					   .payload = {exact, bytes.len}};
	const struct dwal_op op = {DWAL_RAW, record.key, record.payload};
	bool clean = strlen(string) == bytes.len;
	uint64_t n = 0;
	struct dwal_header header;
	bool found = dwal_header_parse(&record, &header);

	CHECK_INT(found, clean && is_header(string, txid, &n));
	if (found) {
		CHECK(header.txid == txid && header.n == n && header.crc.len == 8 * n);
		CHECK((const char *)header.lines.data + header.lines.len == exact + bytes.len);
		CHECK(header_is_reserved(&op));
	}
	free(string);
	free(exact);
}

/* Lines with any values, written as a header and read again. */
static void check_round_trip(struct input input)
{
	static const char *const names[] = {"time", "a", "op", "x-1.z", "nn", "t"};
	char *values[COUNT(names)] = {0}, *payload, *crcs, *back;
	struct dwal_line lines[COUNT(names)];
	struct header_text text = {.txid = take_number(&input, 8),
				   .n = take_number(&input, 1) % 5,
				   .bytes = take_number(&input, 8),
				   .lines = lines,
				   .line_count = take_number(&input, 1) % (COUNT(names) + 1)};
	uint32_t crc[5];
	struct dwal_header header;
	size_t len;

	for (size_t i = 0; i < text.line_count; i++) {
		values[i] = copy_of(take_bytes(&input, (size_t)take_number(&input, 1)), true);
		lines[i] = (struct dwal_line){names[i], values[i]};
	}
	CHECK_INT(header_measure(&text, &len), 0);
	payload = malloc(len);
	back = malloc(len + 1);
	CHECK(payload && back);
	header_put(&text, payload, &crcs);
	for (size_t i = 0; i < text.n; i++)
		header_put_crc(crcs, i, crc[i] = (uint32_t)take_number(&input, 4));
	check_payload((struct dwal_bytes){payload, len}, text.txid);

	const struct dwal_record record = {.type = DWAL_RAW,
					   .txid = text.txid,
					   .key = {HEADER_KEY, strlen(HEADER_KEY)},
					   .payload = {payload, len}};
	CHECK(dwal_header_parse(&record, &header));
	CHECK(header.n == text.n && header.bytes == text.bytes);
	for (size_t i = 0; i < text.n; i++)
		CHECK_INT(header_crc(&header, i), crc[i]);
	for (size_t i = 0; i < text.line_count; i++) {
		CHECK(dwal_header_line(&header, names[i], back, len + 1));
		CHECK(strcmp(back, values[i]) == 0);
		CHECK(!dwal_header_line(&header, names[i], back, strlen(values[i])));
		free(values[i]);
	}
	free(back);
	free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint64_t txid = take_number(&input, 1);

	check_payload(take_bytes(&input, input.left), txid);
	check_round_trip((struct input){data, size});
	return 0;
}
