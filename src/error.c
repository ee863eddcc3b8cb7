/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Texts for codes, and filling in a struct dwal_error. Must not know how any
 * of the errors comes about.
 */
#include "oneline.h"
#include "util.h"

#include <stdarg.h>
#include <stdio.h>

const char *dwal_version(void)
{
	return DWAL_VERSION_STRING;
}

static const struct {
	int code;
	const char *text;
} texts[] = {
	{0, "success"},
	{DWAL_ABSENT, "absent, or at the end"},
	{DWAL_ELOCKED, "locked by another writer"},
	{DWAL_ECORRUPT, "the log is damaged"},
	{DWAL_EPOISONED, "an earlier write or sync failed: reopen the log, check the disk"},
	{DWAL_EREADONLY, "opened for reading only"},
	{DWAL_EKEYSIZE, "key longer than 65536 bytes"},
	{DWAL_EPAYLOADSIZE, "payload longer than 67108864 bytes"},
	{DWAL_ESEGMENTS, "segment 99999999 is the last one possible"},
	{DWAL_EBEHIND, "intact records lie behind a torn tail"},
	{DWAL_ETARGET, "target exists and is not an empty directory"},
	{DWAL_EUNSTABLE, "the segments kept changing while they were opened"},
	{DWAL_EUNSYNCED, "the full segment must be synced before the next one begins"},
	{DWAL_ENOTFILE, "not a regular file"},
	{DWAL_EGONE, "what stood there is no more"},
	{DWAL_EHORIZON, "given up by a compaction, or not there yet"},
};

const char *dwal_strerror(int code)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].code == code)
			return texts[i].text;
	if (code < 0 && code >= -4095)
		return strerror(-code);
	return "unknown error";
}

const char *dwal_frame_status_text(enum dwal_frame_status status)
{
	switch (status) {
	case DWAL_FRAME_OK:
		return "intact";
	case DWAL_TRUNCATED:
		return "truncated record";
	case DWAL_BAD_CRC:
		return "CRC mismatch";
	case DWAL_ZEROED_HEADER:
		return "zeros in the record header";
	case DWAL_PARTIAL:
		return "operation cut short";
	case DWAL_BAD_MAGIC:
		return "bad magic";
	case DWAL_BAD_VERSION:
		return "unsupported version";
	case DWAL_BAD_TYPE:
		return "unknown record type";
	case DWAL_BAD_FLAGS:
		return "flags not zero";
	case DWAL_KEY_TOO_LONG:
		return "key length over the limit";
	case DWAL_PAYLOAD_TOO_LONG:
		return "payload length over the limit";
	}
	return "unknown status";
}

const char *dwal_type_name(enum dwal_type type)
{
	switch (type) {
	case DWAL_RAW:
		return "Raw";
	case DWAL_PUT:
		return "Put";
	case DWAL_DELETE:
		return "Delete";
	}
	return "?";
}

/* "one intact record (txid 7)", "at least 878 intact records (txids 123 to
 * 1000)" */
static void intact_text(const struct dwal_intact *intact, char *out, size_t size)
{
	const char *at_least = intact->at_least ? "at least " : "";
	unsigned long long n = intact->records, low = intact->lowest_txid,
			   high = intact->highest_txid;

	if (n == 1)
		(void)snprintf(out, size, "%s1 intact record (txid %llu)", at_least, low);
	else
		(void)snprintf(out, size, "%s%llu intact records (txids %llu to %llu)", at_least, n,
			       low, high);
}

