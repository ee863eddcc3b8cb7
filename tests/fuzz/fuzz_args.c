/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The command line: any words, in a directory of their own. Whatever they are,
 * the exit status is one that the help names, each line of stderr is the
 * program's, wrong use and commands that only look change nothing, and what was
 * put is there.
 *
 * The input: a byte for what is in the directory, words that end in LF up to a
 * NUL, then the content of stdin and of the file "in". A word cannot hold a
 * '/', but in a key or value, so that nothing outside is reached.
 */
#include <errno.h>
#include <getopt.h>
#include <sys/mman.h>

#include "../../src/cli/cli.h"
#include "fuzz.h"

#define WORDS 12

int datawal_main(int argc, char **argv);

/* What main.c calls instead of fclose(3): there is one stdout for all runs. */
int fuzz_fclose(FILE *file);
int fuzz_fclose(FILE *file)
{
	int rc = fflush(file);

	clearerr(file);
	return rc;
}

struct words {
	int argc;
	char *argv[WORDS + 2];
};

static void harmless(char *word)
{
	if (strncmp(word, "--key=", 6) == 0 || strncmp(word, "--value=", 8) == 0)
		return;
	for (char *p = word; (p = strchr(p, '/'));)
		*p = '_';
}

static void take_words(struct input *input, struct words *words)
{
	const uint8_t *end = input->left ? memchr(input->at, '\0', input->left) : NULL;
	size_t len = end ? (size_t)(end - input->at) : input->left;
	struct dwal_bytes all = take_bytes(input, len);
	char *text = copy_of(all, true), *rest = text, *word;

	(void)take_number(input, end != NULL);
	words->argv[words->argc++] = strdup("datawal");
	while (words->argc <= WORDS && rest && *rest) {
		word = strsep(&rest, "\n");
		harmless(word);
		words->argv[words->argc++] = strdup(word);
	}
	free(text);
}

static void release(struct words *words)
{
	for (int i = 0; i < words->argc; i++)
		free(words->argv[i]);
}

/* ------------------------------------------------------------------------
 * Where it runs
 */

static void make_log(const char *name, bool damaged)
{
	dwal_kv *kv;

	CHECK_INT(dwal_kv_open(name, NULL, &kv, NULL), 0);
	CHECK_INT(dwal_kv_put(kv, "alpha", 5, "1", 1), 0);
	CHECK_INT(dwal_kv_put(kv, "\0\n", 2, "two\n", 4), 0);
	CHECK_INT(dwal_kv_rotate(kv), 0);
	CHECK_INT(dwal_kv_delete(kv, "alpha", 5), 0);
	CHECK_INT(dwal_kv_close(kv), 0);
	if (damaged)
		CHECK_INT(truncate("log/00000001.dwal", 40), 0);
}

static bool is_damaged(uint64_t kind)
{
	return kind % 8 == 7;
}

static void make_place(uint64_t kind, struct dwal_bytes content)
{
	CHECK_INT(chdir(scratch_dir("place")), 0);
	CHECK_INT(mkdir("work", 0700), 0);
	CHECK_INT(chdir("work"), 0);
	write_file(".", "in", content);
	if (kind % 8 == 0)
		return;
	if (kind % 8 == 1)
		CHECK_INT(mkdir("log", 0700), 0);
	else
		make_log("log", is_damaged(kind));
}

static uint32_t seen;

static int add_file(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
	uint32_t one = dwal_crc32c(0, path, strlen(path));

	if (flag == FTW_F && strcmp(path + ftw->base, ".lock") != 0) {
		struct dwal_bytes bytes = read_file("..", path + 3);

		CHECK(bytes.data);
		one = dwal_crc32c(one, bytes.data, bytes.len);
		free((void *)(uintptr_t)bytes.data);
		seen += one;
	} else if (flag == FTW_D) {
		seen += one;
	}
	return 0;
}

/* Of all names and contents there; a lock file means nothing. */
static uint32_t digest(void)
{
	seen = 0;
	CHECK_INT(nftw("../work", add_file, 16, FTW_PHYS), 0);
	return seen;
}

/* ------------------------------------------------------------------------
 * Running it
 */

static int memory_file(struct dwal_bytes content)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(write(fd, content.data, content.len), (long long)content.len);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Its standard descriptors, and what they were. */
struct standard {
	int saved[3], used[3];
};

static struct standard redirect(struct dwal_bytes input)
{
	struct standard standard;

