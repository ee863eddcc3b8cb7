/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What unit tests share: CHECK, seeded random numbers, a fresh directory, and
 * running one test or all by name. Knows nothing of the library.
 */
#ifndef UNIT_H
#define UNIT_H

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

/* Two int values that must be equal; shows both. */
#define CHECK_INT(got, wanted)                                                                     \
	do {                                                                                       \
		long long got_ = (got), wanted_ = (wanted);                                        \
		if (got_ != wanted_) {                                                             \
			fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, \
				got_, wanted_);                                                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* xorshift64*: state must not be 0. */
static inline uint64_t unit_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1d;
}

struct unit_dir {
	char path[64];
};

/* A fresh empty directory. */
static inline struct unit_dir unit_dir_make(void)
{
	struct unit_dir dir = {"/tmp/datawal-unit-XXXXXX"};

	CHECK(mkdtemp(dir.path));
	return dir;
}

static inline int unit_remove_one(const char *path, const struct stat *status, int flag,
				  struct FTW *ftw)
{
	return remove(path);
}

static inline void unit_dir_remove(struct unit_dir *dir)
{
	CHECK(nftw(dir->path, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

struct unit_test {
	const char *name;
	void (*run)(void);
};

/* Runs the tests named in argv, or all of them. */
static inline int unit_main(int argc, char **argv, const struct unit_test *tests, size_t n)
{
	int ran = 0;

	for (size_t i = 0; i < n; i++) {
		int wanted = argc < 2;

		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], tests[i].name) == 0;
		if (!wanted)
			continue;
		printf("%s\n", tests[i].name);
		fflush(stdout);
		tests[i].run();
		ran++;
	}
	return ran >= (argc < 2 ? 1 : argc - 1) ? 0 : 2; /* 2: no test of that name */
}

#define UNIT_MAIN(...)                                                               \
	int main(int argc, char **argv)                                              \
	{                                                                            \
		const struct unit_test tests[] = {__VA_ARGS__};                      \
		return unit_main(argc, argv, tests, sizeof(tests) / sizeof(*tests)); \
	}

#define UNIT(test)          \
	{                   \
#test, test \
	}

#endif
