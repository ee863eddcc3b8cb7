# SPDX-License-Identifier: MIT OR Apache-2.0
"""The FUSE requests of an operation, counted: exact, however busy the machine is. Beside the goal,
which tests/test_requests.py holds datawalfs to, and the file system that does nothing."""
import contextlib
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

from mount import unmount, why_not  # noqa: F401  the same that a mount needs
from running import fresh

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/lib"))

import request_log  # noqa: E402

SECONDS = 20


def wait_for_mount(daemon, place):
    end = time.monotonic() + SECONDS
    while not os.path.ismount(place):
        if daemon.poll() is not None or time.monotonic() > end:
            raise subprocess.CalledProcessError(daemon.poll() or 1, daemon.args)
        time.sleep(0.01)


@contextlib.contextmanager
def logged(run, *command):
    """A directory in what the command mounts when it is told to print its requests, and those."""
    printed = run.work / "printed"
    with fresh(run.work / "mnt") as place, open(printed, "wb") as output:
        daemon = subprocess.Popen([*map(str, command), place, "-d"], stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=output)
        try:
            wait_for_mount(daemon, place)
            (place / "d").mkdir()
            yield place / "d", request_log.RequestLog(lambda: printed.read_text(errors="replace"))
        finally:
            if os.path.ismount(place):
                unmount(place)
            daemon.wait(SECONDS)
            printed.unlink()


def count(run, group, side, enough, *command):
    with logged(run, *command) as (directory, log):
        for name in request_log.OPERATIONS:
            try:
                found = request_log.fewest(log, directory, name, enough(name))
                run.results.add(("requests", group, name), "each", side, len(found))
            except OSError as error:
                if error.errno != errno.ENOSYS:  # the floor can do little
                    raise


def measure_group(run, checks, xattrs):
    group = f"permissions {'' if checks else 'not '}checked{'' if xattrs else ', noxattr'}"
    if not checks and os.getuid() != 0:
        return  # only root's mount can be so

    def goal(name):
        return request_log.goal(name, checks, xattrs)

    options = ["create"] + ["default_permissions"] * checks + ["noxattr"] * (not xattrs)
    with fresh(run.work / "log") as log:
        count(run, group, "datawal", goal, run.programs["datawalfs"], "-o", ",".join(options), log)
    for name in request_log.OPERATIONS:
        run.results.add(("requests", group, name), "each", "goal", goal(name))
    if run.wanted(["floor"]):
        count(run, group, "floor", lambda name: 0, run.programs["floor"],
              *["-o", "default_permissions"] * checks)


def measure(run):
    for checks in True, False:
        for xattrs in True, False:
            measure_group(run, checks, xattrs)
