/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fusermount3 says "Permission denied" and no more when a security profile
 * forbids a mount. Must not decide anything: it only words.
 */
#include "mount/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cleanup.h"

#define TEXT_SIZE 1024
#define OWN_NAME  "datawalfs: "
#define HELPER    "fusermount3"

void refusal_listen(struct refusal *refusal)
{
	refusal->memory = memfd_create("stderr", MFD_CLOEXEC);
	refusal->visible = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	(void)fflush(stderr); /* nobody to tell */
	if (refusal->memory >= 0 && refusal->visible >= 0 &&
	    dup2(refusal->memory, STDERR_FILENO) >= 0)
		return;
	(void)close(refusal->memory); /* as if nothing was said */
	refusal->memory = -1;
}

/* Gives what was written, as a string, and standard error back. */
static size_t stop_listening(struct refusal *refusal, char text[TEXT_SIZE])
{
	ssize_t got = 0;

	if (refusal->memory >= 0) {
		got = pread(refusal->memory, text, TEXT_SIZE - 1, 0);
		(void)dup2(refusal->visible, STDERR_FILENO); /* cannot fail for these */
		(void)close(refusal->memory);
	}
	if (refusal->visible >= 0)
		(void)close(refusal->visible); /* standard error has it */
	got = got < 0 ? 0 : got;
	text[got] = '\0';
	return (size_t)got;
}

void refusal_none(struct refusal *refusal)
{
	char text[TEXT_SIZE];
	size_t len = stop_listening(refusal, text);

	(void)fwrite(text, 1, len, stderr); /* nowhere else to say it */
}

/* The first line of a file; false when it cannot be read or is empty. */
static bool first_line(const char *path, char *out, size_t size)
{
	cleanup_file FILE *file = fopen(path, "re");
	bool got = file && fgets(out, (int)size, file);

	if (got)
		out[strcspn(out, "\n")] = '\0';
	return got && *out;
}

/* "name (enforce)": confined, and by more than complaints. */
static bool is_enforced(char *label)
{
	char *mode = strstr(label, " (enforce)");

	if (mode)
		*mode = '\0';
	return mode;
}

/* AppArmor's profile of the helper: as the kernel lists them, which only root
 * may read, or by the name of its file. */
static bool helper_profile(char *name, size_t size)
{
	cleanup_file FILE *list = fopen("/sys/kernel/security/apparmor/profiles", "re");
	bool found = false;

	if (!list) {
		(void)snprintf(name, size, HELPER);
		return access("/etc/apparmor.d/" HELPER, F_OK) == 0 &&
		       access("/etc/apparmor.d/disable/" HELPER, F_OK) != 0;
	}
	while (!found && fgets(name, (int)size, list))
		found = strstr(name, HELPER) && is_enforced(name);
	return found;
}

/* The security profile that may have refused; false when there is none. */
static bool find_profile(char *out, size_t size)
{
	char label[256], on[8];

	if ((first_line("/proc/self/attr/apparmor/current", label, sizeof(label)) ||
	     first_line("/proc/self/attr/current", label, sizeof(label))) &&
	    is_enforced(label))
		(void)snprintf(out, size, "the AppArmor profile %s, which confines this program",
			       label);
	else if (first_line("/sys/module/apparmor/parameters/enabled", on, sizeof(on)) &&
		 *on == 'Y' && helper_profile(label, sizeof(label)))
		(void)snprintf(out, size, "the AppArmor profile %s", label);
	else if (first_line("/sys/fs/selinux/enforce", on, sizeof(on)) && *on == '1' &&
		 first_line("/proc/self/attr/current", label, sizeof(label)))
		(void)snprintf(out, size, "SELinux (this program's context is %s)", label);
	else
		return false;
	return true;
}

/* The lines as one, each without our own name before it. */
static void join_lines(const char *text, char *out)
{
	*out = '\0';
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (strncmp(text, OWN_NAME, strlen(OWN_NAME)) == 0) {
			text += strlen(OWN_NAME);
			continue;
		}
		if (len && *out)
			strcat(out, "; ");
		strncat(out, text, len);
		text += len + (text[len] == '\n');
	}
}

/* What may have refused, as an end of the line: nothing where that is not known. */
static void explain(char *out, size_t size)
{
	char profile[512];

	*out = '\0';
	if (geteuid() != 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		(void)snprintf(out, size,
			       "; " HELPER " has no rights in this process (no_new_privs, "
			       "NoNewPrivileges= of a systemd unit)");
	else if (find_profile(profile, sizeof(profile)))
		(void)snprintf(out, size,
			       "; it may have been refused by %s: see DENIED in the kernel's log",
			       profile);
}

char *refusal_text(struct refusal *refusal)
{
	char text[TEXT_SIZE], line[2 * TEXT_SIZE], end[TEXT_SIZE] = "", *all;

	if (!stop_listening(refusal, text))
		return NULL;
	join_lines(text, line);
	if (strstr(line, strerror(EACCES)) || strstr(line, strerror(EPERM)))
		explain(end, sizeof(end));
	return asprintf(&all, "%s%s", line, end) < 0 ? NULL : all;
}
