/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is said of damage, of the intact records behind it and of missing
 * txids, by every command in the same words. It must not look for them.
 */
#include "cli.h"

#define LINE_SIZE 512

enum status tell_damage(const char *where, const struct dwal_damage *damage)
{
	char text[LINE_SIZE];

	dwal_damage_text(damage, NULL, text, sizeof(text));
	complain("%s: %s", where, text);
	return damage->torn_tail ? RECOVERABLE : HARD_ERROR;
}

void tell_repair(const char *dir, const struct dwal_report *report)
{
	char text[LINE_SIZE];

	if (!report->made_side_file)
		return;
	dwal_damage_text(&report->damage[report->damage_count - 1], report->made_side_file, text,
			 sizeof(text));
	complain("%s: %s", dir, text);
}

enum status tell_intact(const char *dir, const struct dwal_report *report)
{
	struct dwal_error error = {0};
	struct dwal_damage tail;
	struct walk walk;
	int ret = DWAL_END;

	if (!report->intact.records)
		return DONE;
	tail = report->damage[report->damage_count - 1];
	ret = walk_tail(&walk, dir, &tail, &error);
	walk_close(&walk);
	if (ret < 0)
		return fail(dir, ret, &error);
	if (!ret && tail.intact.records)
		(void)tell_damage(dir, &tail); /* what lies before it can be read */
	return DONE;
}

void print_missing(const char *label, const struct dwal_txids *txids)
{
	char where[128];

	printf("%s%llu", label, (unsigned long long)txids->missing);
	if (txids->missing) {
		dwal_gap_text(&txids->first_gap, where, sizeof(where));
		printf(", the first %s", where);
	}
	putchar('\n');
}

void json_missing(const struct dwal_txids *txids)
{
	const struct dwal_gap *gap = &txids->first_gap;

	json_number("txids_missing", txids->missing);
	if (!txids->missing) {
		fputs(",\"first_gap\":null", stdout);
		return;
	}
	printf(",\"first_gap\":{\"after_txid\":%llu,\"after_segment\":%u,\"before_txid\":%llu,"
	       "\"before_segment\":%u}",
	       (unsigned long long)gap->after_txid, gap->after_segment,
	       (unsigned long long)gap->before_txid, gap->before_segment);
}
