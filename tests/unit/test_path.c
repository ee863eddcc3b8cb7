/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Paths: their parts, and what they resolve to where they are yet to be made.
 */
#include "path.h"
#include "unit.h"

#include <errno.h>
#include <unistd.h>

static void a_parent_is_what_stands_before_the_last_component(void)
{
	static const char *const cases[][2] = {
		{"a/b", "a"},       {"b", "."},  {"/b", "/"},    {"a/b/", "a"}, {"a//b//", "a"},
		{"//b", "/"},       {"/", "/"},  {"//", "/"},    {"", "."},     {".", "."},
		{"/a/b/c", "/a/b"}, {"b/", "."}, {"../b", ".."}, {"a/..", "a"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *parent = path_parent(cases[i][0]);

		CHECK(parent);
		if (strcmp(parent, cases[i][1]))
			fprintf(stderr, "of '%s': '%s'\n", cases[i][0], parent);
		CHECK(strcmp(parent, cases[i][1]) == 0);
		free(parent);
	}
}

/* wanted: behind the directory, which holds d, l -> d, gone -> nowhere, loop -> loop
 * and the file f; or the errno. */
static void what_is_absent_resolves_by_what_is_there(void)
{
	static const struct {
		const char *path, *wanted;
		int error;
	} cases[] = {
		{"d", "/d", 0},
		{"l", "/d", 0},
		{"new", "/new", 0},
		{"l/new", "/d/new", 0},
		{"l//new//", "/d/new", 0},
		{"a/b/c", "/a/b/c", 0},
		{"l/../new", "/new", 0},
		{"./new", "/new", 0},
		{"gone", "/gone", 0},
		{"a/.", NULL, ENOENT},
		{"a/..", NULL, ENOENT},
		{"a/../b", NULL, ENOENT},
		{"", NULL, ENOENT},
		{"loop/x", NULL, ELOOP},
		{"f/x", NULL, ENOTDIR},
		{"...", "/...", 0},
	};
	struct unit_dir dir = unit_dir_make();
	char *real = realpath(dir.path, NULL);

	CHECK(real && chdir(real) == 0);
	CHECK(symlink("d", "l") == 0 && symlink("nowhere", "gone") == 0);
	CHECK(symlink("loop", "loop") == 0 && mkdir("d", 0700) == 0);
	CHECK(mknod("f", S_IFREG | 0600, 0) == 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *path = path_resolve(cases[i].path);

		if (!path && !cases[i].wanted)
			CHECK_INT(errno, cases[i].error);
		CHECK(!path == !cases[i].wanted);
		CHECK(!path || strncmp(path, real, strlen(real)) == 0);
		CHECK(!path || strcmp(path + strlen(real), cases[i].wanted) == 0);
		free(path);
	}
	free(real);
	unit_dir_remove(&dir);
	real = path_resolve("/no-such-directory/new");
	CHECK(real && strcmp(real, "/no-such-directory/new") == 0);
	free(real);
}

static void within_is_by_whole_components(void)
{
	CHECK(path_is_within("/a/b", "/a") && path_is_within("/a", "/a"));
	CHECK(path_is_within("/a", "/") && path_is_within("/", "/"));
	CHECK(!path_is_within("/ab", "/a") && !path_is_within("/", "/a"));
	CHECK(!path_is_within("/a", "/a/b"));
}

UNIT_MAIN(UNIT(a_parent_is_what_stands_before_the_last_component),
	  UNIT(what_is_absent_resolves_by_what_is_there), UNIT(within_is_by_whole_components))
