/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Small tools every part uses: little-endian access to bytes, filling in a struct dwal_error. Knows
 * nothing of the log.
 */
#ifndef DWAL_UTIL_H
#define DWAL_UTIL_H

#include "cleanup.h"
#include "datawal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline uint16_t get_le16(const unsigned char *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t get_le32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t get_le64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void put_le16(unsigned char *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le32(unsigned char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le64(unsigned char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

/* memcpy that allows a NULL source of no bytes. */
static inline unsigned char *put_bytes(unsigned char *p, struct dwal_bytes b)
{
	if (b.len)
		memcpy(p, b.data, b.len);
	return p + b.len;
}

/* Fills *error (which may be NULL) and returns code. The message is made one
 * line: control characters become '?'. */
int error_set(struct dwal_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with the place in the log. */
int error_set_at(struct dwal_error *error, int code, uint32_t segment, uint64_t offset,
		 enum dwal_frame_status reason, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

#endif
