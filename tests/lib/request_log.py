# SPDX-License-Identifier: MIT OR Apache-2.0
"""The requests that the kernel sends to a mount, exactly: a daemon that runs with -d prints each of
them before it is served. What is measured is here too, for the test and for contrib/bench."""
import os
import re
import time
from collections import Counter

REQUEST = re.compile(r"^unique: \d+, opcode: (\w+) \(\d+\), nodeid: (\d+),", re.M)
ENDS = {"RELEASE": ("OPEN", "CREATE"), "RELEASEDIR": ("OPENDIR",)}
SECONDS = 10


def parse(text):
    """(operation, node) of each request; what the kernel only gives back is none."""
    return [(name, int(node)) for name, node in REQUEST.findall(text) if "FORGET" not in name]


class RequestLog:
    """What came since the last call of start(). stderr: all that the daemon has printed so far, as
    a function. No open may fail: each has a RELEASE, which comes when it likes and is waited for."""

    def __init__(self, stderr):
        self.stderr = stderr
        self.before = 0

    def settled(self):
        """All requests so far, when the last RELEASE has come."""
        end = time.monotonic() + SECONDS
        while True:
            found = parse(self.stderr())
            count = Counter(name for name, _ in found)
            if all(count[last] == sum(count[name] for name in first)
                   for last, first in ENDS.items()):
                return found
            assert time.monotonic() < end, f"something is still open: {count}"
            time.sleep(0.001)

    def start(self):
        self.before = len(self.settled())

    def stop(self):
        return self.settled()[self.before:]


# --- what is measured ------------------------------------------------------------------------
#
# Each is done in the directory `d`, once everything that it needs is there: system calls and no
# more, since a shell or a library sends requests of its own.

def write(path, flags, content=b"value"):
    fd = os.open(path, flags, 0o644)
    os.write(fd, content)
    os.close(fd)


def create(path):
    write(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def overwrite(path):
    write(path, os.O_WRONLY | os.O_TRUNC)


def read(path):
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 4096)
    os.close(fd)


def nothing(path):
    pass


def at_rest(path):
    """The kernel drops what it knows of a directory when a name in it comes or goes."""
    create(path)
    os.stat(path)


def symlink(path):
    os.symlink("target", path)


def rename(path):
    os.rename(path, path + ".new")


def replace(path):
    os.rename(path, path + ".there")


def two(path):
    create(path)
    create(path + ".there")


OPERATIONS = {  # name: what comes before, what is counted
    "create, write, close": (nothing, create),
    "overwrite": (at_rest, overwrite),
    "read": (at_rest, read),
    "unlink": (create, os.unlink),
    "mkdir": (nothing, os.mkdir),
    "rmdir": (os.mkdir, os.rmdir),
    "symlink": (nothing, symlink),
    "rename": (create, rename),
    "rename over a file": (two, replace),
}

# The most requests: where the kernel checks permissions, and where it does not.
GOALS = {
    "create, write, close": (7, 6),
    "overwrite": (6, 6),
    "read": (3, 3),
    "unlink": (2, 1),
    "mkdir": (3, 2),
    "rmdir": (2, 1),
    "symlink": (3, 2),
    "rename": (3, 2),
    "rename over a file": (3, 2),
}
WITHOUT_XATTRS = {"create, write, close": 1, "overwrite": 2}  # fewer by so many
TRIES = 5  # on a busy machine a step can last longer than the kernel believes what it was told


def goal(name, checks, xattrs):
    return GOALS[name][not checks] - (0 if xattrs else WITHOUT_XATTRS.get(name, 0))


def fewest(log, directory, name, enough):
    """The requests of an operation, in the fewest of some tries; the first that are enough."""
    before, act = OPERATIONS[name]
    best = None
    for number in range(TRIES):
        path = f"{directory}/{name.replace(' ', '-')}{number}"
        before(path)
        log.start()
        act(path)
        found = [request for request, _ in log.stop()]
        best = found if best is None or len(found) < len(best) else best
        if len(best) <= enough:
            break
    return best
