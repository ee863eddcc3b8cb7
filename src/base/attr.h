/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Attribute and clock records, the Raw records of datawalfs: text in, struct
 * out, and back. The format and its meaning are in ATTRIBUTES.md. Pure: no
 * I/O; knows neither the tree nor FUSE. Whose attributes a record changes, and
 * for how long, is the caller's business.
 */
#ifndef ATTR_H
#define ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "xattr.h"

/* Of what the record speaks. ATTR_DIR and ATTR_NONE are about the directory
 * whose path is the record's key, the others about the value of that key. */
enum attr_type {
	ATTR_NONE, /* the directory's record is taken back */
	ATTR_DIR,
	ATTR_FILE,
	ATTR_SYMLINK,
	ATTR_FIFO,
	ATTR_SOCKET,
	ATTR_CHAR,
	ATTR_BLOCK,
};

/* Programs keep an inode number in a double, which is exact up to 53 bits. The
 * highest of these is set in the numbers of what is not in the log. */
#define INO_FOREIGN ((uint64_t)1 << 52)

/* The numbers that a record can tell. */
#define INO_FIRST 2
#define INO_LAST  (INO_FOREIGN - 1)

/* Fields that are there; one that is not has the mount's default. */
enum {
	ATTR_HAS_MODE = 1 << 0,
	ATTR_HAS_UID = 1 << 1,
	ATTR_HAS_GID = 1 << 2,
	ATTR_HAS_RDEV = 1 << 3,
	ATTR_HAS_MTIME = 1 << 4,
	ATTR_HAS_ATIME = 1 << 5,
	ATTR_HAS_CTIME = 1 << 6,
	ATTR_HAS_INO = 1 << 7,
};

struct attr {
	enum attr_type type;
	unsigned int present; /* ATTR_HAS_* */
	mode_t mode;          /* the low twelve bits */
	uid_t uid;
	gid_t gid;
	dev_t rdev; /* with ATTR_CHAR and ATTR_BLOCK, where it is always there */
	struct timespec mtime, atime, ctime;
	uint64_t ino; /* from INO_FIRST to INO_LAST */
};

/* Of the value or of the directory? */
static inline bool attr_is_dir(const struct attr *attr)
{
	return attr->type == ATTR_DIR || attr->type == ATTR_NONE;
}

/* The payload of a Raw record. False: not a well-formed attribute record, to
 * be left alone like anybody else's; *out is untouched. Unknown fields and
 * extended attributes are passed over. Fields that are absent are zero. */
bool attr_parse(const void *payload, size_t len, struct attr *out);

/* Room for any text of attr_format(). */
#define ATTR_TEXT_SIZE 384

/* Writes the payload, not terminated. Returns its length; 0, with buf
 * untouched, when it is over size. rdev must be there with the types that
 * have one and with no other, nanoseconds below 1,000,000,000, no id
 * (uid_t)-1; of mode the low twelve bits count. Then attr_parse() gives the
 * same again. */
size_t attr_format(const struct attr *attr, char *buf, size_t size);

/* The extended attributes in a payload that attr_parse() takes: NULL if there
 * are none. Those that cannot be decoded, and those beyond the limits of a
 * file, are passed over. 0 or ENOMEM. The caller frees *out. */
int attr_parse_xattrs(const void *payload, size_t len, struct xattr **out);

/* As attr_format(), with the extended attributes, into memory that the caller
 * frees. 0 or ENOMEM. */
int attr_format_full(const struct attr *attr, const struct xattr *xattrs, char **text, size_t *len);

/* The key of every clock record, without the NUL. Earlier versions wrote them. */
#define CLOCK_KEY     "datawalfs.clock"
#define CLOCK_KEY_LEN (sizeof(CLOCK_KEY) - 1)

/* Is the Raw record with this key and payload a clock record? If so, *seconds
 * since the Epoch; else it is untouched. */
bool clock_parse(const void *key, size_t key_len, const void *payload, size_t len,
		 int64_t *seconds);

/* A time as records say it: SECONDS.NANOSECONDS. Room for any, and its NUL. */
#define TIME_TEXT_SIZE 32
void time_format(struct timespec time, char text[TIME_TEXT_SIZE]);

/* False: not of that form. */
bool time_parse(const char *text, struct timespec *out);

#endif
