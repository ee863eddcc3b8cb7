/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The bytes of a value, read and checked: they never change, and are shared by counting
 * references, so that they are handed out without a copy and without a lock. Knows neither
 * stages nor values.
 */
#ifndef FILE_WHOLE_H
#define FILE_WHOLE_H

#include "file/bytes.h"

#include <stdatomic.h>

struct whole {
	atomic_uint refs;
	size_t size;
	struct bytes bytes; /* to be filled in before anybody else sees it */
};

/* Of this size, with one reference; NULL: no memory. */
struct whole *whole_new(size_t size);
struct whole *whole_ref(struct whole *whole);

/* Takes NULL. */
void whole_unref(struct whole *whole);

/* A piece of a content that somebody reads. */
struct piece {
	void *buffer;        /* the reader's, of n bytes: for what is not in memory to stay */
	size_t n;            /* wanted, then got */
	const void *bytes;   /* in the buffer or in: */
	struct whole *whole; /* a reference of the reader's, or NULL */
};

#endif
