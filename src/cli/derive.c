/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * export and compact: what is made from the live keys. They take no lock on
 * the source and do not change it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t caught; /* the signal that interrupts, or 0 */

/* Makes the next write to a file fail, so that the library removes what it
 * has begun, as it does on a full disk. A second signal kills. */
static void interrupt(int signal_number)
{
	const int saved = errno;
	struct rlimit limit;

	caught = signal_number;
	if (!getrlimit(RLIMIT_FSIZE, &limit)) {
		limit.rlim_cur = 0;
		(void)setrlimit(RLIMIT_FSIZE, &limit); /* lowering is always allowed */
	}
	errno = saved;
}

/* limit is what the interruption changes, for not_made(). */
static void catch_signals(struct rlimit *limit)
{
	const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction action = {.sa_handler = interrupt,
					 .sa_flags = SA_RESETHAND | SA_RESTART};
	struct sigaction old;

	(void)getrlimit(RLIMIT_FSIZE, limit); /* valid arguments: cannot fail, as below */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
}

static enum status not_made(const char *target, int code, const struct dwal_error *error,
			    const struct rlimit *limit)
{
	if (!caught)
		return fail(target, code, error);
	(void)setrlimit(RLIMIT_FSIZE, limit); /* standard error may be a file */
	complain("interrupted: %s was not made", target);
	(void)raise(caught); /* the default action again */
	return WRONG_USE;
}

/* A pipe or a device cannot be replaced by a file, and must not. */
static bool is_stream(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int export_to_stream(dwal_kv *kv, const char *path, struct dwal_error *error)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = dwal_kv_export_jsonl_fd(kv, fd, error);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

static enum status export_store(const struct args *args, dwal_kv *kv)
{
	const char *path = args->operand[1];
	const bool to_stdout = !strcmp(path, "-");
	struct dwal_error error = {0};
	struct rlimit limit;
	int ret;

	if (to_stdout) {
		ret = dwal_kv_export_jsonl_fd(kv, STDOUT_FILENO, &error);
	} else if (is_stream(path)) {
		ret = export_to_stream(kv, path, &error);
	} else {
		catch_signals(&limit);
		ret = dwal_kv_export_jsonl(kv, path, &error);
	}
	if (ret)
		return not_made(path, ret, &error, &limit);
	if (args->json && !to_stdout) {
		json_begin("export");
		json_number("live_keys", dwal_kv_len(kv));
		json_end();
	}
	return DONE;
}

enum status cmd_export(const struct args *args)
{
	dwal_kv *kv;
	enum status status = open_store(args, &kv);

	if (status != DONE)
		return status;
	status = export_store(args, kv);
	(void)dwal_kv_close(kv); /* nothing was written through it */
	return status;
}

static enum status compact_store(const struct args *args, dwal_kv *kv)
{
	struct dwal_compact_stats stats;
	struct dwal_error error = {0};
	struct rlimit limit;
	int ret;

	catch_signals(&limit);
	ret = dwal_kv_compact_to(kv, args->operand[1], &stats, &error);
	if (ret)
		return not_made(args->operand[1], ret, &error, &limit);
	if (args->json) {
		json_begin("compact");
		json_number("live_keys", stats.live_keys);
		json_number("records_written", stats.records_written);
		json_number("bytes_written", stats.bytes_written);
		json_end();
		return DONE;
	}
	printf("live keys        %llu\n", (unsigned long long)stats.live_keys);
	printf("records written  %llu\n", (unsigned long long)stats.records_written);
	printf("bytes written    %llu\n", (unsigned long long)stats.bytes_written);
	return DONE;
}

enum status cmd_compact(const struct args *args)
{
	dwal_kv *kv;
	enum status status = refuse_mount(args->operand[1]);

	if (status == DONE)
		status = open_store(args, &kv);
	if (status != DONE)
		return status;
	status = compact_store(args, kv);
	(void)dwal_kv_close(kv); /* nothing was written through it */
	return status;
}
