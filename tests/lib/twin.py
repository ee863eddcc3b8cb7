# SPDX-License-Identifier: MIT OR Apache-2.0
"""Does the same in a mount and in a directory of the host, and compares all that can be seen.

A Twin is one thread's names in both directories: nobody else changes them, so both sides see the
same order. Each operation is done on the host and then on the mount."""
import errno
import os
import time
from typing import NamedTuple

import twin_ops
from twin_side import Name, NoSlot, Op, Side, Slot, is_far, seen, snapshot

# The host may take a time from a clock that ticks slowly: from before the call.
SLACK_NS = 50_000_000
SAME, NOW, PAST = "unchanged", "now", "earlier"
OLD_TIMES_SECONDS = 1.1  # as long can a directory's be shown to whoever asks beside the change
FIELDS = ("type and mode", "owner", "group", "size", "nlink", "rdev", "content", "attributes")


class Difference(NamedTuple):
    """What the two sides do not agree about."""
    op: Op
    what: str
    host: object
    mount: object
    about: object = None  # the host's stat result, where it is about times

    def kind(self):
        """Differences of one kind are the same mistake, more or less."""
        is_errno = isinstance(self.mount, str) and self.mount in errno.errorcode.values()
        return (self.op.name, self.what.split(" of ")[0], self.mount if is_errno else None)

    def is_time(self):
        return self.about and self.what.startswith(("mtime", "ctime"))

    def __str__(self):
        return (f"{self.op}: {self.what}\n    host:  {short(self.host)}\n"
                f"    mount: {short(self.mount)}")


class Found(Exception):
    """The argument is a Difference."""


class Deviation(NamedTuple):
    """A difference that the mount's documents state."""
    reason: str
    covers: callable


class Settings(NamedTuple):
    """What is done and how much of it."""
    deviations: tuple = ()
    groups: frozenset = twin_ops.GROUPS
    threads: int = 4
    keeps_times: bool = True  # noclock does not
    epochs: int = 3        # each ends with a remount; every third is in one directory
    operations: int = 250  # a thread and epoch
    shrink_seconds: float = 20
    mount_slack_ns: int = 0  # the daemon's clock does not lag


def short(value):
    text = repr(set(value) if isinstance(value, frozenset) else value)
    return text if len(text) < 400 else f"{text[:400]}..."


def first_difference(a, b):
    """Of two contents: where, and what stands there."""
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return [f"{len(c)} bytes, {c[at:at + 12]!r} at {at}" for c in (a, b)]


def subjects(op):
    """The files that an operation is about: its arguments and the directories that they are in."""
    found = [a for a in op.args if isinstance(a, (Name, Slot))]
    for arg in list(found):
        if isinstance(arg, Name) and not arg.startswith("@") and arg != ".":
            found.append(Name(os.path.dirname(arg.rstrip("/"))))
    return list(dict.fromkeys(found))


def look(side, about):
    """What stat says of each, or None."""
    found = {}
    for subject in about:
        try:
            found[subject] = (os.fstat(side.fd(subject)) if isinstance(subject, Slot)
                              else os.lstat(side.path(subject)))
        except (OSError, NoSlot):
            found[subject] = None
    return found


class Change(NamedTuple):
    """One look before an operation and one after it."""
    before: dict
    after: dict
    began: int
    ended: int
    slack: int

    def of(self, subject, field):
        """What may have happened to a time, in words that mean the same on both sides."""
        st, old = self.after[subject], self.before[subject]
        if not st:
            return None
        ns = getattr(st, field)
        ways = {f"that of {other!r}" for other, its in self.before.items()
                if its and other != subject and getattr(its, field) == ns}
        if is_far(ns):
            ways.add(f"set to {ns}")
        if old and old.st_ino == st.st_ino and getattr(old, field) == ns:
            return frozenset(ways | {SAME})
        if is_far(ns):
            return frozenset(ways)
        if self.began - self.slack <= ns <= self.ended:
            ways.add(NOW)
        if ns < self.began and not (old and ways):
            ways.add(PAST)
        return frozenset(ways)


