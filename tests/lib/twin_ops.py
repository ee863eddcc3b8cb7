# SPDX-License-Identifier: MIT OR Apache-2.0
"""The operations of the twin test.

An operation is a function of a Side and of plain arguments, so that a list of operations can be
printed, run again and shortened. It returns what the caller would see, or raises OSError."""
import ctypes
import errno
import fcntl
import mmap
import os
import stat
import struct
from typing import NamedTuple

import twin_side
from twin_side import (AT_FDCWD, EXCHANGE, KEEP_SIZE, MS_SYNC, NOREPLACE, OPERATIONS, PUNCH_HOLE,
                       UTIME_NOW, UTIME_OMIT, ZERO_RANGE, Name, call, libc, operation, seen,
                       snapshot, user_attributes)

# ------------------------------------------------------------------------------- descriptors

@operation("files", 34, lambda d: (d.any_slot(), d.name(), d.flags(), d.mode()))
def open_(side, slot, name, flags, mode):
    side.close(slot)
    path = side.path(name)
    # a fifo must not make it wait
    side.slots[slot] = os.open(path, flags | os.O_NONBLOCK, mode)


@operation("files", 12, lambda d: (d.slot(),))
def close(side, slot):
    side.close(slot)


@operation("files", 3, lambda d: (d.slot(), d.any_slot()))
def dup(side, slot, other):
    fd = side.fd(slot)
    if slot != other:
        side.close(other)
        side.slots[other] = os.dup(fd)


@operation("files", 14, lambda d: (d.slot(), d.data()))
def write(side, slot, data):
    return os.write(side.fd(slot), data.bytes())


@operation("files", 14, lambda d: (d.slot(), d.data(), d.offset()))
def pwrite(side, slot, data, offset):
    return os.pwrite(side.fd(slot), data.bytes(), offset)


@operation("files", 2, lambda d: (d.slot(), d.data(), d.data(), d.offset()))
def pwritev(side, slot, one, two, offset):
    return os.pwritev(side.fd(slot), [one.bytes(), two.bytes()], offset)


@operation("files", 8, lambda d: (d.slot(), d.size()))
def read(side, slot, n):
    return os.read(side.fd(slot), n)


@operation("files", 8, lambda d: (d.slot(), d.size(), d.offset()))
def pread(side, slot, n, offset):
    return os.pread(side.fd(slot), n, offset)


@operation("files", 4, lambda d: (d.slot(), d.offset(),
                                  d.of(os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)))
def lseek(side, slot, offset, whence):
    fd = side.fd(slot)
    # the size of a directory is the file system's own business, and so are positions in it
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        return "directory"
    return os.lseek(fd, offset, whence)


