# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a process that writes into a mount says of it, outside: each step before it is done, with what
it makes of its files, and when the calls have returned. And what may be there after a kill."""
import errno
import hashlib
import json
import os
import stat
import time

GONE = (errno.ENOTCONN, errno.ECONNABORTED)


def digest(data):
    return hashlib.sha1(data).hexdigest()


def entry(path):
    """(kind, mode, digest) of what is there."""
    st = os.lstat(path)
    if stat.S_ISDIR(st.st_mode):
        return "d", stat.S_IMODE(st.st_mode), ""
    if stat.S_ISLNK(st.st_mode):
        return "l", 0o777, os.readlink(path)
    with open(path, "rb") as file:
        return "f", stat.S_IMODE(st.st_mode), digest(file.read())


def numbers(path):
    """What must stay the same: the inode number, and a file's time of modification."""
    st = os.lstat(path)
    return st.st_ino, 0 if stat.S_ISDIR(st.st_mode) else st.st_mtime_ns


def tree(root):
    """relative path -> entry, of all that is below."""
    found = {}
    for directory, dirs, files in os.walk(root):
        for name in dirs + files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = entry(path)
    return found


class Log:
    """The writer's side."""

    def __init__(self, path):
        self.file = open(path, "ab", buffering=0)

    def say(self, **what):
        self.file.write(json.dumps({**what, "at": time.monotonic_ns()}).encode() + b"\n")


class State:
    """What one writer has: path -> entry, and the numbers of some of these paths."""

    def __init__(self, entries=(), known=()):
        self.entries = dict(entries)
        self.known = dict(known)

    def apply(self, delta):
        """delta: path -> entry, or None where nothing is any more."""
        for path, one in delta.items():
            self.known.pop(path, None)
            if one is None:
                self.entries.pop(path, None)
            else:
                self.entries[path] = tuple(one)

    def copy(self):
        return State(self.entries, self.known)


def read(path):
    """All that a writer has said; the last line may have been cut by its own death."""
    with open(path, "rb") as file:
        return [json.loads(line) for line in file.read().splitlines(True) if line.endswith(b"\n")]


def fold(state, lines):
    """Applies what has returned; the step that had begun and not returned, or None; how many have."""
    running, done = None, 0
    for line in lines:
        if "begin" in line:
            assert running is None, "two steps at once"
            running = line
        elif "end" in line:
            state.apply(running["delta"])
            running, done = None, done + 1
        elif "known" in line:
            state.known.update({path: tuple(both) for path, both in line["known"].items()})
    return running, done


def difference(wanted, found):
    return [f"{path}: {found.get(path)}, not {wanted.get(path)}"
            for path in sorted(set(wanted) | set(found)) if wanted.get(path) != found.get(path)]


def settle(state, running, root):
    """Sees that what is there is the state, or the one that the running step makes; the state that it
    is. Raises AssertionError with what differs."""
    found = tree(root)
    after = state.copy()
    if running:
        after.apply(running["delta"])
    for one in (state, after):
        if one.entries == found:
            # those that the running step gives are not known; it can have left the content as it was
            unknown = running["delta"] if running and after.entries == found else ()
            wrong = [f"{path}: numbers {numbers(os.path.join(root, path))}, not {both}"
                     for path, both in one.known.items()
                     if path not in unknown and numbers(os.path.join(root, path)) != both]
            assert not wrong, "\n".join(wrong)
            return one
    lines = ["neither as before:", *difference(state.entries, found)]
    if running:
        lines += [f"nor as after {running['begin']}:", *difference(after.entries, found)]
    raise AssertionError("\n".join(lines))
