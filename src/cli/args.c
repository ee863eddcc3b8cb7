/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The command line: one table of options for all commands, each of which
 * says what it accepts; help is made from the same tables. It must not look
 * at the log.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "cli.h"
#include "keepword.h"
#include "tagname.h"

#define WAIT_DEFAULT 3 /* seconds; as lockwait= of a mount */
#define WAIT_MOST    86400
#define FIRST_OPTION 0x100 /* above every short option */

static const struct {
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
} option_table[] = {
	[OPT_HELP] = {"help", NULL, "this text"},
	[OPT_VERSION] = {"version", NULL, "the version"},
	[OPT_JSON] = {"json", NULL, "JSON, one object a line, bytes as base64, never cut"},
	[OPT_KEY] = {"key", "T", "the key, as it is"},
	[OPT_KEY_BASE64] = {"key-base64", "B", "the key in standard padded base64"},
	[OPT_KEY_HEX] = {"key-hex", "H", "the key in hexadecimal digits"},
	[OPT_VALUE] = {"value", "T", "the value, as it is"},
	[OPT_FILE] = {"file", "F", "what to write is in this file; or give - for stdin"},
	[OPT_SYNC] = {"sync", NULL, "survive a power cut, too"},
	[OPT_LIMIT] = {"limit", "N", "stop after N records, or operations"},
	[OPT_FROM_SEGMENT] = {"from-segment", "N", "begin with this segment"},
	[OPT_FROM_OFFSET] = {"from-offset", "N", "and with the record at this offset"},
	[OPT_BYTES] = {"bytes", "FORM",
		       "auto (text as it is, other bytes as b64:...), raw, base64 or hex"},
	[OPT_NO_TRUNCATE] = {"no-truncate", NULL, "do not cut fields at 64 bytes on a terminal"},
	[OPT_ALL] = {"all", NULL, "go on behind damage, with what is intact there"},
	[OPT_VALUES_ONLY] = {"values-only", NULL, "no attributes, times and empty directories"},
	[OPT_REMOVE] = {"remove", "NAME", "take this name back"},
	[OPT_KEEP] = {"keep", "WHAT", "what history stays: an age, 30d; a size, 10G; a txid"},
	[OPT_DROP_TAGS] = {"drop-tags", NULL, "keep no state for having a name"},
	[OPT_DRY_RUN] = {"dry-run", NULL, "only say what it would do"},
	[OPT_STRICT] = {"strict", NULL, "refuse a log with intact records behind a torn tail"},
	[OPT_RAW] = {"raw", NULL, "exactly the bytes of the value, nothing added"},
	[OPT_VERIFY] = {"verify", "WHAT",
			"full: every record of the log; index: not what index files tell (full)"},
	[OPT_WAIT] = {"wait", "SECONDS", "for another writer to end (3); 0: not at all"},
};
#define OPTIONS (sizeof(option_table) / sizeof(option_table[0]))

static void print_help(void)
{
	printf("Usage: datawal COMMAND DIR [OPTION]...\n"
	       "Inspect and change a log directory. DIR holds its segments, 00000001.dwal and so\n"
	       "on; where a command only looks, the mountpoint of a mount does as well.\n"
	       "\nCommands:\n");
	for (const struct command *c = commands; c->name; c++)
		printf("  %-8s %s\n", c->name, c->summary);
	printf("\nOptions, of every command:\n"
	       "  --json     %s\n"
	       "  --help     what the command does, its options, examples\n"
	       "  --version  %s\n"
	       "\nExit status: 0 success; 1 wrong use, or locked by another writer; 2 a torn\n"
	       "tail, or an absent key; 3 damage or another storage error.\n"
	       "\nExamples:\n"
	       "  datawal put log --key alpha --value 1\n"
	       "  datawal get log --key alpha\n"
	       "  datawal scan log\n"
	       "  datawal help get\n",
	       option_table[OPT_JSON].help, option_table[OPT_VERSION].help);
}