def content_of(fd):
    parts, at = [], 0
    while part := os.pread(fd, 1 << 20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


@operation("files", 6, lambda d: (d.slot(),))
def content(side, slot):
    return content_of(side.fd(slot))


@operation("seek", 4, lambda d: (d.slot(), d.offset(), d.of(os.SEEK_DATA, os.SEEK_HOLE)))
def seek_hole(side, slot, offset, whence):
    """Where data and holes are may differ; that a hole reads as zeros and data is found may not."""
    fd = side.fd(slot)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return "not a regular file"
    place = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        found = os.lseek(fd, offset, whence)
    except OSError as error:
        found = error.errno
    os.lseek(fd, place, os.SEEK_SET)
    if os.get_blocking(fd) or fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        return "cannot look"
    size = os.fstat(fd).st_size
    return judge_seek(content_of(fd), size, offset, whence, found, fd)


def judge_seek(data, size, offset, whence, found, fd):
    if offset < 0 or offset >= size:
        return "ENXIO" if found == errno.ENXIO else f"{found} instead of ENXIO"
    if whence == os.SEEK_DATA:
        end = size if found == errno.ENXIO and not any(data[offset:]) else found
        good = offset <= end <= size and not any(data[offset:end])
    else:
        good = offset <= found <= size
    return "plausible" if good else f"{found} of {size}"


@operation("files", 6, lambda d: (d.slot(), d.offset()))
def ftruncate(side, slot, size):
    os.ftruncate(side.fd(slot), size)


@operation("files", 5, lambda d: (d.name(), d.offset()))
def truncate(side, name, size):
    os.truncate(side.path(name), size)


@operation("files", 4, lambda d: (d.slot(), d.of(0, KEEP_SIZE), d.offset(), d.size()))
def allocate(side, slot, mode, offset, length):
    fallocate(side.fd(slot), mode, offset, length)


@operation("punch", 6, lambda d: (d.slot(), d.of(PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE,
                                                 ZERO_RANGE | KEEP_SIZE), d.offset(), d.size()))
def punch(side, slot, mode, offset, length):
    fallocate(side.fd(slot), mode, offset, length)


def fallocate(fd, mode, offset, length):
    call(libc.fallocate, fd, mode, ctypes.c_long(offset), ctypes.c_long(length))


@operation("files", 2, lambda d: (d.slot(),))
def fsync(side, slot):
    os.fsync(side.fd(slot))


@operation("files", 1, lambda d: (d.slot(),))
def fdatasync(side, slot):
    os.fdatasync(side.fd(slot))


@operation("copy", 4, lambda d: (d.slot(), d.slot(), d.size(), d.offset(), d.offset()))
def copy_range(side, source, target, n, from_offset, to_offset):
    done = 0
    while done < n:
        got = os.copy_file_range(side.fd(source), side.fd(target), n - done,
                                 from_offset + done, to_offset + done)
        if not got:
            break
        done += got
    return done


@operation("copy", 3, lambda d: (d.slot(), d.slot(), d.size(), d.offset()))
def sendfile(side, target, source, n, offset):
    done = 0
    while done < n:
        got = os.sendfile(side.fd(target), side.fd(source), offset + done, n - done)
        if not got:
            break
        done += got
    return done


# ------------------------------------------------------------------------------------ mapping

class Mapping:
    """A whole file in memory. The mmap module is no use here: it keeps a descriptor of its own."""

    def __init__(self, fd, kind):
        self.size = os.fstat(fd).st_size
        address = libc.mmap(None, ctypes.c_size_t(self.size), mmap.PROT_READ | mmap.PROT_WRITE,
                            kind, fd, ctypes.c_long(0))
        if address == ctypes.c_void_p(-1).value:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.address = address

    def store(self, data, at, limit, sync):
        """Below limit: beyond the file's end there is a signal."""
        at %= limit
        data = data.bytes()[:limit - at]
        ctypes.memmove(self.address + at, data, len(data))
        if sync:
            call(libc.msync, ctypes.c_void_p(self.address), ctypes.c_size_t(self.size), MS_SYNC)

    def load(self, limit):
        return ctypes.string_at(self.address, limit)

    def close(self):
        call(libc.munmap, ctypes.c_void_p(self.address), ctypes.c_size_t(self.size))


def can_be_mapped(fd):
    st = os.fstat(fd)
    return stat.S_ISREG(st.st_mode) and st.st_size


def map_once(mapping, data, at, sync):
    try:
        mapping.store(data, at, mapping.size, sync)
        return mapping.load(mapping.size)
    finally:
        mapping.close()


@operation("mmap", 4, lambda d: (d.slot(), d.of(mmap.MAP_SHARED, mmap.MAP_SHARED, mmap.MAP_PRIVATE),
                                 d.data(), d.size(), d.of(True, False)))
def map_(side, slot, kind, data, at, sync):
    fd = side.fd(slot)
    return map_once(Mapping(fd, kind), data, at, sync) if can_be_mapped(fd) else "nothing to map"


@operation("mmap", 3, lambda d: (d.name(), d.data(), d.size(), d.of(True, False)))
def map_closed(side, name, data, at, sync):
    """Through a mapping that outlives its descriptor."""
    fd = os.open(side.path(name), os.O_RDWR | os.O_NONBLOCK)
    try:
        mapping = Mapping(fd, mmap.MAP_SHARED) if can_be_mapped(fd) else None
    finally:
        os.close(fd)
    return map_once(mapping, data, at, sync) if mapping else "nothing to map"


class Held(NamedTuple):
    """A mapping that stays, and sees what is done to the file by other ways."""
    mapping: Mapping
    fd: int  # tells the file's size

    def limit(self):
        return min(self.mapping.size, os.fstat(self.fd).st_size)

    def time_is_set(self):
        return twin_side.is_far(os.fstat(self.fd).st_mtime_ns)

    def close(self):
        self.mapping.close()
        os.close(self.fd)


@operation("mmap", 2, lambda d: (d.slot(),))
def hold_map(side, slot):
    fd = side.fd(slot)
    if not can_be_mapped(fd):
        return "nothing to map"
    side.drop_held()
    mapping = Mapping(fd, mmap.MAP_SHARED)
    side.held = Held(mapping, os.dup(fd))
    return mapping.size


@operation("mmap", 4, lambda d: (d.data(), d.size()))
def store_in_held(side, data, at):
    # at once to the file: when it would reach a file by itself, and so move its time, is no promise
    if side.held and side.held.limit():
        side.held.mapping.store(data, at, side.held.limit(), True)
        if side.is_mount and data.length and side.held.time_is_set():
            # S16f: who looks later would see that
            call(libc.futimens, side.held.fd, timespecs((0, UTIME_OMIT), (0, UTIME_NOW)))


@operation("mmap", 4, lambda d: ())
def load_from_held(side):
    return side.held.mapping.load(side.held.limit()) if side.held else "nothing held"


@operation("mmap", 1, lambda d: ())
def drop_held(side):
    side.drop_held()


# -------------------------------------------------------------------------------------- locks

@operation("locks", 2, lambda d: (d.slot(), d.of(fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN)))
def flock(side, slot, kind):
    fcntl.flock(side.fd(slot), kind | fcntl.LOCK_NB)


@operation("locks", 2, lambda d: (d.slot(), d.of(fcntl.F_OFD_SETLK, fcntl.F_SETLK),
                                  d.of(fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK),
                                  d.rng.randrange(50), d.rng.randrange(50)))
def lock(side, slot, command, kind, start, length):
    fcntl.fcntl(side.fd(slot), command, struct.pack("hhqqi4x", kind, 0, start, length, 0))


# -------------------------------------------------------------------------------------- names

@operation("files", 10, lambda d: (d.name(),))
def unlink(side, name):
    os.unlink(side.path(name))


@operation("files", 8, lambda d: (d.name(), d.mode()))
def mkdir(side, name, mode):
    os.mkdir(side.path(name), mode)


@operation("files", 3, lambda d: (Name(d.of("d", "e", "d/a", "d/d")), d.mode()))
def mkdir_of_many(side, name, mode):
    os.mkdir(side.path(name), mode)


@operation("files", 3, lambda d: (d.name(),))
def rmdir(side, name):
    os.rmdir(side.path(name))


def do_rename(side, old, new, flags):
    path = side.path(old)
    try:
        ino = os.lstat(path).st_ino
    except OSError:
        ino = None
    twin_side.rename(path, side.path(new), flags)
    return "same inode" if os.lstat(side.path(new)).st_ino == ino else "another inode"


def is_directory(side, name):
    return stat.S_ISDIR(os.lstat(side.path(name)).st_mode)


@operation("files", 12, lambda d: (d.name(), d.name(), d.often(.2, NOREPLACE)))
def rename(side, old, new, flags):
    return "a directory" if is_directory(side, old) else do_rename(side, old, new, flags)


@operation("dirrename", 6, lambda d: (d.directory() or Name("d"), d.name(), d.often(.2, NOREPLACE)))
def rename_any(side, old, new, flags):
    return do_rename(side, old, new, flags)


def refused(side, act, number, *names):
    """What only the mount refuses: not tried on the host."""
    if not side.is_mount or names[0].rstrip("/") == names[1].rstrip("/"):
        for name in names:
            side.path(name)
        return "refused"
    if twin_side.are_one(*(side.path(n) for n in names)):
        return "refused"  # the kernel does not ask
    there = [os.path.lexists(side.path(n)) for n in names]
    try:
        act(*(side.path(n) for n in names))
    except OSError as error:
        due = there == ([True, False] if act is os.link else [True, True])
        parent = os.path.dirname(side.path(names[1]).rstrip("/"))
        due = due and twin_side.is_open_to_new_names(parent) and not any(
            n.endswith("/") or "." in n or len(n) > 255 for n in names)
        return f"refused with {error}" if due and error.errno != number else "refused"
    return "done"


@operation("refused", 1, lambda d: (d.name(), d.name()))
def link(side, old, new):
    return refused(side, os.link, errno.EPERM, old, new)


@operation("refused", 1, lambda d: (d.name(), d.name()))
def exchange(side, old, new):
    return refused(side, lambda a, b: twin_side.rename(a, b, EXCHANGE), errno.EINVAL, old, new)


# never out of the directory, wherever the link is moved: the thread is alone in there
@operation("special", 4, lambda d: (d.of("a", "b", "d", "d/a", "nowhere", "", "x" * 300), d.name()))
def symlink(side, target, name):
    path = side.path(name)
    if side.prefix:
        return "not in a shared directory"
    return os.symlink(target, path)


@operation("special", 2, lambda d: (d.name(),))
def readlink(side, name):
    return os.readlink(side.path(name))


@operation("special", 2, lambda d: (d.name(), d.mode(), d.of(stat.S_IFIFO, stat.S_IFSOCK,
                                                             stat.S_IFREG)))
def mknod(side, name, mode, kind):
    os.mknod(side.path(name), mode | kind)


@operation("special", 1, lambda d: (Name("device"), d.mode(), d.rng.randrange(1 << 8),
                                    d.rng.randrange(1 << 8), d.of(stat.S_IFCHR, stat.S_IFBLK)))
def device(side, name, mode, major, minor, kind):
    os.mknod(side.path(name), mode | kind, os.makedev(major, minor))


@operation("special", 1, lambda d: (Name("device"),))
def remove_device(side, name):
    os.unlink(side.path(name))


@operation("files", 5, lambda d: (d.directory(),))
def listing(side, name):
    return sorted(os.listdir(side.path(name)))


@operation("files", 2, lambda d: (d.slot(),))
def listing_of_slot(side, slot):
    return sorted(os.listdir(side.fd(slot)))


# --------------------------------------------------------------------------------- attributes

@operation("files", 5, lambda d: (d.name(),))
def stat_(side, name):
    return seen(os.stat(side.path(name)))


@operation("files", 5, lambda d: (d.slot(),))
def fstat(side, slot):
    return seen(os.fstat(side.fd(slot)))


@operation("chattr", 4, lambda d: (d.name(), d.mode()))
def chmod(side, name, mode):
    os.chmod(side.path(name), mode)


@operation("chattr", 2, lambda d: (d.slot(), d.mode()))
def fchmod(side, slot, mode):
    os.fchmod(side.fd(slot), mode)


@operation("chattr", 3, lambda d: (d.name(), d.owner(), d.owner(), d.of(True, False)))
def chown(side, name, uid, gid, follow):
    os.chown(side.path(name), uid, gid, follow_symlinks=follow)


@operation("chattr", 1, lambda d: (d.slot(), d.owner(), d.owner()))
def fchown(side, slot, uid, gid):
    os.fchown(side.fd(slot), uid, gid)


def timespecs(atime, mtime):
    return struct.pack("4q", *atime, *mtime)


@operation("chattr", 4, lambda d: (d.name(), d.time(), d.time(), d.of(True, False)))
def utime(side, name, atime, mtime, follow):
    path = side.path(name)
    call(libc.utimensat, AT_FDCWD, os.fsencode(path), timespecs(atime, mtime),
         0 if follow else 0x100)
    st = os.stat(path, follow_symlinks=follow)
    return st.st_atime_ns if atime[1] < UTIME_OMIT else "any"


@operation("chattr", 3, lambda d: (d.slot(), d.time(), d.time()))
def futime(side, slot, atime, mtime):
    call(libc.futimens, side.fd(slot), timespecs(atime, mtime))


@operation("xattr", 5, lambda d: (d.name(), d.xattr(), d.data().bytes()[:d.of(0, 1, 90)],
                                  d.of(0, 0, os.XATTR_CREATE, os.XATTR_REPLACE)))
def setxattr(side, name, attribute, value, flags):
    os.setxattr(side.path(name), attribute, value, flags)


@operation("xattr", 2, lambda d: (d.slot(), d.xattr(), d.data().bytes()[:d.of(0, 1, 90)],
                                  d.of(0, 0, os.XATTR_CREATE, os.XATTR_REPLACE)))
def fsetxattr(side, slot, attribute, value, flags):
    os.setxattr(side.fd(slot), attribute, value, flags)


@operation("xattr", 2, lambda d: (d.name(), d.xattr()))
def getxattr(side, name, attribute):
    return os.getxattr(side.path(name), attribute)


@operation("xattr", 2, lambda d: (d.name(), d.xattr()))
def removexattr(side, name, attribute):
    os.removexattr(side.path(name), attribute)


@operation("xattr", 2, lambda d: (d.name(),))
def listxattr(side, name):
    return sorted(user_attributes(side.path(name)))


@operation("files", 1, lambda d: ())
def tree(side):
    return {name: entry[:-4] for name, entry in snapshot(side).items()}


GROUPS = frozenset(o.group for o in OPERATIONS.values())
