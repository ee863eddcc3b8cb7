/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Keys and names: each key has one path, which gives the key again; each name
 * that can be made reads back as it was written.
 */
#include <errno.h>

#include "fuzz.h"
#include "tree/name.h"

static void check_name(const char *name, bool first)
{
	CHECK(name[0] && strlen(name) <= NAME_MAX && !strchr(name, '/'));
	CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	CHECK(!first || strcmp(name, ".log") != 0);
}

/* A component shows as a name that is its own. True: in the long form. */
static bool check_part(const struct name_part *part, bool value)
{
	char name[NAME_SIZE], raw[NAME_SIZE];
	size_t len;
	bool is_value, is_long = name_encode(part, value, name) == NAME_IS_LONG;
	bool no_directory = !part->len || part->raw[part->len - 1] == '/';

	check_name(name, part->first);
	if (is_long) {
		CHECK(strstr(name, "\\long-") && strlen(name) >= 252);
		return true;
	}
	if (value && no_directory) { /* what cannot be a directory's path has none beside it */
		CHECK_INT(name_decode(name, part->first, NAME_FILE, raw, &len, &is_value), -EINVAL);
		return false;
	}
	CHECK_INT(name_decode(name, part->first, NAME_FILE, raw, &len, &is_value), 0);
	CHECK(is_value == value && len == part->len && memcmp(raw, part->raw, len) == 0);
	if (!value && !no_directory) {
		CHECK_INT(name_decode(name, part->first, NAME_DIR, raw, &len, &is_value), 0);
		CHECK(!is_value && len == part->len && memcmp(raw, part->raw, len) == 0);
	}
	return false;
}

static void check_key(struct dwal_bytes bytes)
{
	char *key = copy_of(bytes, false);
	size_t cursor = 0, joined = 0;
	struct name_part part = {0};

	while (name_next(key, bytes.len, &cursor, &part)) {
		CHECK(part.raw == key + joined || !bytes.len);
		CHECK_INT(part.first, joined == 0);
		CHECK(part.len || !bytes.len);
		joined += part.len + !part.last;
		(void)check_part(&part, false);
		(void)check_part(&part, true);
	}
	CHECK(part.last && joined == bytes.len);
	free(key);
}

/* A name made by a program. */
static void check_making(struct dwal_bytes bytes, bool first, enum name_use use)
{
	char *name = copy_of(bytes, true), back[NAME_SIZE], raw[NAME_SIZE];
	size_t len = 0;
	bool value = false;
	int rc = name_decode(name, first, use, raw, &len, &value);

	CHECK_INT(rc == -ENAMETOOLONG, strlen(name) > NAME_MAX);
	CHECK(rc == 0 || rc == -ENAMETOOLONG || rc == -EINVAL);
	if (rc == 0 && !strchr(name, '/')) {
		const struct name_part part = {raw, len, first, true};

		CHECK_INT(name_encode(&part, value, back), 0);
		CHECK(strcmp(back, name) == 0);
		CHECK(use == NAME_FILE || !value);
	}
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint64_t how = take_number(&input, 1), times = how >> 2 & 31;
	struct dwal_bytes bytes = take_bytes(&input, input.left);

	check_key(bytes);
	if (times > 1 && bytes.len * times <= DWAL_MAX_KEY) { /* long ones are hard to find */
		char *many = malloc(bytes.len * times + 1);

		CHECK(many);
		for (size_t i = 0; i < times; i++)
			memcpy(many + i * bytes.len, bytes.data, bytes.len);
		check_key((struct dwal_bytes){many, bytes.len * times});
		free(many);
	}
	check_making(bytes, how & 1, how & 2 ? NAME_DIR : NAME_FILE);
	return 0;
}