static void print_command_help(const struct command *c)
{
	printf("Usage: datawal %s%s%s [OPTION]...\n%c%s.\n", c->name, *c->usage ? " " : "",
	       c->usage, c->summary[0] >= 'a' ? c->summary[0] - 'a' + 'A' : c->summary[0],
	       c->summary + 1);
	printf("\nOptions:\n");
	for (size_t i = 0; i < OPTIONS; i++) {
		const char *argument = option_table[i].argument;

		if (i == OPT_VERSION || !(c->options & 1u << i))
			continue;
		printf("  --%s %-*s %s\n", option_table[i].name,
		       (int)(17 - strlen(option_table[i].name)), argument ? argument : "",
		       option_table[i].help);
	}
	printf("%s%s", c->help[0] == '\n' ? "" : "\n", c->help);
}

static const struct command *find_command(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static const char *name_of_command(size_t i)
{
	return commands[i].name;
}

static int no_command(const char *text)
{
	const char *near = nearest(text, name_of_command);

	complain("'%s' is not a command; %s%s%s'datawal --help' lists them", text,
		 near ? "did you mean '" : "", near ? near : "", near ? "'? " : "");
	return -EINVAL;
}

enum status cmd_help(const struct args *args)
{
	const struct command *c = args->operands ? find_command(args->operand[0]) : NULL;

	if (args->operands && !c) {
		(void)no_command(args->operand[0]);
		return WRONG_USE;
	}
	if (c)
		print_command_help(c);
	else
		print_help();
	return DONE;
}

enum status cmd_version(const struct args *args)
{
	struct json json;

	if (!args->json) {
		printf("datawal %s\n", dwal_version());
		return DONE;
	}
	json = json_line("version");
	json_text(&json, "version", dwal_version());
	json_close(&json, '}');
	return DONE;
}

static const char *command_name(const struct args *args)
{
	return args->command ? args->command->name : "";
}

/* A complaint about the command line, with the way to the help. */
__attribute__((format(printf, 2, 3))) static int misused(const struct args *args,
							 const char *format, ...)
{
	const char *name = command_name(args);
	char what[512];
	va_list list;

	va_start(list, format);
	vsnprintf(what, sizeof(what), format, list);
	va_end(list);
	complain("%s%s%s; see 'datawal %s%s--help'", name, *name ? ": " : "", what, name,
		 *name ? " " : "");
	return -EINVAL;
}

static int parse_number(const struct args *args, enum cli_option option, const char *text,
			uint64_t max, uint64_t *out)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number > max)
		return misused(args, "--%s takes a number from 0 to %llu, not '%s'",
			       option_table[option].name, (unsigned long long)max, text);
	*out = number;
	return 0;
}

static int parse_form(struct args *args, const char *text)
{
	static const char *const names[] = {"auto", "raw", "base64", "hex"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i])) {
			args->bytes = (enum bytes_form)i;
			return 0;
		}
	return misused(args, "--bytes takes auto, raw, base64 or hex, not '%s'", text);
}

static int parse_key(struct args *args, enum cli_option option, const char *text)
{
	bool good = true;

	if (args->key)
		return misused(args, "the key is given twice");
	args->key_len = strlen(text);
	args->key = malloc(args->key_len + 1);
	if (!args->key) {
		complain("out of memory");
		return -ENOMEM;
	}
	if (option == OPT_KEY_BASE64)
		good = base64_decode(text, args->key_len, args->key, &args->key_len);
	else if (option == OPT_KEY_HEX)
		good = decode_hex(text, args->key_len, args->key, &args->key_len);
	else
		memcpy(args->key, text, args->key_len);
	if (!good)
		return misused(args, "--%s: '%.64s' is not %s", option_table[option].name, text,
			       option == OPT_KEY_HEX ? "an even number of hexadecimal digits"
						     : "standard padded base64");
	if (args->key_len > DWAL_MAX_KEY)
		return misused(args, "the key is %zu bytes long, the longest is %u", args->key_len,
			       DWAL_MAX_KEY);
	return 0;
}

static int parse_verify(struct args *args, const char *text)
{
	if (!strcmp(text, "full"))
		args->verify = DWAL_VERIFY_FULL;
	else if (!strcmp(text, "index"))
		args->verify = DWAL_VERIFY_INDEX;
	else
		return misused(args, "--verify takes full or index, not '%s'", text);
	return 0;
}

