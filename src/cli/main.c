/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The datawal program: the table of its commands, and what holds for all of
 * them. It must not know how any of them works.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli.h"
#include "descriptors.h"

#define SHOW  (1u << OPT_BYTES | 1u << OPT_NO_TRUNCATE)
#define LOCKS (1u << OPT_WAIT | 1u << OPT_STRICT) /* the others look behind a mount */
#define WRITE (1u << OPT_SYNC | LOCKS)

const struct command commands[] = {
	{"scan", "DIR|MOUNT", "records in segment order",
	 "An operation is one line, its time and name among them, before its records.\n"
	 "A torn tail gives exit status 2, damage 3; what lies before is printed.\n"
	 "\nExamples:\n"
	 "  datawal scan log --limit 10\n"
	 "  datawal scan log --from-segment 3 --from-offset 4096 --json\n",
	 OPTS_ALL | SHOW | 1u << OPT_LIMIT | 1u << OPT_FROM_SEGMENT | 1u << OPT_FROM_OFFSET, 1, 1,
	 cmd_scan},
	{"get", "DIR|MOUNT --key T", "the live value of a key",
	 "Writes exactly the bytes of the value. On a terminal they are shown cut to 64 and\n"
	 "with a newline, unless --raw. An absent key gives exit status 2.\n"
	 "\nExamples:\n"
	 "  v=$(datawal get log --key alpha)\n"
	 "  datawal get log --key photo.jpg > photo.jpg\n",
	 OPTS_ALL | OPTS_KEY | SHOW | 1u << OPT_RAW | 1u << OPT_VERIFY, 1, 1, cmd_get},
	{"list", "DIR|MOUNT", "live keys with the sizes of their values, in byte order",
	 "\nExamples:\n"
	 "  datawal list log\n"
	 "  datawal list log --json\n",
	 OPTS_ALL | SHOW | 1u << OPT_VERIFY, 1, 1, cmd_list},
	{"report", "DIR|MOUNT", "the recovery report, also of a damaged log",
	 "Exit status 2 for a torn tail, 3 for damage.\n"
	 "\nExamples:\n"
	 "  datawal report log\n"
	 "  datawal report log --json\n",
	 OPTS_ALL, 1, 1, cmd_report},
	{"verify", "DIR|MOUNT", "re-read every frame of every segment with its CRC",
	 "Goes on behind a damaged segment. Exit status 2 for a torn tail, 3 for damage.\n"
	 "\nExamples:\n"
	 "  datawal verify log && echo sound\n",
	 OPTS_ALL, 1, 1, cmd_verify},
	{"dump", "DIR|MOUNT|SEGMENT-FILE",
	 "the headers of frames, also of a single or damaged file",
	 "Ends at the first damage, which is told and gives exit status 3, a torn tail 0.\n"
	 "With --all it goes on with the intact records behind it, which are not part of the\n"
	 "log (also those of an operation that a crash cut short), and then with the next\n"
	 "segment. A side file is read in the same way.\n"
	 "\nExamples:\n"
	 "  datawal dump log\n"
	 "  datawal dump log/00000001.dwal.torn-4985 --all\n",
	 OPTS_ALL | 1u << OPT_ALL | 1u << OPT_LIMIT, 1, 1, cmd_dump},
	{"check", "DIR|MOUNT", "verify, the live values, what a mount would do, and a verdict",
	 "Exit status 0 when the log is sound, 2 for a torn tail, 3 for damage.\n"
	 "\nExamples:\n"
	 "  datawal check log\n",
	 OPTS_ALL, 1, 1, cmd_check},
	{"history", "DIR|MOUNT --key T", "every version of a key, in log order",
	 "Each Put and Delete of the key: where it is, its txid, and when and by what, where\n"
	 "its operation says so. Where a compaction has given up older states, the first line\n"
	 "says from which txid on it is complete. A key that never was gives exit status 2.\n"
	 "\nExamples:\n"
	 "  datawal history log --key notes/todo\n",
	 OPTS_ALL | OPTS_KEY, 1, 1, cmd_history},
	{"log", "[DIR|MOUNT]", "what was done, the newest first",
	 "One line an operation: txid, time and name, where it has them, and its records, each\n"
	 "with its key and the size of what is under it. A record that is part of none is an\n"
	 "operation of its own. A horizon is shown where a compaction has dropped records: the\n"
	 "states as of its lo up to below its hi are given up. Without DIR it is the current\n"
	 "directory.\n"
	 "\nExamples:\n"
	 "  datawal log log --limit 10\n",
	 OPTS_ALL | SHOW | 1u << OPT_LIMIT, 0, 1, cmd_log},
	{"stats", "DIR|MOUNT", "records, live and dead bytes of each segment, and keys",
	 "Live are the Puts that are some key's value; bytes are those of frames.\n"
	 "\nExamples:\n"
	 "  datawal stats log\n",
	 OPTS_ALL | 1u << OPT_VERIFY, 1, 1, cmd_stats},
	{"put", "DIR --key T --value T|--file F|-", "write a value under a key",
	 "Prints nothing unless asked with --json. DIR is created when absent. The value is\n"
	 "at most 64 MiB, the key 64 KiB.\n"
	 "\nExamples:\n"
	 "  datawal put log --key alpha --value 1\n"
	 "  datawal put log --key photo.jpg --file photo.jpg --sync\n"
	 "  date | datawal put log --key now -\n",
	 OPTS_ALL | OPTS_KEY | WRITE | 1u << OPT_VALUE | 1u << OPT_FILE, 1, 2, cmd_put},
	{"delete", "DIR --key T", "write a tombstone for a key",
	 "Also for an absent key. Prints nothing unless asked with --json.\n"
	 "\nExamples:\n"
	 "  datawal delete log --key alpha\n",
	 OPTS_ALL | OPTS_KEY | WRITE, 1, 1, cmd_delete},
	{"append", "DIR --file F|-", "append one Raw record, which has no key",
	 "Prints nothing unless asked with --json. DIR is created when absent.\n"
	 "\nExamples:\n"
	 "  echo 'user 7 logged in' | datawal append log - --sync\n",
	 OPTS_ALL | WRITE | 1u << OPT_FILE, 1, 2, cmd_append},
	{"rotate", "DIR|MOUNT", "seal the active segment and start the next one",
	 "Durable when it returns. Prints nothing unless asked with --json.\n"
	 "MOUNT is the mountpoint of a live mount of yours: its daemon does it.\n"
	 "\nExamples:\n"
	 "  datawal rotate log\n",
	 OPTS_ALL | LOCKS, 1, 1, cmd_rotate},
	{"tag", "DIR|MOUNT [NAME [WHEN]]",
	 "a name for a moment, which compaction keeps; or all of them",
	 "Without NAME lists the names, by txid. WHEN is a txid, a time with its zone such as\n"
	 "2025-11-25T12:00Z, or @ and seconds since 1970; without it, it is now. The state of\n"
	 "then can be had until the name is taken back with --remove, or is given to another\n"
	 "moment. A name is one line of UTF-8 of at most 255 bytes that begins with neither -\n"
	 "nor @ and is no moment itself. A name that is not there gives exit status 2. MOUNT is\n"
	 "the mountpoint of a live mount of yours: its daemon writes.\n"
	 "\nExamples:\n"
	 "  datawal tag log before-upgrade\n"
	 "  datawal tag log 'end of 2025' 2026-01-01T00:00Z\n"
	 "  datawal tag log --remove before-upgrade\n",
	 OPTS_ALL | WRITE | 1u << OPT_REMOVE, 1, 3, cmd_tag},
	{"export", "DIR|MOUNT OUT.jsonl", "live keys and values as JSONL ('-' for stdout)",
	 "One line {\"key_b64\":\"...\",\"value_b64\":\"...\"} a key, in byte order of keys.\n"
	 "OUT.jsonl is replaced as a whole or not at all; missing parents are made.\n"
	 "\nExamples:\n"
	 "  datawal export log backup.jsonl\n"
	 "  datawal export log - | gzip > backup.jsonl.gz\n",
	 OPTS_ALL, 2, 2, cmd_export},
	{"load", "DIR FILE.jsonl", "put every line of an export ('-' for stdin)",
	 "A file is checked first: one with a bad line puts nothing. From a pipe each line\n"
	 "is put as it comes; a bad one ends it, and the keys before it stay. DIR is created\n"
	 "when absent. Prints nothing unless asked with --json.\n"
	 "\nExamples:\n"
	 "  datawal load log backup.jsonl\n"
	 "  zcat backup.jsonl.gz | datawal load log -\n",
	 OPTS_ALL | WRITE, 2, 2, cmd_load},
	{"compact", "DIR|MOUNT [OUT]",
	 "give space back: in place, or as a fresh log of what is live",
	 "Without OUT segments are rewritten one at a time without the records that no state\n"
	 "needs which is to stay: the present, those that have a name (tag), and with --keep\n"
	 "those of an age (s, m, h, d, w, y), the latest of a size (K, M, G, T), or from a txid\n"
	 "on. Older ones are given up, which history and tag tell. Interrupted, what was\n"
	 "rewritten stays. Of a MOUNT its daemon does it, beside reading and writing, for the\n"
	 "user who mounted it and for root. A damaged segment is left as it is, which gives exit\n"
	 "status 3.\n"
	 "With OUT DIR is not changed: OUT, absent or an empty directory, becomes a log of what\n"
	 "is live only; it appears complete or not at all. A mount\n"
	 "shows of it what it shows of DIR: values, types, modes, owners, times, inode numbers,\n"
	 "extended attributes, empty directories and unfinished content. What was replaced or\n"
	 "removed is not in it, nor are other Raw records. With --values-only, or where no mount\n"
	 "has written to DIR, it is one Put a key and nothing else.\n"
	 "\nExamples:\n"
	 "  datawal compact log --keep 30d --dry-run\n"
	 "  datawal compact mnt\n"
	 "  datawal compact log log.new\n",
	 OPTS_ALL | LOCKS | 1u << OPT_KEEP | 1u << OPT_DROP_TAGS | 1u << OPT_DRY_RUN |
		 1u << OPT_VALUES_ONLY,
	 1, 2, cmd_compact},
	{"salvage", "DIR|MOUNT OUT", "every intact record of a damaged log into a fresh one",
	 "Also those behind damage, and those in side files; DIR is not changed. OUT must be\n"
	 "absent or an empty directory; it appears complete or not at all. The order stays,\n"
	 "operations stay whole with their times, txids are new. Each place that holds nothing\n"
	 "intact is a line: where it is, and what it held, if that can be told; an older value\n"
	 "of such a key is in OUT, where there is one. Exit status 0 also when something is lost.\n"
	 "\nExamples:\n"
	 "  datawal salvage log log.new\n"
	 "  datawal salvage log log.new --json | grep '\"kind\":\"lost\"'\n",
	 OPTS_ALL, 2, 2, cmd_salvage},
	{"help", "[COMMAND]", "this text, or what a command does, its options, examples",
	 "\nExamples:\n"
	 "  datawal help compact\n",
	 1u << OPT_HELP | 1u << OPT_VERSION, 0, 1, cmd_help},
	{"version", "", "the version",
	 "\nExamples:\n"
	 "  datawal version --json\n",
	 OPTS_ALL, 0, 0, cmd_version},
	{0},
};

