/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Parsing of the command line: one table says what each mount option means.
 * Must not look at the file system.
 */
#include "mount/options.h"

#include "complain.h"
#include "keepword.h"

#include <errno.h>
#include <fuse_opt.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind {
	DROP, /* for mount(8) and fstab, not for us */
	PASS, /* for libfuse and the kernel */
	REFUSE,
	REMOUNT_ONLY, /* its name is kept at the offset */
	TURN_ON,      /* the bool at the offset, and so on */
	TURN_ON_AND_PASS,
	TURN_OFF,
	NUMBER,
	SECONDS, /* kept in milliseconds */
	BYTES,
	ID,
	OCTAL,
	HISTORY,
	VERIFY,
};

struct known {
	const char *name; /* a value follows a final '=', anything a final '-' */
	enum kind kind;
	size_t offset; /* in struct request */
	uint64_t least, most;
};

#define AT(field) offsetof(struct request, fs.field)
#define OF(field) offsetof(struct request, field)

#define KEY_NAMESPACE 1 /* to fuse_opt_parse() */

static const struct known known[] = {
	{"ro", TURN_ON, AT(read_only), 0, 0},
	{"rw", TURN_OFF, AT(read_only), 0, 0},
	{"create", TURN_ON, AT(create), 0, 0},
	{"strict", TURN_ON, AT(strict), 0, 0},
	{"degraded", TURN_ON, AT(degraded), 0, 0},
	{"sync", TURN_ON, AT(sync), 0, 0},
	{"async", TURN_OFF, AT(sync), 0, 0},
	{"noclock", TURN_ON, AT(noclock), 0, 0},
	{"noxattr", TURN_ON, AT(noxattr), 0, 0},
	{"showlog", TURN_ON, AT(showlog), 0, 0},
	{"hidelog", TURN_OFF, AT(showlog), 0, 0},
	{"commit=", NUMBER, AT(commit_seconds), 1, 86400},
	{"lockwait=", SECONDS, AT(lock_wait_ms), 0, 86400},
	{"segment_size=", BYTES, AT(segment_size), 1, (uint64_t)1 << 62},
	{"renamelimit=", BYTES, AT(rename_limit), 0, (uint64_t)1 << 62},
	{"staging=", BYTES, AT(stage_limit), 1, (uint64_t)1 << 62},
	{"history=", HISTORY, AT(history), 0, 0},
	{"verify=", VERIFY, AT(verify), 0, 0},
	{"uid=", ID, AT(uid), 0, UINT32_MAX - 1},
	{"gid=", ID, AT(gid), 0, UINT32_MAX - 1},
	{"umask=", OCTAL, AT(umask), 0, 0777},
	{"max_read=", NUMBER, AT(max_read), 4096, UINT32_MAX},
	{"nonempty", TURN_ON, OF(nonempty), 0, 0},
	{"setid", TURN_ON, OF(setid), 0, 0},
	{"devices", TURN_ON, OF(devices), 0, 0},
	{"nosuid", TURN_ON, OF(nosuid), 0, 0},
	{"nodev", TURN_ON, OF(nodev), 0, 0},
	{"noexec", TURN_ON, OF(noexec), 0, 0},
	{"exec", TURN_OFF, OF(noexec), 0, 0},
	{"remount", TURN_ON, OF(remount), 0, 0},

	{"allow_other", TURN_ON_AND_PASS, OF(others), 0, 0},
	{"allow_root", TURN_ON_AND_PASS, OF(others), 0, 0},
	{"auto_unmount", TURN_ON_AND_PASS, OF(auto_unmount), 0, 0},
	{"default_permissions", TURN_ON, OF(permissions), 0, 0},
	{"fsname=", PASS, 0, 0, 0},
	{"subtype=", PASS, 0, 0, 0},
	{"noatime", TURN_ON_AND_PASS, AT(noatime), 0, 0},
	{"dirsync", PASS, 0, 0, 0},

	{"suid", DROP, 0, 0, 0}, /* mount.fuse3 adds both for whoever types neither */
	{"dev", DROP, 0, 0, 0},
	{"atime", DROP, 0, 0, 0},
	{"diratime", TURN_OFF, AT(nodiratime), 0, 0},
	{"nodiratime", TURN_ON, AT(nodiratime), 0, 0}, /* libfuse does not know it */
	{"relatime", DROP, 0, 0, 0},                   /* what we do anyway */
	{"norelatime", DROP, 0, 0, 0},
	{"nostrictatime", DROP, 0, 0, 0},
	{"lazytime", DROP, 0, 0, 0}, /* a time that reading gives is in memory only */
	{"nolazytime", DROP, 0, 0, 0},
	{"iversion", DROP, 0, 0, 0},
	{"noiversion", DROP, 0, 0, 0},
	{"silent", DROP, 0, 0, 0},
	{"loud", DROP, 0, 0, 0},
	{"mand", DROP, 0, 0, 0}, /* kernels have no mandatory locks any more */
	{"nomand", DROP, 0, 0, 0},
	{"auto", DROP, 0, 0, 0},
	{"noauto", DROP, 0, 0, 0},
	{"nofail", DROP, 0, 0, 0},
	{"_netdev", DROP, 0, 0, 0},
	{"defaults", DROP, 0, 0, 0},
	{"user", DROP, 0, 0, 0},
	{"user=", DROP, 0, 0, 0},
	{"users", DROP, 0, 0, 0},
	{"nouser", DROP, 0, 0, 0},
	{"owner", DROP, 0, 0, 0},
	{"group", DROP, 0, 0, 0},
	{"comment=", DROP, 0, 0, 0},
	{"x-", DROP, 0, 0, 0},

	/* how the kernel shows a mount, and mount(8) gives it back to a remount */
	{"user_id=", REMOUNT_ONLY, OF(shown), 0, 0},
	{"group_id=", REMOUNT_ONLY, OF(shown), 0, 0},

	{"strictatime", REFUSE, 0, 0, 0},
};

