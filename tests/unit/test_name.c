/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The mapping of keys and file names, held to its promise by brute force: over
 * all short keys and all keys and paths made of a few telling pieces. Knows
 * name.h alone; separators are found here by their definition. Names over 255
 * bytes have a test of their own, test_name_long.c.
 */
#include <errno.h>

#include "tree/name.h"
#include "unit.h"

#define HEX32       "0123456789abcdef0123456789abcdef"
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define ROOM        4096 /* any key or path made here */

static void fail(int line, const char *what, const char *text, size_t len)
{
	fprintf(stderr, "%s:%d: not so: %s: \"", __FILE__, line, what);
	for (size_t i = 0; i < len; i++) {
		if (text[i] >= ' ' && text[i] <= '~')
			fputc(text[i], stderr);
		else
			fprintf(stderr, "<%02x>", (unsigned char)text[i]);
	}
	fputs("\"\n", stderr);
	abort();
}

/* As CHECK, and shows the key or path at fault. */
#define CHECK_TEXT(condition, text, len)                       \
	do {                                                   \
		if (!(condition))                              \
			fail(__LINE__, #condition, text, len); \
	} while (0)

/* The definition, word for word. */
static bool is_separator(const char *key, size_t len, size_t i)
{
	return key[i] == '/' && i > 0 && i < len - 1 && key[i - 1] != '/';
}

/* The path of a key, its parts checked on the way; its length. No component
 * made here is too long for a name. */
static size_t path_of(const char *key, size_t len, bool suffix, char path[ROOM])
{
	struct name_part part;
	size_t cursor = 0, start = 0, n = 0;
	char name[NAME_SIZE];

	while (name_next(key, len, &cursor, &part)) {
		size_t end = start;

		while (end < len && !is_separator(key, len, end))
			end++;
		CHECK_TEXT(len == 0 || part.raw == key + start, key, len);
		CHECK_TEXT(part.len == end - start, key, len);
		CHECK_TEXT(part.first == (start == 0), key, len);
		CHECK_TEXT(part.last == (end == len), key, len);
		start = end + 1;

		CHECK_TEXT(name_encode(&part, suffix && part.last, name) == 0, key, len);
		CHECK_TEXT(name[0] != '\0' && !strchr(name, '/'), key, len);
		CHECK_TEXT(strcmp(name, ".") != 0 && strcmp(name, "..") != 0, key, len);
		CHECK_TEXT(strcmp(name, ".log") != 0 || !part.first, key, len);
		CHECK_TEXT(strlen(name) <= NAME_MAX, key, len);
		n += (size_t)snprintf(path + n, ROOM - n, "%s%s", n > 0 ? "/" : "", name);
	}
	CHECK_TEXT(start == len + 1, key, len);
	return n;
}

/* The key of a path; path is cut into names at its '/'. */
static int key_of(const char *path, char key[ROOM], size_t *key_len, bool *suffix)
{
	char name[ROOM], raw[NAME_SIZE];
	size_t n = 0, raw_len;

	for (bool first = true;; first = false) {
		const char *end = strchrnul(path, '/');
		int err;

		memcpy(name, path, (size_t)(end - path));
		name[end - path] = '\0';
		err = name_decode(name, first, *end ? NAME_DIR : NAME_FILE, raw, &raw_len, suffix);
		if (err)
			return err;
		memcpy(key + n, raw, raw_len);
		n += raw_len;
		if (!*end)
			break;
		key[n++] = '/';
		path = end + 1;
	}
	*key_len = n;
	return 0;
}

/* key -> path -> key is the identity, so different keys have different paths,
 * and so have values that stand beside a directory. */
static void check_key(const char *key, size_t len)
{
	char path[ROOM], back[ROOM];
	size_t back_len;
	bool suffix;

	CHECK_TEXT(path_of(key, len, false, path) > 0, key, len);
	CHECK_TEXT(key_of(path, back, &back_len, &suffix) == 0, key, len);
	CHECK_TEXT(!suffix && back_len == len && memcmp(back, key, len) == 0, key, len);

	/* what cannot be a directory's path never has a value beside one */
	CHECK_TEXT(path_of(key, len, true, path) > 0, key, len);
	if (len == 0 || key[len - 1] == '/') {
		CHECK_TEXT(key_of(path, back, &back_len, &suffix) == -EINVAL, key, len);
		return;
	}
	CHECK_TEXT(key_of(path, back, &back_len, &suffix) == 0, key, len);
	CHECK_TEXT(suffix && back_len == len && memcmp(back, key, len) == 0, key, len);
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len >= n && strcmp(name + len - n, end) == 0;
}

/* The exceptions of the contract, generously: what may be refused. */
static bool may_be_made(const char *name, bool first, enum name_use use)
{
	char base[ROOM];

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	if (first && strcmp(name, ".log") == 0)
		return false;
	if (use == NAME_DIR)
		return !ends_in(name, "\\x2f") && !ends_in(name, NAME_VALUE_SUFFIX) &&
		       !(first && strcmp(name, "\\empty") == 0);
	if (!ends_in(name, NAME_VALUE_SUFFIX))
		return true;
	strcpy(base, name);
	base[strlen(name) - strlen(NAME_VALUE_SUFFIX)] = '\0';
	return may_be_made(base, first, NAME_DIR);
}

/* A name is a directory's iff it is that of a file whose key may stand above
 * others. */
static void check_directory_name(const char *name, bool first)
{
	char file_raw[NAME_SIZE], dir_raw[NAME_SIZE];
	size_t file_len = 0, dir_len = 0, len = strlen(name);
	bool suffix = false, dir_suffix = true;
	int file = name_decode(name, first, NAME_FILE, file_raw, &file_len, &suffix);
	int dir = name_decode(name, first, NAME_DIR, dir_raw, &dir_len, &dir_suffix);
	bool fit = file == 0 && !suffix && file_len > 0 && file_raw[file_len - 1] != '/';

	CHECK_TEXT(dir == (fit ? 0 : -EINVAL), name, len);
	CHECK_TEXT(file == 0 || !may_be_made(name, first, NAME_FILE), name, len);
	CHECK_TEXT(dir == 0 || !may_be_made(name, first, NAME_DIR), name, len);
	if (fit)
		CHECK_TEXT(!dir_suffix && dir_len == file_len &&
				   memcmp(dir_raw, file_raw, dir_len) == 0,
			   name, len);
}

/* A path is that of a key, and then reads back as it is, or is refused. */
static void check_path(const char *path, size_t len, size_t *accepted)
{
	char key[ROOM], again[ROOM];
	size_t key_len;
	bool suffix;
	int err;

	if (memchr(path, '\0', len))
		return;
	if (!strchr(path, '/')) {
		check_directory_name(path, true);
		check_directory_name(path, false);
	}
	err = key_of(path, key, &key_len, &suffix);
	CHECK_TEXT(err == 0 || err == -EINVAL, path, len);
	if (err)
		return;
	++*accepted;
	CHECK_TEXT(path_of(key, key_len, suffix, again) == len, path, len);
	CHECK_TEXT(memcmp(path, again, len) == 0, path, len);
}

struct piece {
	const char *bytes;
	size_t len;
};

#define PIECE(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}

/* Every string of up to max pieces: as a key, and as a path. */
static void check_strings_of(const struct piece *pieces, size_t count, size_t max)
{
	size_t digits[16] = {0}, depth = 0, accepted = 0;
	char text[ROOM];

	for (;;) {
		size_t len = 0, i;

		for (i = 0; i < depth; i++) {
			memcpy(text + len, pieces[digits[i]].bytes, pieces[digits[i]].len);
			len += pieces[digits[i]].len;
		}
		text[len] = '\0';
		check_key(text, len);
		check_path(text, len, &accepted);

		for (i = 0; i < depth && ++digits[i] == count; i++)
			digits[i] = 0;
		if (i == depth && ++depth > max)
			break;
	}
	CHECK(accepted > 0);
}

static void all_keys_and_paths_of_few_bytes(void)
{
	static const struct piece bytes[] = {
		PIECE("a"), PIECE("/"), PIECE("."), PIECE("\\"),
		PIECE("x"), PIECE("2"), PIECE("f"), PIECE("\0"),
	};

	check_strings_of(bytes, COUNT(bytes), 6);
}

static void all_keys_and_paths_of_slashes_and_dots(void)
{
	static const struct piece bytes[] = {PIECE("/"), PIECE("."), PIECE("a")};

	check_strings_of(bytes, COUNT(bytes), 9);
}

static void all_keys_and_paths_of_telling_pieces(void)
{
	static const struct piece pieces[] = {
		PIECE("\\x00"),
		PIECE("\\x2e"),
		PIECE("\\x2f"),
		PIECE("\\x5c"),
		PIECE("\\value"),
		PIECE("\\empty"),
		PIECE("\\long-" HEX32),
		PIECE(".log"),
		PIECE("log"),
		PIECE("value"),
		PIECE("long-" HEX32),
		PIECE("empty"),
		PIECE("."),
		PIECE("/"),
		PIECE("a"),
		PIECE("\\"),
		PIECE("x2f"),
		PIECE("x5c"),
		PIECE("\\x41"),
		PIECE("%2F"),
		PIECE("\n"),
		PIECE("\0"),
		PIECE("\xff"),
	};

	check_strings_of(pieces, COUNT(pieces), 3);
}

/* The table of the contract, spelled out. */
static void keys_read_as_the_contract_says(void)
{
	static const struct {
		struct piece key;
		const char *path;
	} same[] = {
		{PIECE("a"), "a"},
		{PIECE("a/b/c"), "a/b/c"},
		{PIECE("a b\n\xff%2F"), "a b\n\xff%2F"},
		{PIECE("a\0b"), "a\\x00b"},
		{PIECE("/"), "\\x2f"},
		{PIECE("//"), "\\x2f\\x2f"},
		{PIECE("/a"), "\\x2fa"},
		{PIECE("a/"), "a\\x2f"},
		{PIECE("a//"), "a/\\x2f"},
		{PIECE("a//b"), "a/\\x2fb"},
		{PIECE("/a/"), "\\x2fa\\x2f"},
		{PIECE("//a///b/"), "\\x2f\\x2fa/\\x2f\\x2fb\\x2f"},
		{PIECE("."), "\\x2e"},
		{PIECE(".."), "\\x2e."},
		{PIECE("..."), "..."},
		{PIECE("a/./../b"), "a/\\x2e/\\x2e./b"},
		{PIECE("./"), ".\\x2f"},
		{PIECE(".log"), "\\x2elog"},
		{PIECE(".log/a"), "\\x2elog/a"},
		{PIECE("a/.log"), "a/.log"},
		{PIECE(".logs"), ".logs"},
		{PIECE(""), "\\empty"},
		{PIECE("\\empty"), "\\x5cempty"},
		{PIECE("\\empty/a"), "\\x5cempty/a"},
		{PIECE("a/\\empty"), "a/\\empty"},
		{PIECE("\\emptya"), "\\emptya"},
		/* the full form of what shows in full form, and so on */
		{PIECE("\\x2f"), "\\x5cx2f"},
		{PIECE("\\x5cx2f"), "\\x5cx5cx2f"},
		{PIECE("\\x2f/a"), "\\x5cx2f/a"},
		{PIECE("a\\x2f"), "a\\x5cx2f"},
		{PIECE("a\\x00b"), "a\\x5cx00b"},
		{PIECE("\\x5cx00\\x5cx2f"), "\\x5cx5cx00\\x5cx5cx2f"},
		{PIECE("\\x00\\x5cvalue"), "\\x5cx00\\x5cx5cvalue"},
		{PIECE("\\x2e"), "\\x5cx2e"},
		{PIECE("\\x2e."), "\\x5cx2e."},
		{PIECE("\\x2elog"), "\\x5cx2elog"},
		{PIECE("\\x5cx2elog"), "\\x5cx5cx2elog"},
		{PIECE("\\x5cempty"), "\\x5cx5cempty"},
		{PIECE("a\\value"), "a\\x5cvalue"},
		{PIECE("C:\\temp\\value"), "C:\\x5ctemp\\x5cvalue"},
		{PIECE("\\value/a"), "\\x5cvalue/a"},
		{PIECE("a\\x5cvalue"), "a\\x5cx5cvalue"},
		{PIECE("a\\value/"), "a\\x5cvalue\\x2f"},
		{PIECE("\\\0"), "\\x5c\\x00"},
		{PIECE("C:\\a/"), "C:\\x5ca\\x2f"},
		/* anything else with a backslash shows as it is */
		{PIECE("\\"), "\\"},
		{PIECE("\\\\"), "\\\\"},
		{PIECE("C:\\temp\\x"), "C:\\temp\\x"},
		{PIECE("a\\x5cb"), "a\\x5cb"},
		{PIECE("\\x5c"), "\\x5c"},
		{PIECE("a\\x2fb"), "a\\x2fb"},
		{PIECE("-\\x2f-"), "-\\x2f-"},
		{PIECE(".x\\x2f.Ab12"), ".x\\x2f.Ab12"},
		{PIECE("a\\x2f\\x2f"), "a\\x2f\\x2f"},
		{PIECE("a\\x5cx2fb"), "a\\x5cx2fb"},
		{PIECE("\\\\x2f"), "\\\\x2f"},
		{PIECE("\\x00\\"), "\\x00\\"},
		{PIECE("\\x5cx00\\x2"), "\\x5cx00\\x2"},
		{PIECE("\\x5cx00\\x5c"), "\\x5cx00\\x5c"},
		{PIECE("\\x2esnapshots.mount"), "\\x2esnapshots.mount"},
		{PIECE("\\x2egit"), "\\x2egit"},
		{PIECE("a/\\x2elog"), "a/\\x2elog"},
		{PIECE("a\\x2e"), "a\\x2e"},
		{PIECE("\\x2e.a"), "\\x2e.a"},
		{PIECE("\\x5cempt"), "\\x5cempt"},
		{PIECE("a/\\x5cempty"), "a/\\x5cempty"},
		{PIECE("\\x2F"), "\\x2F"},
		{PIECE("\\x41"), "\\x41"},
		{PIECE("a\\values"), "a\\values"},
		{PIECE("a\\value~"), "a\\value~"},
		{PIECE("a\\long-" HEX32), "a\\long-" HEX32},
		{PIECE("\\long-" HEX32), "\\long-" HEX32},
	};
	static const char *const refused[] = {
		"",
		"a//b",
		".",
		"..",
		"./a",
		".log",
		".log/a",
		/* no directory can be called so */
		"a\\x2f/b",
		"\\x2f/b",
		"\\empty/a",
		"a\\value/b",
		/* nor a value stand beside one */
		"\\empty\\value",
		"\\value",
		"a/\\value",
		"a\\value\\value",
		"a\\x2f\\value",
		".\\value",
		".log\\value",
	};
	char path[ROOM], key[ROOM];
	size_t key_len;
	bool suffix;

	for (size_t i = 0; i < COUNT(same); i++) {
		const struct piece *want = &same[i].key;

		CHECK_TEXT(path_of(want->bytes, want->len, false, path) > 0, want->bytes,
			   want->len);
		CHECK_TEXT(strcmp(path, same[i].path) == 0, path, strlen(path));
	}
	for (size_t i = 0; i < COUNT(refused); i++)
		CHECK_TEXT(key_of(refused[i], key, &key_len, &suffix) == -EINVAL, refused[i],
			   strlen(refused[i]));

	CHECK_TEXT(path_of("a/b", 3, true, path) > 0 && strcmp(path, "a/b\\value") == 0, path, 0);
	CHECK_TEXT(path_of(".", 1, true, path) > 0 && strcmp(path, "\\x2e\\value") == 0, path, 0);
	CHECK_TEXT(path_of("\\", 1, true, path) > 0 && strcmp(path, "\\\\value") == 0, path, 0);
	CHECK_TEXT(path_of("b\\value", 7, true, path) > 0 &&
			   strcmp(path, "b\\x5cvalue\\value") == 0,
		   path, 0);
	CHECK_TEXT(path_of(".log", 4, true, path) > 0 && strcmp(path, "\\x2elog\\value") == 0, path,
		   0);
}

static void outputs_are_untouched_on_failure(void)
{
	char raw[NAME_SIZE] = "as it was";
	size_t len = 77;
	bool suffix = true;

	CHECK(name_decode("\\value", true, NAME_FILE, raw, &len, &suffix) == -EINVAL);
	CHECK_TEXT(strcmp(raw, "as it was") == 0 && len == 77 && suffix, raw, strlen(raw));
}

/* 64 KiB: a component each second byte, one of slashes, one of a backslash. */
static void largest_keys_are_cut_iteratively(void)
{
	const size_t size = 65536;
	char *key = malloc(size), name[NAME_SIZE];
	size_t cursor = 0, count = 0;
	struct name_part part;

	CHECK(key);
	for (size_t i = 0; i < size; i++)
		key[i] = i % 2 ? '/' : 'a';
	while (name_next(key, size, &cursor, &part)) {
		CHECK_TEXT(part.last == (++count == size / 2), part.raw, part.len);
		CHECK_TEXT(name_encode(&part, false, name) == 0, part.raw, part.len);
	}
	CHECK_TEXT(count == size / 2 && strcmp(name, "a\\x2f") == 0, name, strlen(name));

	for (const char *byte = "/\\a"; *byte; byte++) {
		memset(key, *byte, size);
		cursor = 0;
		CHECK(name_next(key, size, &cursor, &part));
		CHECK(part.len == size && part.first && part.last);
		CHECK(name_encode(&part, false, name) == NAME_IS_LONG);
		CHECK(!name_next(key, size, &cursor, &part));
	}
	free(key);
}

UNIT_MAIN(UNIT(keys_read_as_the_contract_says), UNIT(outputs_are_untouched_on_failure),
	  UNIT(largest_keys_are_cut_iteratively), UNIT(all_keys_and_paths_of_few_bytes),
	  UNIT(all_keys_and_paths_of_slashes_and_dots), UNIT(all_keys_and_paths_of_telling_pieces))
