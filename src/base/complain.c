/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Not for the library, which never prints.
 */
#include "complain.h"
#include "oneline.h"

#include <stdarg.h>
#include <stdio.h>

static const char *name = "?";

void complain_as(const char *program)
{
	name = program;
}

void complain(const char *format, ...)
{
	char line[1024];
	va_list list;

	va_start(list, format);
	(void)vsnprintf(line, sizeof(line), format, list); /* cut if long */
	va_end(list);
	make_one_line(line);
	(void)fflush(stdout);                          /* who writes there checks at the end */
	(void)fprintf(stderr, "%s: %s\n", name, line); /* nowhere else to say it */
}