class Twin:
    """Names that one thread has for itself, and the log of what was done to them."""

    def __init__(self, host, mount, settings, shared=False, prefix="", tick=0):
        self.sides = [Side(host, prefix=prefix), Side(mount, is_mount=True, prefix=prefix)]
        self.settings = settings
        self.shared = shared  # the directory has other threads' names too
        self.tick = tick      # seconds between two different times on the host
        self.log = []
        self.before = None    # the snapshot of the mount before a remount

    @property
    def slots(self):
        return self.sides[0].slots

    def do(self, side, op, about):
        if about and self.tick:
            time.sleep(self.tick)
        before = look(side, about)
        if about and op.name in ("open_", "dup") and op.args[0] != op.args[1]:
            before[op.args[op.name == "dup"]] = None  # another file from now on
        began = time.time_ns()
        try:
            value = twin_ops.OPERATIONS[op.name].run(side, *op.args)
        except OSError as error:
            value = errno.errorcode[error.errno]
        except NoSlot:
            value = "empty slot"
        ended = time.time_ns()
        slack = self.settings.mount_slack_ns if side.is_mount else SLACK_NS
        return value, Change(before, look(side, about), began, ended, slack)

    def step(self, op):
        """Does op on both sides; raises Found."""
        self.log.append(op)
        about = subjects(op) if op.watched else []
        if self.shared and "" in about:
            about.remove("")
        (host_value, host), (mount_value, mount) = (self.do(s, op, about) for s in self.sides)
        self.agree(op, "result", host_value, mount_value)
        try:
            self.agree_about(op, host, mount)
        except Found as found:
            if not self.shared or not found.args[0].is_time():
                raise
            # S16c: other threads list the directory
            time.sleep(OLD_TIMES_SECONDS)
            self.agree_later(op, host, mount._replace(after=look(self.sides[1], about)))

    def agree_later(self, op, host, mount):
        """What the mount showed before may have been an old time as well."""
        try:
            self.agree_about(op, host, mount)
        except Found as found:
            if not found.args[0].is_time():
                raise
            self.agree_about(op, host, mount._replace(before=mount.after))

    def agree_about(self, op, host, mount):
        for subject in host.after:
            st = host.after[subject], mount.after[subject]
            self.agree(op, f"stat of {subject!r}", *(s and seen(s) for s in st))
            for field in ("st_mtime_ns", "st_ctime_ns"):
                self.agree(op, f"{field[3:8]} of {subject!r}", host.of(subject, field),
                           mount.of(subject, field), st[0])

    def agree(self, op, what, host, mount, about=None):
        if host == mount:
            return
        if isinstance(host, frozenset) and isinstance(mount, frozenset) and host & mount:
            return
        difference = Difference(op, what, host, mount, about)
        if any(d.covers(difference) for d in self.settings.deviations):
            return
        if isinstance(host, bytes) and isinstance(mount, bytes):
            host, mount = first_difference(host, mount)
        raise Found(difference._replace(host=host, mount=mount))

    def close_all(self):
        if self.sides[0].held:
            self.step(Op("drop_held"))
        for slot in sorted(self.slots):
            self.step(Op("close", (Slot(slot),)))

    def compare(self, after_remount=False):
        """All names, and everything of them."""
        op = Op("remount" if after_remount else "compare")
        host, mount = (snapshot(side) for side in self.sides)
        self.agree(op, "names", sorted(host), sorted(mount))
        for name, entry in host.items():
            for i, field in enumerate(FIELDS):
                self.agree(op, f"{field} of {name!r}", entry[i], mount[name][i])
            if name == "." and self.shared:
                continue
            if after_remount:
                self.agree(op, f"inode number of {name!r}", self.before[name][-4], mount[name][-4])
                self.compare_kept_times(op, name, self.before[name], mount[name])
            elif is_far(entry[-1]):
                self.agree(op, f"mtime of {name!r}", entry[-1], mount[name][-1])
        self.before = mount

    def compare_kept_times(self, op, name, was, now):
        """All stay as they are, but for those of access that reading gave."""
        if is_far(was[-1]) and is_far(was[-2]) and not was[0].startswith("l"):
            # looking at a link moves its
            self.agree(op, f"atime of {name!r}", was[-2], now[-2])
        if self.settings.keeps_times or is_far(was[-1]):
            self.agree(op, f"mtime of {name!r}", was[-1], now[-1])
        if self.settings.keeps_times:
            self.agree(op, f"ctime of {name!r}", was[-3], now[-3])

    def remount(self, remounting):
        self.close_all()
        self.log.append(Op("remount"))
        self.compare()
        remounting()
        self.compare(after_remount=True)

    def replay(self, log, remounting):
        """Does a log over again; the Difference, or None."""
        try:
            for op in log:
                if op.name == "remount":
                    self.remount(remounting)
                else:
                    self.step(op)
            self.close_all()
            self.compare()
        except Found as found:
            return found.args[0]
        except (OSError, AssertionError) as error:
            return Difference(Op("compare"), "error", None, repr(error))
        finally:
            self.drop_slots()
        return None

    def drop_slots(self):
        for side in self.sides:
            for close in (side.drop_held, *(lambda s=s: side.close(s) for s in list(side.slots))):
                try:
                    close()
                except OSError:
                    pass  # the difference is known already
