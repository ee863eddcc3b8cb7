/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Live records and bytes a segment: a sorted array, as there are few of them.
 * Knows no key and no file.
 */
#include "usage.h"

#include "util.h"

#include <errno.h>

void usage_release(struct usage *usage)
{
	free(usage->of);
	*usage = (struct usage){0};
}

int usage_grow(struct usage *usage)
{
	size_t room = usage->room ? 2 * usage->room : 8;
	struct segment_usage *grown = reallocarray(usage->of, room, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	usage->of = grown;
	usage->room = room;
	return 0;
}

/* Of the first segment that has at least this id. */
static size_t position(const struct usage *usage, uint32_t segment)
{
	size_t low = 0, high = usage->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (usage->of[middle].segment < segment)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct usage *usage, uint32_t segment, size_t i)
{
	return i < usage->n && usage->of[i].segment == segment;
}

struct segment_usage *usage_enter(struct usage *usage, uint32_t segment)
{
	size_t i = position(usage, segment);
	struct segment_usage *at = &usage->of[i];

	if (is_at(usage, segment, i))
		return at;
	memmove(at + 1, at, (usage->n - i) * sizeof(*at));
	usage->n++;
	*at = (struct segment_usage){.segment = segment};
	return at;
}

struct segment_usage usage_of(const struct usage *usage, uint32_t segment)
{
	size_t i = position(usage, segment);

	return is_at(usage, segment, i) ? usage->of[i] : (struct segment_usage){.segment = segment};
}
