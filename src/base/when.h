/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A moment of a log, as people write it. Pure; knows no log.
 */
#ifndef BASE_WHEN_H
#define BASE_WHEN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct when {
	bool by_time;
	uint64_t txid;        /* unless by_time */
	struct timespec time; /* since 1970 */
};

/* Digits: a txid. @ and seconds since 1970, with a fraction of up to nine digits or
 * without. Or ISO 8601 with its zone, 2025-11-25T12:00[:00[.5]] and Z or +01:00.
 * False: it is none of these; *out is untouched. */
bool when_parse(const char *text, struct when *out);

#endif
