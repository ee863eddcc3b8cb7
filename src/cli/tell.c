/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What is said of damage and of the intact records behind it, by every
 * command in the same words. It must not look for them.
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
