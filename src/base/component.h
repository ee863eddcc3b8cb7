/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Where a key is cut into the components of a path: fuse/tree/name.h says why
 * there. Pure.
 */
#ifndef COMPONENT_H
#define COMPONENT_H

#include <stddef.h>

/* The end of the component that begins at start: key_len, or the index of the
 * separator, behind which the next one begins. The bytes before it are the key
 * of a directory. */
size_t component_end(const void *key, size_t key_len, size_t start);

#endif