static int parse_keep(struct args *args, const char *text)
{
	struct keepword word;
	struct when when;

	if (keepword_parse(text, &word))
		args->keep = (struct keep){word.is_age ? MOUNTCTL_KEEP_AGE : MOUNTCTL_KEEP_BYTES,
					   word.value};
	else if (when_parse(text, &when) && !when.by_time && when.txid)
		args->keep = (struct keep){MOUNTCTL_KEEP_TXID, when.txid};
	else
		return misused(args,
			       "--keep takes an age such as 30d or 12h, a size such as 10G, or a "
			       "txid, not '%s'",
			       text);
	return 0;
}

/* What needs no look: text as it is, and flags. */
static void take_plain(struct args *args, enum cli_option option, const char *text)
{
	if (option == OPT_VALUE)
		args->value = text;
	else if (option == OPT_FILE)
		args->file = text;
	else if (option == OPT_REMOVE)
		args->remove = text;
	args->json |= option == OPT_JSON;
	args->raw |= option == OPT_RAW;
	args->sync |= option == OPT_SYNC;
	args->all |= option == OPT_ALL;
	args->strict |= option == OPT_STRICT;
	args->no_truncate |= option == OPT_NO_TRUNCATE;
	args->drop_tags |= option == OPT_DROP_TAGS;
	args->dry_run |= option == OPT_DRY_RUN;
	args->values_only |= option == OPT_VALUES_ONLY;
}

static int take_option(struct args *args, enum cli_option option, const char *text)
{
	uint64_t number = 0;
	int ret;

	args->given |= 1u << option;
	switch (option) {
	case OPT_KEY:
	case OPT_KEY_BASE64:
	case OPT_KEY_HEX:
		return parse_key(args, option, text);
	case OPT_BYTES:
		return parse_form(args, text);
	case OPT_LIMIT:
		return parse_number(args, option, text, UINT64_MAX, &args->limit);
	case OPT_FROM_OFFSET:
		return parse_number(args, option, text, INT64_MAX, &args->from_offset);
	case OPT_FROM_SEGMENT:
		ret = parse_number(args, option, text, DWAL_MAX_SEGMENT_ID, &number);
		args->from_segment = (uint32_t)number;
		return ret;
	case OPT_WAIT:
		ret = parse_number(args, option, text, WAIT_MOST, &number);
		args->wait_seconds = (uint32_t)number;
		return ret;
	case OPT_KEEP:
		return parse_keep(args, text);
	case OPT_VERIFY:
		return parse_verify(args, text);
	default:
		take_plain(args, option, text);
	}
	return 0;
}

static int take_operand(struct args *args, const char *text)
{
	if (!args->command) {
		args->command = find_command(text);
		if (args->command)
			return 0;
		return no_command(text);
	}
	if (args->operands == args->command->max_operands)
		return misused(args, "'%s' is one operand too many", text);
	args->operand[args->operands++] = text;
	return 0;
}

static const char *name_of_option(size_t i)
{
	return i < OPTIONS ? option_table[i].name : NULL;
}

/* word is where getopt stands, which within "-xyz" is the word before. */
static int unknown_option(const struct args *args, const char *word)
{
	const char *near;

	if (optopt >= FIRST_OPTION)
		return misused(args, "'%s': the option takes no argument", word);
	if (optopt)
		return misused(args, "unknown option '-%c'", optopt);
	near = strncmp(word, "--", 2) ? NULL : nearest(word + 2, name_of_option);
	return misused(args, "unknown option '%s'%s%s%s", word, near ? "; did you mean '--" : "",
		       near ? near : "", near ? "'?" : "");
}

/* The words in the order they stand, so that options may stand anywhere,
 * before the command as well. Whether the command accepts them is seen once
 * it is known. */
static int take_words(struct args *args, int argc, char **argv)
{
	struct option longs[OPTIONS + 1] = {{0}};
	int c, ret = 0;

	for (size_t i = 0; i < OPTIONS; i++) {
		longs[i].name = option_table[i].name;
		longs[i].has_arg = option_table[i].argument ? required_argument : no_argument;
		longs[i].val = FIRST_OPTION + (int)i;
	}
	while (!ret && (c = getopt_long(argc, argv, "-:hV", longs, NULL)) != -1) {
		if (c == 1)
			ret = take_operand(args, optarg);
		else if (c == 'h' || c == 'V')
			ret = take_option(args, c == 'h' ? OPT_HELP : OPT_VERSION, NULL);
		else if (c == ':')
			ret = misused(args, "%s needs an argument", argv[optind - 1]);
		else if (c == '?')
			ret = unknown_option(args, argv[optind - 1]);
		else
			ret = take_option(args, (enum cli_option)(c - FIRST_OPTION), optarg);
	}
	while (!ret && optind < argc)
		ret = take_operand(args, argv[optind++]);
	return ret;
}

