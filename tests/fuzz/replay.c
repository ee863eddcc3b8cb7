/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *	fuzz_TARGET FILE|DIRECTORY...
 *
 * Gives a fuzz target kept inputs, where there is no libFuzzer: files, and the
 * files in directories. Prints how many there were.
 */
#include "fuzz.h"

static unsigned long runs;

static int run_file(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
	struct dwal_bytes bytes;
	char *exact;

	if (flag != FTW_F)
		return 0;
	bytes = read_file("", path);
	CHECK(bytes.data);
	exact = copy_of(bytes, false);
	free((void *)(uintptr_t)bytes.data);
	setenv("FUZZ_INPUT", path, 1); /* for who looks into a core */
	CHECK_INT(LLVMFuzzerTestOneInput((const uint8_t *)exact, bytes.len), 0);
	free(exact);
	runs++;
	return 0;
}

int main(int argc, char **argv)
{
	char path[4096];

	for (int i = 1; i < argc; i++)
		if (!realpath(argv[i], path) || nftw(path, run_file, 16, FTW_PHYS)) {
			perror(argv[i]);
			return 1;
		}
	printf("%lu inputs\n", runs);
	return 0;
}