/* Every segment takes a descriptor, and the soft limit is often 1024. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* the old limit may do as well */
}

/* A full disk or a closed pipe shows at the last write, or at close. */
static enum status close_output(enum status status)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (!fclose(stdout) && !failed)
		return status;
	complain("standard output could not be written%s%s", errno ? ": " : "",
		 errno ? strerror(errno) : "");
	return status == HARD_ERROR ? HARD_ERROR : WRONG_USE;
}

/* A copy is made without; tag looks behind a mount by itself. */
static bool may_lock(const struct args *args)
{
	if (args->command->run == cmd_compact)
		return args->operands < 2;
	return args->command->options & LOCKS;
}

static enum status run(struct args *args)
{
	char *behind = NULL;
	enum status status;

	if (!args->operands && args->command->run == cmd_log)
		args->operand[0] = ".";
	if (args->operand[0] && args->command->run != cmd_help && !may_lock(args))
		behind = log_behind(args->operand[0]);
	if (behind)
		args->operand[0] = behind;
	status = args->command->run(args);
	free(behind);
	return status;
}

int main(int argc, char **argv)
{
	static char output[1 << 16]; /* stdout's until the process ends */
	struct args args = {0};
	enum status status = DONE;

	if (standard_descriptors_hold())
		return HARD_ERROR; /* and nobody to tell */
	complain_as("datawal");
	(void)setvbuf(stdout, output, _IOFBF, sizeof(output)); /* slower without */
	(void)signal(SIGXFSZ, SIG_IGN); /* an error to be reported, as a full disk is */
	raise_descriptor_limit();
	if (args_parse(&args, argc, argv, &status) == ARGS_RUN)
		status = run(&args);
	args_release(&args);
	return close_output(status);
}
