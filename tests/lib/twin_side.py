# SPDX-License-Identifier: MIT OR Apache-2.0
"""The twin test's two directories: what operations are made of, and what can be seen of a file."""
import ctypes
import os
import random
import stat
import time
from typing import NamedTuple

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
NOREPLACE, EXCHANGE = 1, 2
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
AT_FDCWD = -100
MS_SYNC = 4
SLOTS = 6
FAR_NS = 3600 * 10**9


def is_far(ns):
    """Set by hand, and not by something that was done now."""
    return abs(ns - time.time_ns()) > FAR_NS


def are_one(path, other):
    """One file, of which two names are known."""
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False


def is_open_to_new_names(path):
    """A directory, and not one that was removed and is open still."""
    return os.path.isdir(path) and os.stat(path).st_nlink > 0


class Name(str):
    """A path in the directory; "@3/a" goes through the open directory in slot 3."""


class Slot(int):
    """One of a few places for an open descriptor."""


class Flags(int):
    """For open(2)."""
    def __repr__(self):
        access = ("O_RDONLY", "O_WRONLY", "O_RDWR")[self & os.O_ACCMODE]
        names = ("O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_DIRECTORY", "O_NOFOLLOW", "O_SYNC",
                 "O_DSYNC")
        return "|".join([access, *(n for n in names if self & getattr(os, n) == getattr(os, n))])


class Mode(int):
    def __repr__(self):
        return f"0o{self:o}"


class Data(NamedTuple):
    """Bytes told in a few words."""
    seed: int
    length: int

    def bytes(self):
        return random.Random(self.seed).randbytes(self.length)


class Op(NamedTuple):
    name: str
    args: tuple = ()
    watched: bool = True

    def __str__(self):
        return f"{self.name}({', '.join(map(repr, self.args))})"


class NoSlot(Exception):
    """The slot is empty: an earlier open failed, or was left out while shortening a log."""


class Side:
    """One of the two directories, and the descriptors that are open in it."""

    def __init__(self, root, is_mount=False, prefix=""):
        self.root = os.fspath(root)
        self.is_mount = is_mount
        self.prefix = prefix  # of every name, where several threads share the directory
        self.slots = {}
        self.held = None  # a mapping

    def fd(self, slot):
        if slot not in self.slots:
            raise NoSlot
        return self.slots[slot]

    def path(self, name):
        if not name.startswith("@"):
            return f"{self.root}/{self.prefix}{name}" if name else self.root
        slot, _, rest = name[1:].partition("/")
        return f"/proc/self/fd/{self.fd(int(slot))}/{rest}"

    def close(self, slot):
        if slot in self.slots:
            os.close(self.slots.pop(slot))

    def drop_held(self):
        held, self.held = self.held, None
        if held:
            held.close()


class Operation(NamedTuple):
    run: callable
    draw: callable
    weight: int
    group: str


OPERATIONS = {}


def operation(group, weight, draw):
    """draw makes the arguments from a Dice."""
    def register(function):
        OPERATIONS[function.__name__] = Operation(function, draw, weight, group)
        return function
    return register


def call(function, *args):
    if function(*args) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def rename(old, new, flags):
    call(libc.renameat2, AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags)


def seen(st):
    """The part of a stat result that both sides must agree on."""
    size = None if stat.S_ISDIR(st.st_mode) else st.st_size
    return (stat.filemode(st.st_mode), st.st_uid, st.st_gid, size, st.st_nlink, st.st_rdev)


def user_attributes(path):
    return [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith("user.")]


def snapshot(side):
    """Everything below, and the directory itself unless it is shared: name -> what is seen of it,
    content, extended attributes, inode number, times of change, access and modification."""
    found = {}
    if not side.prefix:
        found["."] = describe(side.root)
    todo = [""]
    while todo:
        at = todo.pop()
        for entry in entries(f"{side.root}/{at}"):
            if not at and not entry.name.startswith(side.prefix):
                continue
            name = at + entry.name
            is_dir = entry.is_dir(follow_symlinks=False)
            found[name] = describe(f"{side.root}/{name}", is_dir, entry.inode())
            if is_dir:
                todo.append(name + "/")
    return found


def entries(directory):
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME)
    try:
        with os.scandir(fd) as listing:
            return list(listing)
    finally:
        os.close(fd)


def describe(path, listed_as_dir=True, listed_ino=None):
    """Reading leaves no trace."""
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    assert (kind == stat.S_IFDIR) == listed_as_dir, f"readdir and stat differ in type: {path}"
    assert listed_ino in (None, st.st_ino), f"readdir and stat differ in inode: {path}"
    content = None
    if kind == stat.S_IFREG:
        with open(os.open(path, os.O_RDONLY | os.O_NOATIME), "rb") as file:
            content = file.read()
    elif kind == stat.S_IFLNK:
        content = os.readlink(path)
    attributes = {n: os.getxattr(path, n, follow_symlinks=False) for n in user_attributes(path)}
    return (*seen(st), content, attributes, st.st_ino, st.st_ctime_ns, st.st_atime_ns,
            st.st_mtime_ns)
