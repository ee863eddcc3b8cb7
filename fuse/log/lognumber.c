/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Numbers of .log and back. Must not look at a file.
 */
#include "log/lognumber.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datawal.h"
#include "tree/ino.h"

#define SIDE_INO    (INO_FOREIGN + ((uint64_t)2 << 32))
#define SEGMENT_INO (INO_FOREIGN + ((uint64_t)1 << 51))

#define ID_BITS  27
#define OWN_BITS 24 /* the lowest of a file's own number */

static_assert(DWAL_MAX_SEGMENT_ID < 1u << ID_BITS, "an id fits");
static_assert(SEGMENT_INO + ((uint64_t)1 << (ID_BITS + OWN_BITS)) == 2 * INO_FOREIGN, "all do");

void lognumbers_init(struct lognumbers *numbers)
{
	*numbers = (struct lognumbers){.side_count = 0};
	pthread_mutex_init(&numbers->lock, NULL); /* cannot fail on Linux */
}

void lognumbers_release(struct lognumbers *numbers)
{
	for (size_t i = 0; i < numbers->side_count; i++)
		free(numbers->side_names[i]);
	free(numbers->side_names);
	pthread_mutex_destroy(&numbers->lock);
}

static int side_number(struct lognumbers *numbers, const char *name, uint64_t *ino)
{
	size_t i;
	char **grown;
	int err = 0;

	pthread_mutex_lock(&numbers->lock);
	for (i = 0; i < numbers->side_count; i++)
		if (strcmp(numbers->side_names[i], name) == 0)
			break;
	if (i == numbers->side_count) {
		grown = realloc(numbers->side_names, (i + 1) * sizeof(*grown));
		if (grown)
			numbers->side_names = grown;
		if (grown && (grown[i] = strdup(name)))
			numbers->side_count++;
		else
			err = ENOMEM;
	}
	pthread_mutex_unlock(&numbers->lock);
	if (!err)
		*ino = SIDE_INO + i;
	return err;
}

static uint64_t segment_number(uint32_t id, const struct stat *st)
{
	uint64_t own = st->st_ino & (((uint64_t)1 << OWN_BITS) - 1);

	return SEGMENT_INO + (own << ID_BITS) + id;
}

/* True, and its id, if the number is a segment's. */
static bool is_segment(uint64_t ino, uint32_t *id)
{
	*id = (ino - SEGMENT_INO) & ((1u << ID_BITS) - 1);
	return ino >= SEGMENT_INO && *id <= DWAL_MAX_SEGMENT_ID;
}

int lognumber_of(struct lognumbers *numbers, const char *name, const struct stat *st, uint64_t *ino)
{
	uint32_t id;

	if (!logname_parse_segment(name, &id))
		return logname_is_side_file(name) ? side_number(numbers, name, ino) : ENOENT;
	*ino = segment_number(id, st);
	return 0;
}

const char *lognumber_name(struct lognumbers *numbers, uint64_t ino, char buffer[LOGNAME_SIZE])
{
	const char *name = NULL;
	uint32_t id;

	if (is_segment(ino, &id)) {
		logname_segment(id, buffer);
		return buffer;
	}
	pthread_mutex_lock(&numbers->lock);
	if (ino >= SIDE_INO && ino - SIDE_INO < numbers->side_count)
		name = numbers->side_names[ino - SIDE_INO];
	pthread_mutex_unlock(&numbers->lock);
	return name;
}

bool lognumber_is_of(uint64_t ino, const struct stat *st)
{
	uint32_t id;

	return !is_segment(ino, &id) || segment_number(id, st) == ino;
}
