# SPDX-License-Identifier: MIT OR Apache-2.0
"""A system log of a test's own: a library that is loaded before libc's."""
import subprocess

import paths

SYSLOG = r"""
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>
#include "environment.h"
static void note(int priority, const char *format, va_list args)
{
	int fd = open(given("SYSLOG_FILE"), O_WRONLY | O_CREAT | O_APPEND, 0600);

	dprintf(fd, "%d ", LOG_PRI(priority));
	vdprintf(fd, format, args);
	dprintf(fd, "\n");
	close(fd);
}
void syslog(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(priority, format, args);
	va_end(args);
}
void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note(priority, format, args);
	va_end(args);
}
"""


def load(directory, monkeypatch):
    """A function that gives what programs started from now on have sent to the system log."""
    (directory / "syslog.c").write_text(SYSLOG)
    subprocess.run(["cc", "-shared", "-fPIC", "-U_FORTIFY_SOURCE", f"-I{paths.ROOT}/tests/preload",
                    "-o", directory / "syslog.so", directory / "syslog.c"], check=True, timeout=30)
    monkeypatch.setenv("LD_PRELOAD", str(directory / "syslog.so"))
    monkeypatch.setenv("SYSLOG_FILE", str(directory / "syslog.txt"))

    def read():
        path = directory / "syslog.txt"
        return path.read_text() if path.exists() else ""
    return read
