/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "component.h"

size_t component_end(const void *key, size_t key_len, size_t start)
{
	const char *bytes = key;
	size_t end = start;

	/* A '/' that follows another, or opens the key, belongs to the component. */
	while (end < key_len && bytes[end] == '/')
		end++;
	while (end < key_len && bytes[end] != '/')
		end++;
	return end + 1 >= key_len ? key_len : end; /* also over a '/' that ends the key */
}
