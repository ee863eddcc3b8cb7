/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The extended attributes of one file: a list, its limits, and the lines that
 * stand for it in an attribute record (ATTRIBUTES.md). Pure: no I/O; knows
 * neither the tree nor FUSE, nor who may use which namespace.
 */
#ifndef XATTR_H
#define XATTR_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a name with its namespace: XATTR_NAME_MAX of linux/limits.h. */
#define XATTR_NAME_BYTES 255

/* The room for one attribute and for all of a file, counted as xattr_total()
 * does. Both as on ext4 with blocks of 4096 bytes and inodes of 256: a block
 * less its header (32) and end mark (4); for all, 88 bytes more in the inode.
 * So the longest value, of a short name, is 4040 bytes. */
#define XATTR_ONE_BYTES   4060
#define XATTR_TOTAL_BYTES 4148

/* One of a list in the order of an attribute record. The empty list is NULL.
 * A node is one allocation and does not change, but for next. */
struct xattr {
	struct xattr *next;
	const void *value; /* not NULL, also when empty */
	size_t len;        /* bytes of the value */
	size_t room;       /* bytes of xattr_total() */
	char name[];       /* the full name, "user.colour", terminated */
};

/* NULL: there is none of this name. Valid until that name is set or removed. */
const struct xattr *xattr_find(const struct xattr *list, const char *name);

/* Adds or replaces. The value is copied, and may be one of the list. 0, ERANGE
 * (the name is empty or too long), ENOSPC (over a limit), ENOMEM; with an
 * error the list is as before. */
int xattr_set(struct xattr **list, const char *name, const void *value, size_t len);

/* False: there was none of this name. */
bool xattr_remove(struct xattr **list, const char *name);

/* 0 or ENOMEM. The caller frees *out. */
int xattr_copy(const struct xattr *list, struct xattr **out);

/* The whole list; NULL is allowed. */
void xattr_free(struct xattr *list);

/* The bytes that count against the limit: of each attribute 16, its name
 * without "user." and its value, both rounded up to a multiple of 4. That is
 * never less than all names, each terminated, and all values together. */
size_t xattr_total(const struct xattr *list);

/* What the FIELD of an extended attribute begins with. */
#define XATTR_FIELD "xattr."

/* xattr_set() from the NAME behind XATTR_FIELD and the VALUE of a line, or
 * EINVAL: they are not of the one form. */
int xattr_set_line(struct xattr **list, const char *name, size_t name_len, const char *value,
		   size_t value_len);

/* The bytes of all lines of the list. */
size_t xattr_lines_len(const struct xattr *list);

/* Writes the lines, not terminated. */
void xattr_write_lines(const struct xattr *list, char *out);

#endif