void dwal_damage_text(const struct dwal_damage *damage, const char *side_file, char *out,
		      size_t size)
{
	const unsigned long long bytes = damage->bytes;
	const bool alone = !damage->intact.records;
	char behind[128] = "", done[256];

	if (!alone)
		intact_text(&damage->intact, behind, sizeof(behind));
	if (!damage->torn_tail)
		(void)snprintf(
			done, sizeof(done),
			"damage that no crash explains; nothing was changed; 'datawal report' "
			"lists all of it, a mount with '-o ro,degraded' shows what is left, "
			"'datawal salvage DIR OUT' copies that");
	else if (alone && side_file)
		(void)snprintf(done, sizeof(done),
			       "cut off a torn tail of %llu bytes; a copy of them is in %s", bytes,
			       side_file);
	else if (alone)
		(void)snprintf(done, sizeof(done),
			       "a torn tail of %llu bytes; the next writer keeps a copy of them "
			       "and cuts them off",
			       bytes);
	else if (side_file)
		(void)snprintf(done, sizeof(done),
			       "a power cut or damage, they are not known to have been synced; "
			       "the %llu bytes from there on were cut off and are in %s: 'datawal "
			       "dump --all' lists what is in it",
			       bytes, side_file);
	else
		(void)snprintf(done, sizeof(done),
			       "a power cut or damage, they are not known to have been synced; "
			       "not read; the next writer moves the %llu bytes from there on to a "
			       "side file, one with 'strict' refuses",
			       bytes);
	(void)snprintf(out, size, "segment %u, offset %llu: %s%s%s: %s", damage->segment,
		       (unsigned long long)damage->offset, dwal_frame_status_text(damage->reason),
		       alone ? "" : ", and behind it ", behind, done); /* cut if long */
}

/* As in a string of C, cut where there is no room for more. */
static void quote(struct dwal_bytes bytes, char *out, size_t size)
{
	const unsigned char *p = bytes.data;
	size_t len = 0;

	for (size_t i = 0; i < bytes.len && len + 8 < size; i++) {
		bool plain = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\';

		len += (size_t)snprintf(out + len, size - len, plain ? "%c" : "\\x%02x", p[i]);
		if (i + 1 < bytes.len && len + 8 >= size)
			(void)snprintf(out + len, size - len, "...");
	}
}

void dwal_lost_text(const struct dwal_lost *lost, char *out, size_t size)
{
	const struct dwal_record *record = &lost->record;
	char key[160] = "";

	if (lost->reason == DWAL_PARTIAL) {
		(void)snprintf(out, size, "an operation that never was whole");
		return;
	}
	if (!lost->key_known) {
		(void)snprintf(out, size, "what it was is not known");
		return;
	}
	quote(record->key, key, sizeof(key));
	if (record->type == DWAL_RAW && !record->key.len)
		(void)snprintf(out, size, "Raw, txid %llu, %zu bytes",
			       (unsigned long long)record->txid, record->payload.len);
	else
		(void)snprintf(out, size, "%s of key \"%s\", txid %llu, %zu bytes",
			       dwal_type_name(record->type), key, (unsigned long long)record->txid,
			       record->payload.len);
}

void dwal_gap_text(const struct dwal_gap *gap, char *out, size_t size)
{
	if (!gap->after_txid)
		(void)snprintf(out, size, "before txid %llu (segment %u)",
			       (unsigned long long)gap->before_txid, gap->before_segment);
	else
		(void)snprintf(out, size,
			       "between txid %llu (segment %u) and txid %llu (segment %u)",
			       (unsigned long long)gap->after_txid, gap->after_segment,
			       (unsigned long long)gap->before_txid, gap->before_segment);
}

__attribute__((format(printf, 6, 0))) static void fill(struct dwal_error *error, int code,
						       uint32_t segment, uint64_t offset,
						       enum dwal_frame_status reason,
						       const char *format, va_list args)
{
	if (!error)
		return;
	error->code = code;
	error->segment = segment;
	error->offset = offset;
	error->reason = reason;
	error->holder_pid = 0;
	(void)vsnprintf(error->message, sizeof(error->message), format, args); /* cut if long */
	make_one_line(error->message);
}

int error_set(struct dwal_error *error, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(error, code, 0, 0, DWAL_FRAME_OK, format, args);
	va_end(args);
	return code;
}

int error_set_at(struct dwal_error *error, int code, uint32_t segment, uint64_t offset,
		 enum dwal_frame_status reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(error, code, segment, offset, reason, format, args);
	va_end(args);
	return code;
}
