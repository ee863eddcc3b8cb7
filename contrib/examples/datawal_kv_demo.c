/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * datawal_kv_demo DIR: writes, overwrites and deletes keys of a store, makes
 * that durable and lists what is live.
 */
/* README begin */
#include <datawal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int put(dwal_kv *kv, const char *key, const char *value)
{
	return dwal_kv_put(kv, key, strlen(key), value, strlen(value));
}

static int change(dwal_kv *kv)
{
	int err;

	if ((err = put(kv, "colour", "red")) || (err = put(kv, "shape", "round")) ||
	    (err = put(kv, "colour", "blue")) || (err = dwal_kv_delete(kv, "shape", 5)) ||
	    (err = put(kv, "size", "")))
		return err;
	return dwal_kv_sync(kv); /* once this is 0, it survives a power cut */
}

static int list(dwal_kv *kv, struct dwal_error *error)
{
	dwal_cursor *cursor = NULL;
	struct dwal_item item;
	int err = dwal_kv_cursor(kv, &cursor);

	while (!err && dwal_cursor_next(cursor, &item) == 0) {
		void *value;
		size_t len;

		err = dwal_kv_get(kv, item.key.data, item.key.len, &value, &len, error);
		if (!err) {
			printf("%.*s = '%.*s'\n", (int)item.key.len, (const char *)item.key.data,
			       (int)len, (const char *)value);
			free(value);
		}
	}
	dwal_cursor_close(cursor);
	return err;
}

int main(int argc, char **argv)
{
	struct dwal_error error;
	dwal_kv *kv;

	if (argc != 2) {
		fprintf(stderr, "usage: datawal_kv_demo DIR\n");
		return 1;
	}
	if (dwal_kv_open(argv[1], NULL, &kv, &error)) {
		fprintf(stderr, "%s\n", error.message);
		return 1;
	}
	int err = change(kv);
	if (!err)
		err = list(kv, &error);
	if (err)
		fprintf(stderr, "%s\n", dwal_strerror(err));
	return dwal_kv_close(kv) || err ? 1 : 0;
}
/* README end */