/* NAME and WHEN of a tag. */
static int check_moment(struct args *args)
{
	const char *name = args->operand[1], *when = args->operand[2];
	const char *wrong = name ? tagname_wrong(name) : NULL;

	if (args->remove && name)
		return misused(args, "--remove NAME takes no other name");
	if (wrong)
		return misused(args, "that is no name for a moment: %s", wrong);
	if (when && (!when_parse(when, &args->when) || (!args->when.by_time && !args->when.txid)))
		return misused(args,
			       "'%s' is no moment: a txid, a time with its zone such as "
			       "2025-11-25T12:00Z, or @ and seconds since 1970",
			       when);
	return 0;
}

/* Without OUT it is in place. */
static int check_compact(const struct args *args)
{
	const uint32_t of_copy = 1u << OPT_VALUES_ONLY;
	const uint32_t of_place = 1u << OPT_KEEP | 1u << OPT_DROP_TAGS | 1u << OPT_DRY_RUN |
				  1u << OPT_WAIT | 1u << OPT_STRICT;
	const bool is_copy = args->operands > 1;

	for (size_t i = 0; i < OPTIONS; i++)
		if (args->given & (is_copy ? of_place : of_copy) & 1u << i)
			return misused(args, "--%s goes %s OUT", option_table[i].name,
				       is_copy ? "without" : "with");
	return 0;
}

/* What one word alone does not show. */
static int check_words(struct args *args)
{
	const struct command *c = args->command;
	bool dash = args->operands > 1 && !strcmp(args->operand[1], "-");
	bool writes = c->options & 1u << OPT_FILE;

	for (size_t i = 0; i < OPTIONS; i++)
		if (args->given & ~c->options & 1u << i)
			return misused(args, "--%s is not an option of this command",
				       option_table[i].name);
	if (args->operands < c->min_operands)
		return misused(args, "%s is missing",
			       args->operands ? strchr(c->usage, ' ') + 1 : "DIR");
	if (args->operands && !args->operand[0][0])
		return misused(args, "DIR is empty");
	if (c->options & OPTS_KEY && !args->key)
		return misused(args, "a key is needed: --key T, --key-base64 B or --key-hex H");
	if (args->raw && args->given & (1u << OPT_JSON | 1u << OPT_BYTES))
		return misused(args, "--raw does not go with --json or --bytes");
	if (writes && args->operands > 1 && !dash)
		return misused(args, "'%s' is one operand too many", args->operand[1]);
	if (writes && !args->value + !args->file + !dash != 2)
		return misused(args, "one of %s--file F and - (stdin) must say what to write",
			       c->options & 1u << OPT_VALUE ? "--value T, " : "");
	if (c->options & 1u << OPT_KEEP)
		return check_compact(args);
	return c->options & 1u << OPT_REMOVE ? check_moment(args) : 0;
}

int args_parse(struct args *args, int argc, char **argv, enum status *status)
{
	*args = (struct args){.limit = UINT64_MAX, .wait_seconds = WAIT_DEFAULT};
	*status = WRONG_USE;
	if (take_words(args, argc, argv))
		return ARGS_STOP;
	args->cut = args->no_truncate || !isatty(STDOUT_FILENO) ? SIZE_MAX : CLI_CUT;
	if (args->given & (1u << OPT_HELP | 1u << OPT_VERSION)) {
		*status = DONE;
		if (args->given & 1u << OPT_VERSION)
			(void)cmd_version(args);
		else if (args->command)
			print_command_help(args->command);
		else
			print_help();
		return ARGS_STOP;
	}
	if (!args->command) {
		misused(args, "no command given");
		return ARGS_STOP;
	}
	return check_words(args) ? ARGS_STOP : ARGS_RUN;
}

void args_release(struct args *args)
{
	free(args->key);
}
