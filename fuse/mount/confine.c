/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * By the system's own calls: libcap would be one more library for four of
 * them.
 */
#include "mount/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif

/* Mounting and unmounting; and for root in a directory of somebody else's:
 * getting in, giving him the segments, and setting their times. */
#define KEPT (1u << CAP_SYS_ADMIN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_CHOWN | 1u << CAP_FOWNER)

/* The bytes of strings, as far as they stand one behind the other: so the kernel
 * has laid them out. */
static void wipe(char *const *strings)
{
	char *end = *strings;

	for (; *strings && *strings == end; strings++) {
		size_t size = strlen(end) + 1;

		explicit_bzero(end, size);
		end += size;
	}
}

void confine_environment(int argc, char **argv)
{
	const char *path = getenv("PATH");
	char *copy = path ? strdup(path) : NULL;

	wipe(argv + argc + 1);
	(void)clearenv(); /* cannot fail */
	if (copy)
		(void)setenv("PATH", copy, 1); /* if not, libc has one of its own */
	free(copy);
}

static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
			return -errno;
	return 0;
}

/* With what a set-user-ID program could gain. */
static int give_up_more(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return drop_bounding_set(); /* while it has the right to */
}

static int give_up_capabilities(bool needs_helper)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int err = 0;

	if (syscall(SYS_capget, &header, data) != 0)
		return -errno;
	if (data[0].effective & 1u << CAP_SYS_ADMIN && !needs_helper)
		err = give_up_more();
	if (err)
		return err;
	data[0].permitted &= KEPT;
	data[0].effective &= KEPT;
	data[0].inheritable = 0; /* the ambient ones go with these */
	data[1] = (struct __user_cap_data_struct){0};
	return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

int confine_process(bool needs_helper)
{
#ifndef __SANITIZE_ADDRESS__ /* what looks for leaks traces the process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return -errno;
#endif
	return give_up_capabilities(needs_helper);
}

bool confine_is_above_modes(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return getuid() == 0 && geteuid() == 0 && syscall(SYS_capget, &header, data) == 0 &&
	       data[0].effective & 1u << CAP_DAC_OVERRIDE;
}
