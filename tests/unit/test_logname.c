/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Names in a log directory, and what a directory looks like by them.
 */
#include "directory.h"
#include "logname.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_segment_has_eight_digits(void)
{
	static const char *const others[] = {"",
					     ".dwal",
					     "1.dwal",
					     "0000001.dwal",
					     "000000001.dwal",
					     "0000000a.dwal",
					     "-0000001.dwal",
					     " 0000001.dwal",
					     "00000001.DWAL",
					     "00000001",
					     "00000001.dwa",
					     "00000001.dwal~",
					     "00000001.dwal.dwal-tmp",
					     "00000001.dwal.torn-7"};
	static const uint32_t ids[] = {0, 1, 9, 10, 12345678, 99999999};
	char name[LOGNAME_SIZE];
	uint32_t id;

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		logname_segment(ids[i], name);
		CHECK_INT(strlen(name), 13);
		CHECK(logname_parse_segment(name, &id) && id == ids[i]);
		CHECK(!logname_is_side_file(name) && !logname_is_temp_file(name));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		id = 7;
		CHECK(!logname_parse_segment(others[i], &id) && id == 7);
	}
}

static void a_side_file_is_known_by_its_name(void)
{
	static const char *const wanted[] = {"00000002.dwal.torn-58", "00000002.dwal.torn-58.2",
					     "00000002.dwal.torn-58.3"};

	for (unsigned n = 1; n <= 3; n++) {
		char *name = logname_side_file(2, 58, n);
		uint32_t id;

		CHECK(name && strcmp(name, wanted[n - 1]) == 0);
		CHECK(logname_is_side_file(name) && !logname_is_temp_file(name));
		CHECK(logname_parse_stem(name, &id) == name + 13 && id == 2);
		free(name);
	}
	CHECK(!logname_is_side_file("00000002.dwal.torn-58" LOGNAME_TEMP_SUFFIX));
	CHECK(!logname_is_side_file("00000002.dwal.tor-58") && !logname_is_side_file("torn-58"));
	CHECK(logname_is_temp_file("torn.1.dwal-tmp") && !logname_is_temp_file("dwal-tmp"));
}

static void make(const char *dir, const char *name)
{
	char path[128];
	const char *slash = strrchr(name, '/');

	if (slash) {
		(void)snprintf(path, sizeof(path), "%s/%.*s", dir, (int)(slash - name), name);
		CHECK(mkdir(path, 0700) == 0);
	}
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK(name[strlen(name) - 1] == '/' || mknod(path, S_IFREG | 0600, 0) == 0);
}

static void a_directory_is_looked_at_by_names(void)
{
	static const struct {
		const char *names[3];
		struct directory_look wanted;
	} cases[] = {
		{{NULL}, {false, false, false, false}},
		{{"lost+found/"}, {false, false, false, false}},
		{{"lost+found/x"}, {false, false, false, true}},
		{{"lost+found"}, {false, false, false, true}},
		{{".lock", "torn.1.dwal-tmp"}, {false, true, true, false}},
		{{".lock", "x"}, {false, true, false, true}},
		{{"x/", "1.dwal"}, {false, false, false, true}},
	};
	struct directory_look look;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct unit_dir dir = unit_dir_make();

		for (size_t k = 0; k < 3 && cases[i].names[k]; k++)
			make(dir.path, cases[i].names[k]);
		CHECK_INT(directory_look(dir.path, &look), 0);
		CHECK(memcmp(&look, &cases[i].wanted, sizeof(look)) == 0);
		CHECK_INT(directory_has_entries(AT_FDCWD, dir.path), cases[i].names[0] != NULL);
		make(dir.path, "00000007.dwal");
		CHECK(directory_look(dir.path, &look) == 0 && look.segment);
		unit_dir_remove(&dir);
		CHECK_INT(directory_look(dir.path, &look), -ENOENT);
		CHECK_INT(directory_has_entries(AT_FDCWD, dir.path), -ENOENT);
	}
}

UNIT_MAIN(UNIT(a_segment_has_eight_digits), UNIT(a_side_file_is_known_by_its_name),
	  UNIT(a_directory_is_looked_at_by_names))