static const struct known *find_known(const char *word)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t len = strlen(known[i].name);
		char last = known[i].name[len - 1];

		if (last == '=' || last == '-' ? strncmp(word, known[i].name, len) == 0
					       : strcmp(word, known[i].name) == 0)
			return &known[i];
	}
	return NULL;
}

/* Digits and nothing else; false also beyond 64 bits. */
static bool parse_digits(const char *text, int base, uint64_t *out, char **end)
{
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*out = strtoull(text, end, base);
	return errno == 0;
}

static bool parse_number(const struct known *option, const char *text, uint64_t *out)
{
	uint64_t unit = 1, n;
	char *end;

	if (!parse_digits(text, option->kind == OCTAL ? 8 : 10, &n, &end))
		return false;
	if (option->kind == BYTES && *end) {
		const char *suffix = strchr("KMG", *end);

		if (!suffix)
			return false;
		unit = (uint64_t)1 << (10 * (suffix - "KMG" + 1));
		end++;
	}
	if (*end || n > option->most / unit || n * unit < option->least)
		return false;
	*out = n * unit;
	return true;
}

static int complain_value(const struct known *option, const char *word)
{
	if (option->kind == OCTAL)
		complain("bad value in option '%s': an octal number up to 777 is needed", word);
	else if (option->kind == BYTES)
		complain("bad value in option '%s': a number of bytes is needed, with K, M or G "
			 "if you like",
			 word);
	else
		complain("bad value in option '%s': a number from %" PRIu64 " to %" PRIu64
			 " is needed",
			 word, option->least, option->most);
	return -1;
}

static int set_value(const struct known *option, const char *word, void *field)
{
	uint64_t value;

	if (!parse_number(option, word + strlen(option->name), &value))
		return complain_value(option, word);
	if (option->kind == BYTES)
		*(uint64_t *)field = value;
	else if (option->kind == SECONDS)
		*(uint32_t *)field = (uint32_t)value * 1000;
	else
		*(uint32_t *)field = (uint32_t)value;
	return 0;
}

static int set_history(const char *word, const char *value, struct history_limit *out)
{
	static const struct {
		const char *name;
		struct history_limit limit;
	} words[] = {{"auto", {HISTORY_AUTO, 0}},
		     {"all", {HISTORY_ALL, 0}},
		     {"none", {HISTORY_NONE, 0}}};
	struct keepword keep;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(value, words[i].name) == 0) {
			*out = words[i].limit;
			return 0;
		}
	}
	if (!keepword_parse(value, &keep)) {
		complain("bad value in option '%s': auto, all, none, a size such as 10G or an "
			 "age such as 30d is needed",
			 word);
		return -1;
	}
	*out = (struct history_limit){keep.is_age ? HISTORY_AGE : HISTORY_BYTES, keep.value};
	return 0;
}

static int set_verify(const char *word, const char *value, enum dwal_verify *out)
{
	if (strcmp(value, "full") == 0)
		*out = DWAL_VERIFY_FULL;
	else if (strcmp(value, "index") == 0)
		*out = DWAL_VERIFY_INDEX;
	else {
		complain("bad value in option '%s': full or index is needed", word);
		return -1;
	}
	return 0;
}

_Static_assert(sizeof(uid_t) == 4 && sizeof(gid_t) == 4 && sizeof(mode_t) == 4,
	       "set_value() writes them as 32 bits");

