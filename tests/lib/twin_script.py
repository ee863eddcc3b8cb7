# SPDX-License-Identifier: MIT OR Apache-2.0
"""The same work in the mount and in a directory of the host's file system beside it: whatever a
program prints, how it ends and the tree it leaves must be the same.

Each side has a place to work in and a directory `out` on the host, for what goes in and out. Times
are compared where a program has set them, which is told by their not being of these minutes."""
import difflib
import fnmatch
import hashlib
import os
import stat
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC",
    "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@example.org",
    "GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z", "GIT_COMMITTER_DATE": "2001-02-03T04:05:07Z",
}
SLACK_SECONDS = 2
SHOWN_LINES = 60

# Modes, old times, kinds and names of many sorts, for what copies and moves.
TREE = r"""
make_tree() {
	mkdir -p "$1/empty" "$1/a/b/c" "$1/closed" "$1/with space"
	echo one >"$1/one"
	: >"$1/nothing"
	seq 1 20000 >"$1/a/b/many"
	head -c 300000 /dev/zero >"$1/a/b/c/zeros"
	printf 'x' >"$1/with space/and"$'\n'"newline"
	echo e >"$1/a/ü%2Fä"
	echo s >"$1/a/back\\slash"
	printf '#!/bin/sh\necho run\n' >"$1/a/run"
	ln -s one "$1/link"
	ln -s ../a/b "$1/a/up"
	ln -s /nowhere/at/all "$1/dangling"
	mkfifo "$1/fifo"
	chmod 755 "$1/a/run"
	chmod 600 "$1/one"
	chmod 444 "$1/nothing"
	chmod 2775 "$1/a/b"
	chmod 700 "$1/closed"
	find "$1" -exec touch -hd '2003-03-03 03:03:03.03' {} +
	touch -d '2001-02-03 04:05:06.123456789' "$1/one"
	touch -d '1969-12-31 23:59:58.5' "$1/nothing"
	touch -d '2040-01-02 03:04:05' "$1/a/b/many"
	touch -hd '2011-02-03 04:05:06' "$1/link"
	touch -d '2005-05-05 05:05:05.5' "$1/empty" "$1/a/b" "$1/a" "$1/fifo"
}
"""


@dataclass
class Side:
    """One of the two: the place to work in, a directory beside it."""
    name: str
    path: Path
    out: Path

    def environment(self):
        return {**ENVIRONMENT, "HOME": str(self.out), "OUT": str(self.out)}

    def plain(self, text):
        """Bytes without what names this side. Both sides' paths are of one length."""
        for path, word in ((self.path, "HERE"), (self.out, "OUT_")):
            text = text.replace(os.fsencode(path), word.encode())
        return text


@dataclass(frozen=True)
class Entry:
    """What a tree's member is."""
    kind: str
    mode: int
    owner: tuple
    content: str
    xattrs: tuple
    mtime_ns: int = field(compare=False)

    def line(self, since):
        """As one line, the time only when it was set."""
        seconds = self.mtime_ns / 1e9
        natural = since - SLACK_SECONDS <= seconds <= time.time() + SLACK_SECONDS
        when = "of now" if natural else f"of {self.mtime_ns // 10**9}.{self.mtime_ns % 10**9:09d}"
        return f"{stat.filemode(self.mode)} {self.owner} {self.content} {dict(self.xattrs)} {when}"


def content_of(side, path, found):
    if stat.S_ISLNK(found.st_mode):
        return f"-> {side.plain(os.readlink(os.fsencode(path)))!r}"
    if stat.S_ISREG(found.st_mode):
        data = Path(path).read_bytes()
        assert len(data) == found.st_size, f"{path}: {found.st_size} in stat, {len(data)} read"
        return f"{len(data)} bytes {hashlib.sha1(side.plain(data)).hexdigest()[:12]}"
    if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        return f"device {os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return ""


def xattrs_of(path):
    try:
        names = [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith("user.")]
    except OSError:
        names = []
    return tuple((n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(names))


def look(side, root):
    """path -> Entry of everything below root."""
    found = {}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            found[os.path.relpath(path, root)] = Entry(
                stat.filemode(st.st_mode)[0], st.st_mode, (st.st_uid, st.st_gid),
                content_of(side, path, st), xattrs_of(path), st.st_mtime_ns)
    return found


def differences(one, other, names):
    lines = list(difflib.unified_diff(one, other, *names, lineterm="", n=1))
    return "\n".join(lines[:SHOWN_LINES] + ["..."] * (len(lines) > SHOWN_LINES))


class Twin:
    """twin.run(script) runs it on both sides and compares everything."""

    def __init__(self, mount, host, out_host, out_mount):
        self.mount = mount
        self.here = Side("mount", mount.path, out_mount)
        self.sides = (Side("host", host, out_host), self.here)
        assert len({(len(str(side.path)), len(str(side.out))) for side in self.sides}) == 1
        self.since = int(time.time())

    def run(self, script, status=0, ignore=(), timeout=50):
        """Runs a bash script on both sides, its first failure ending it. Both must end with this
        status, print the same and leave the same tree; returns what they print. The contents of
        files that `ignore` matches may differ."""
        return self.each(lambda side: run_script(side, script, status, timeout), ignore)

    def python(self, script, ignore=(), timeout=50):
        """The same of a Python program."""
        def run(side):
            return run_program(side, [sys.executable, "-c", script], 0, timeout)
        return self.each(run, ignore)

    def each(self, work, ignore=()):
        """Does work(side) on both sides: the same result and the same tree."""
        expected, got = (work(side) for side in self.sides)
        assert got == expected, "the mount differs from the host:\n" + differences(
            str(expected).splitlines(), str(got).splitlines(), ("host", "mount"))
        self.compare(ignore)
        return got

    def compare(self, ignore=()):
        """The trees of both sides, and what lies beside them, must be the same."""
        for which in ("path", "out"):
            lines = [self.lines_of(look(side, getattr(side, which)), ignore)
                     for side in self.sides]
            assert lines[0] == lines[1], f"the trees differ ({which}):\n" + differences(
                *lines, ("host", "mount"))

    def lines_of(self, tree, ignore):
        """A tree as sorted text."""
        lines = []
        for path, entry in sorted(tree.items()):
            line = entry.line(self.since)
            if any(fnmatch.fnmatch(path, pattern) for pattern in ignore):
                line = entry.kind + " whatever"
            lines.append(f"{path!r}: {line}")
        return lines

    def remount(self):
        """Unmounts and mounts again: everything is there still, times that were set as they were,
        those of files to the second. The time of a directory is that of its last new entry."""
        before = look(self.here, self.here.path)
        self.mount.remount()
        after = look(self.here, self.here.path)
        for path in set(before) & set(after):
            natural = before[path].line(self.since).endswith("of now")
            if natural and before[path].kind == "d":
                after[path] = replace(after[path], mtime_ns=before[path].mtime_ns)
        lines = [self.lines_of(tree, ()) for tree in (before, after)]
        assert lines[0] == lines[1], "the remount changed something:\n" + differences(
            *lines, ("before", "after"))


def run_script(side, script, status, timeout):
    return run_program(side, ["bash", "-euo", "pipefail", "-c", script], status, timeout)


def run_program(side, command, status, timeout):
    done = subprocess.run(command, cwd=side.path, env=side.environment(), timeout=timeout,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    text = side.plain(done.stdout).decode(errors="replace")
    assert done.returncode == status, f"{side.name}: ended with {done.returncode}:\n{text}"
    return text
