/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The command line of datawalfs: what was asked for. Looks at no file and
 * knows nothing of how a mount is made.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "fs.h"

struct request {
	struct fs_options fs;  /* both paths as given */
	char *passed;          /* mount options for libfuse, "a,b=c", or NULL */
	char *mount_namespace; /* a path: where to mount, or NULL: here */
	bool helper;           /* run by mount(8), as mount.datawalfs */
	bool fake;             /* do nothing */
	bool remount;          /* change the mount that is there */
	bool setid;            /* set-id bits in the log count */
	bool devices;          /* device nodes in the log count */
	bool nosuid;           /* stronger than setid */
	bool nodev;            /* stronger than devices */
	bool noexec;
	bool others;       /* not only who mounts may come in */
	bool permissions;  /* the kernel checks them, whoever may come in */
	bool auto_unmount; /* fusermount3 mounts, and unmounts when the daemon has died */
	bool nonempty;     /* the mountpoint need not be empty */
	const char *shown; /* an option that only a remount may have, or NULL */
	bool help;
	bool version;
	bool foreground;
	bool debug; /* implies foreground */
	bool single_thread;
};

/* Reads the command line. 0, or -1 when one line on stderr has said what is
 * wrong with it. To be released in both cases. */
int request_parse(struct request *request, int argc, char **argv);
void request_release(struct request *request);

/* To stdout. */
void print_help(void);
void print_version(void);

#endif