static int take_option(struct request *request, const char *word)
{
	const struct known *option = find_known(word);
	void *field = option ? (char *)request + option->offset : NULL;

	if (*word == '\0') /* "a,,b": as mount(8) takes it */
		return 0;
	if (!option) {
		complain("unknown option '%s' (datawalfs --help lists them)", word);
		return -1;
	}
	switch (option->kind) {
	case DROP:
		return 0;
	case PASS:
		return fuse_opt_add_opt_escaped(&request->passed, word);
	case REFUSE:
		complain("option '%s' is not supported: the kernel answers reads from its cache, "
			 "and datawalfs does not see them",
			 word);
		return -1;
	case REMOUNT_ONLY:
		*(const char **)field = option->name;
		return 0;
	case TURN_ON_AND_PASS:
		*(bool *)field = true;
		return fuse_opt_add_opt_escaped(&request->passed, word);
	case TURN_ON:
	case TURN_OFF:
		*(bool *)field = option->kind == TURN_ON;
		return 0;
	case HISTORY:
		return set_history(word, word + strlen(option->name), field);
	case VERIFY:
		return set_verify(word, word + strlen(option->name), field);
	default:
		return set_value(option, word, field);
	}
}

static int take_switch(struct request *request, const char *word)
{
	static const char *const names[][2] = {{"-h", "--help"},
					       {"-V", "--version"},
					       {"-f", "-f"},
					       {"-d", "--debug"},
					       {"-s", "-s"}};
	bool *const flags[] = {&request->help, &request->version,
			       request->helper ? &request->fake : &request->foreground,
			       &request->debug, &request->single_thread};

	if (request->helper && strlen(word) == 2 && strchr("nsv", word[1]))
		return 0; /* no mtab, sloppy, verbose: nothing to us */
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(word, names[i][0]) == 0 || strcmp(word, names[i][1]) == 0) {
			*flags[i] = true;
			return 0;
		}
	}
	complain("unknown option '%s' (datawalfs --help lists them)", word);
	return -1;
}

static int take_path(struct request *request, const char *path)
{
	char **place = !request->fs.log_dir      ? &request->fs.log_dir
		       : !request->fs.mountpoint ? &request->fs.mountpoint
						 : NULL;

	if (!place) {
		complain("one argument too many: '%s' (datawalfs DIR MOUNTPOINT [-o ...])", path);
		return -1;
	}
	*place = strdup(path);
	return *place ? 0 : -1;
}

/* mount(8) runs mount.TYPE, with switches of its own. */
static bool is_helper(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	return strncmp(name, "mount.", strlen("mount.")) == 0;
}

/* For fuse_opt_parse(): 0 is "dealt with", -1 stops. */
static int take_argument(void *data, const char *arg, int key, struct fuse_args *rest)
{
	struct request *request = data;

	if (key == FUSE_OPT_KEY_NONOPT)
		return take_path(request, arg);
	if (key == KEY_NAMESPACE) {
		free(request->mount_namespace);
		request->mount_namespace = strdup(arg + strlen("-N"));
		return request->mount_namespace ? 0 : -1;
	}
	return *arg == '-' ? take_switch(request, arg) : take_option(request, arg);
}

/* What the options say together. */
static int check_request(const struct request *request)
{
	if (!request->fs.mountpoint)
		complain("a log directory and a mountpoint are needed: datawalfs DIR MOUNTPOINT "
			 "[-o ...] (datawalfs --help tells more)");
	else if (request->shown && !request->remount)
		complain("unknown option '%s' (datawalfs --help lists them)", request->shown);
	else if (request->fs.degraded && !request->fs.read_only)
		complain("option 'degraded' shows what is left of a damaged log, which cannot be "
			 "written: it goes with 'ro' (-o ro,degraded)");
	else if ((request->setid || request->devices) && geteuid() != 0)
		complain("option '%s' can be given by root only",
			 request->setid ? "setid" : "devices");
	else
		return 0;
	return -1;
}

/* Set-id bits and devices take effect when root has asked for that, and nothing
 * has said otherwise: mount(8) says nosuid and nodev with its own "user". */
static int pass_flags(struct request *request)
{
	const struct {
		bool given;
		const char *word;
	} flags[] = {{request->fs.read_only, "ro"},
		     {request->noexec, "noexec"},
		     {request->setid && !request->nosuid, "suid"},
		     {request->devices && !request->nodev, "dev"}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].given && fuse_opt_add_opt(&request->passed, flags[i].word) != 0)
			return -1;
	return 0;
}

