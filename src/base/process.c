/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Looks at /proc only.
 */
#include "process.h"
#include "cleanup.h"

#include <stdio.h>
#include <string.h>

void process_name(int pid, char out[PROCESS_NAME_SIZE])
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid); /* fits */
	cleanup_file FILE *file = fopen(path, "re");
	if (!file || !fgets(out, PROCESS_NAME_SIZE, file))
		(void)snprintf(out, PROCESS_NAME_SIZE, "?");
	out[strcspn(out, "\n")] = '\0';
}
