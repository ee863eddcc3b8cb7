/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Limits of the process, and its reserve.
 */
#include "mount/resources.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <unistd.h>

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* if not, the old limit holds */
}

static void heed_file_limit(uint64_t *segment_size)
{
	struct rlimit limit;

	(void)signal(SIGXFSZ, SIG_IGN); /* a valid signal */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
	    limit.rlim_cur < *segment_size)
		*segment_size = limit.rlim_cur ? limit.rlim_cur : 1; /* 0 is no limit */
}

int resources_prepare(struct resources *resources, uint64_t *segment_size)
{
	raise_descriptor_limit();
	heed_file_limit(segment_size);
	/* libc loads it when it first ends a thread, and aborts if it cannot. */
	(void)dlopen("libgcc_s.so.1", RTLD_NOW); /* not there: not needed */
	if (pipe2(resources->reserve, O_CLOEXEC) == 0 &&
	    dup3(resources->reserve[1], resources->reserve[0], O_CLOEXEC) >= 0)
		return 0;
	resources->reserve[0] = resources->reserve[1] = -1;
	return -errno;
}

void resources_give_up(struct resources *resources)
{
	for (size_t i = 0; i < 2; i++) {
		if (resources->reserve[i] >= 0)
			(void)close(resources->reserve[i]); /* a pipe */
		resources->reserve[i] = -1;
	}
}
