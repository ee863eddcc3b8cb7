/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Lines on stderr and in the system log. That one cannot be written is told to
 * nobody.
 */
#include "mount/messages.h"

#include "complain.h"

#include <fuse_log.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#define LINE_SIZE 1024 /* what is longer is cut */

void tell(struct reports *reports, const char *line)
{
	if (atomic_load(&reports->to_syslog))
		syslog(LOG_DAEMON | LOG_ERR, "%s", line);
	else
		complain("%s", line);
}

void report(struct reports *reports, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	tell(reports, line);
	atomic_store(&reports->failed, true);
}

__attribute__((format(printf, 2, 0))) static void log_with_name(enum fuse_log_level level,
								const char *format, va_list args)
{
	if (level != FUSE_LOG_DEBUG)
		(void)fputs("datawalfs: ", stderr); /* nowhere else to say it */
	(void)vfprintf(stderr, format, args);
}

__attribute__((format(printf, 2, 0))) static void log_to_syslog(enum fuse_log_level level,
								const char *format, va_list args)
{
	vsyslog(LOG_DAEMON | (int)level, format, args);
}

void messages_of_libfuse_named(void)
{
	fuse_set_log_func(log_with_name);
}

void messages_of_libfuse_plain(void)
{
	fuse_set_log_func(NULL);
}

void messages_to_syslog(struct reports *reports)
{
	atomic_store(&reports->to_syslog, true);
	fuse_set_log_func(log_to_syslog);
}