	fflush(stdout);
	for (int fd = 0; fd < 3; fd++) {
		standard.saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		standard.used[fd] = memory_file(fd ? (struct dwal_bytes){0} : input);
		CHECK(standard.saved[fd] >= 0 && dup2(standard.used[fd], fd) == fd);
	}
	clearerr(stdin);
	return standard;
}

/* Gives what was written to stderr, to be freed. */
static char *restore(struct standard *standard)
{
	off_t len = (fflush(stdout), lseek(standard->used[2], 0, SEEK_END));
	char *text = calloc(1, (size_t)len + 1);

	CHECK(text && pread(standard->used[2], text, (size_t)len, 0) == len);
	for (int fd = 0; fd < 3; fd++) {
		CHECK(dup2(standard->saved[fd], fd) == fd);
		close(standard->saved[fd]);
		close(standard->used[fd]);
	}
	return text;
}

static void check_lines(const char *text, unsigned most)
{
	unsigned lines = 0;

	for (; *text; text = strchr(text, '\n') + 1, lines++)
		CHECK(strncmp(text, "datawal: ", 9) == 0 && strchr(text, '\n'));
	CHECK(lines <= most);
}

/* What is understood of the words, and what is said when nothing is. */
static int parse(const struct words *words, struct args *args, enum status *status)
{
	struct standard standard = redirect((struct dwal_bytes){0});
	char *argv[WORDS + 2], *text;
	int rc;

	memcpy(argv, words->argv, sizeof(argv)); /* getopt(3) permutes them */
	optind = 0;
	complain_as("datawal");
	rc = args_parse(args, words->argc, argv, status);
	text = restore(&standard);
	check_lines(text, 1);
	CHECK_INT(!*text, rc == ARGS_RUN || *status == DONE);
	free(text);
	return rc;
}

static bool only_looks(const struct args *args)
{
	static const char *const readers[] = {"scan",   "get",   "list",  "report",
					      "verify", "dump",  "check", "history",
					      "log",    "stats", "help",  "version"};

	for (size_t i = 0; i < COUNT(readers); i++)
		if (strcmp(args->command->name, readers[i]) == 0)
			return true;
	return false;
}

static void check_put(const struct args *args)
{
	const struct dwal_options options = {.read_only = true};
	size_t len;
	void *value;
	dwal_kv *kv;

	if (strcmp(args->command->name, "put") != 0 || !args->value)
		return;
	CHECK_INT(dwal_kv_open(args->operand[0], &options, &kv, NULL), 0);
	CHECK_INT(dwal_kv_get(kv, args->key, args->key_len, &value, &len, NULL), 0);
	CHECK(len == strlen(args->value) && memcmp(value, args->value, len) == 0);
	free(value);
	CHECK_INT(dwal_kv_close(kv), 0);
}

static void check_place(const char *name, bool damaged)
{
	const struct dwal_options options = {.read_only = true};
	dwal_kv *kv;
	int rc = dwal_kv_open(name, &options, &kv, NULL);

	CHECK_INT(rc, damaged ? DWAL_ECORRUPT : access(name, F_OK) ? -ENOENT : 0);
	if (rc == 0)
		CHECK_INT(dwal_kv_close(kv), 0);
}

static void run(struct words *words, struct dwal_bytes content, bool damaged)
{
	struct args args = {0};
	enum status parsed;
	bool runs = parse(words, &args, &parsed) == ARGS_RUN;
	uint32_t before = digest();
	struct standard standard = redirect(content);
	int status;
	char *text;

	optind = 0;
	status = datawal_main(words->argc, words->argv);
	text = restore(&standard);
	CHECK(status >= DONE && status <= HARD_ERROR);
	check_lines(text, runs ? 1000 : 1);
	CHECK(status == DONE || *text || (runs && status == RECOVERABLE));
	if (!runs)
		CHECK_INT(status, parsed);
	if (!runs || only_looks(&args) ||
	    (status == WRONG_USE && strcmp(args.command->name, "load") != 0))
		CHECK(digest() == before);
	if (runs && status == DONE)
		check_put(&args);
	check_place("log", damaged);
	free(text);
	args_release(&args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint64_t kind = take_number(&input, 1);
	struct words words = {0};
	struct dwal_bytes content;

	take_words(&input, &words);
	content = take_bytes(&input, input.left);
	make_place(kind, content);
	run(&words, content, is_damaged(kind));
	release(&words);
	CHECK_INT(chdir("/"), 0);
	return 0;
}