int request_parse(struct request *request, int argc, char **argv)
{
	static const struct fuse_opt of_mount[] = {FUSE_OPT_KEY("-N ", KEY_NAMESPACE),
						   FUSE_OPT_KEY("-t ", FUSE_OPT_KEY_DISCARD),
						   FUSE_OPT_END};
	static const struct fuse_opt none[] = {FUSE_OPT_END}; /* all to take_argument() */
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	int failed;

	*request = (struct request){.helper = is_helper(argv[0])};
	fs_options_init(&request->fs);
	failed = fuse_opt_parse(&args, request, request->helper ? of_mount : none, take_argument);
	fuse_opt_free_args(&args);
	if (failed)
		return -1;
	if (request->debug)
		request->foreground = true;
	if (request->help || request->version)
		return 0;
	return check_request(request) == 0 ? pass_flags(request) : -1;
}

void request_release(struct request *request)
{
	fs_options_release(&request->fs);
	free(request->passed);
	free(request->mount_namespace);
	*request = (struct request){.help = false};
}

void print_version(void)
{
	printf("datawalfs %s (libfuse %s)\n", dwal_version(), fuse_pkgversion());
}

void print_help(void)
{
	fputs("usage: datawalfs DIR MOUNTPOINT [-o OPTION[,OPTION...]] [-f] [-d] [-s]\n"
	      "\n"
	      "Mounts the record log in the directory DIR: each key is a file. Closing a\n"
	      "written file appends one Put, removing a file one Delete. MOUNTPOINT/.log\n"
	      "shows the segments and the recovery report. An empty DIR becomes a new log.\n"
	      "\n"
	      "examples:\n"
	      "  datawalfs ~/notes.log ~/notes           mount\n"
	      "  datawalfs ~/notes.log ~/notes -o ro     look only; takes no lock\n"
	      "  fusermount3 -u ~/notes                  commit, sync, unmount\n"
	      "  mount -t datawalfs /srv/log /mnt        as root, or from /etc/fstab:\n"
	      "  /srv/log  /mnt  datawalfs  rw,_netdev,nofail  0  0\n"
	      "\n"
	      "  -f         stay in the foreground\n"
	      "  -d         the same, and print every request\n"
	      "  -s         one thread\n"
	      "  -h, -V     this help; the version\n"
	      "\n"
	      "options, with what holds unless they are given:\n"
	      "  ro                  read-only, without the lock, beside any writer (rw)\n"
	      "  create              make DIR when it is absent (an absent DIR is an error)\n"
	      "  strict              refuse a log with intact records behind a torn tail\n"
	      "  degraded            with ro: show what is intact of a damaged log, EIO for\n"
	      "                      damaged values; .log/recovery lists what is lost\n"
	      "  sync                every close, unlink and rename is durable at once (async)\n"
	      "  commit=SECONDS      otherwise sync by itself this often (5)\n"
	      "  segment_size=BYTES  begin a new segment file at this size (64M)\n"
	      "  lockwait=SECONDS    wait for another writer to end (3); 0 fails at once\n"
	      "  staging=BYTES       most memory for bytes written and not in the log (1G)\n"
	      "  renamelimit=BYTES   larger directories are not renamed but copied by mv (256M)\n"
	      "  history=WHAT        what superseded records stay: auto (as the disk has room "
	      "for),\n"
	      "                      all, none, a size such as 10G, an age such as 30d (auto)\n"
	      "  verify=WHAT         what of sealed segments is read before the mount is there:\n"
	      "                      index (what no index file tells), full: all (index)\n"
	      "  setid, devices      set-id bits and device nodes of the log count (neither\n"
	      "                      does, whatever suid and dev say); by root only\n"
	      "  nonempty            mount over a directory that is not empty\n"
	      "  noclock             write no times of operations: times of files are then those\n"
	      "                      of their segments after a remount\n"
	      "  noxattr             no extended attributes: the kernel does not ask for\n"
	      "                      security.capability before each write\n"
	      "  showlog             list .log at the root; it can be entered always (hidelog)\n"
	      "  uid=N gid=N         owner of the files (who mounts)\n"
	      "  umask=OCTAL         bits taken from their modes (that of who mounts)\n"
	      "  remount             by root, of what is mounted: ro, rw, noexec, nosuid, nodev,\n"
	      "                      setid, devices; the others stay as they are\n"
	      "  default_permissions\n"
	      "                      check permissions also where root alone can enter, who is\n"
	      "                      let do all otherwise\n"
	      "  allow_other, allow_root, auto_unmount, fsname=, subtype=, max_read=,\n"
	      "  noexec, nosuid, nodev, noatime, dirsync: as in mount.fuse3(8)\n"
	      "  _netdev, nofail, noauto, user, suid, dev, nodiratime, lazytime, iversion,\n"
	      "  silent, mand, x-*, ...: accepted, for /etc/fstab\n",
	      stdout);
}
