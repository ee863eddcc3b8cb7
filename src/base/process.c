/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Looks at /proc only.
 */
#include "process.h"

#include <stdio.h>
#include <string.h>

void process_name(int pid, char out[PROCESS_NAME_SIZE])
{
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid); /* fits */
	file = fopen(path, "re");
	if (!file || !fgets(out, PROCESS_NAME_SIZE, file))
		(void)snprintf(out, PROCESS_NAME_SIZE, "?");
	out[strcspn(out, "\n")] = '\0';
	if (file)
		(void)fclose(file); /* only read */
}
